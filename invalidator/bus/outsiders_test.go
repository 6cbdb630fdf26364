package bus

import (
	"context"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// watch fails when something that must not be is seen while a few leases pass.
func (f *fleet) never(leases int, what string, seen func() bool) {
	f.t.Helper()
	for began := time.Now(); time.Since(began) < time.Duration(leases)*f.lease; time.Sleep(f.lease / 500) {
		if seen() {
			f.t.Fatal(what)
		}
	}
}

// TestJoinerBesideAnOutsider: a process that wrote without the log is dead, and a transaction that it left is open. Who was there then waits for it; so
// must a process that has never seen it.
func TestJoinerBesideAnOutsider(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	lone, other := f.all[0], f.all[1]
	lone.Release(lone.fence(2), true)
	other.await("the log", func() bool { return other.at() == lone.at() && !other.fenced(2) })
	at := other.at()
	f.change(func(r *register) { r.running[lone.Process()] = true })
	lone.link.set(true)
	token := lone.fence(1)
	if !token.alone {
		t.Fatal("it wrote with the log")
	}
	other.await("doubt", func() bool { return other.Stats().Outside == 1 })
	lone.kill(true)
	joiner := f.add()
	f.never(4, "Live, and what was filled before a write that was sent past the log is fresh", func() bool { return joiner.Live() && joiner.fresh(at, 1) })
	f.change(func(r *register) { delete(r.running, lone.Process()) })
	joiner.awaitLive()
	other.awaitLive()
	if joiner.fresh(at, 1) || other.fresh(at, 1) {
		t.Error("what was filled before a write that was sent past the log is fresh")
	}
}

// TestLoneWriterWhileNobodyLooks: a process without Redis comes, writes and dies while the only other one can't ask PostgreSQL.
func TestLoneWriterWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	one := f.all[0]
	at := one.at()
	everything := one.everything.Load()
	one.view.hangs.Store(true)
	one.await("it can't look any more", func() bool { return !one.Live() })
	lone := f.add()
	lone.link.set(true)
	lone.mu.Lock()
	if lone.member != nil {
		t.Error("it came to be a member before its link was cut")
	}
	lone.mu.Unlock()
	if token := lone.fence(1); !token.alone {
		t.Error("it wrote with the log")
	}
	lone.kill(true)
	one.view.hangs.Store(false)
	one.awaitLive()
	if one.everything.Load() == everything {
		t.Error("Live, and what was cached before a write of a process that it never saw is valid")
	}
	if one.fresh(at, 1) {
		t.Error("Live, and what was filled before a write of a process that it never saw is fresh")
	}
	f.change(func(r *register) {
		if r.within < f.lease || r.within > patience {
			t.Errorf("it waited for transactions of the last %v", r.within)
		}
	})
}

// TestFenceOfTheDeadAfterTheLogIsLost: who comes then must know of the write, too.
func TestFenceOfTheDeadAfterTheLogIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	dead, other := f.all[0], f.all[1]
	f.change(func(r *register) { r.backends[7] = true })
	dead.fence(7)
	dead.kill(true)
	other.await("it is gone", func() bool { return other.Stats().Members == 0 })
	flushAll(t, f)
	other.await("the new log", func() bool { s := other.Stats(); return s.Epochs == 1 && s.Member })
	joiner := f.add()
	joiner.awaitLive()
	if !other.fenced(7) || !joiner.fenced(7) {
		t.Errorf("a backend works at a write; fenced: %v, at who came after the log was lost: %v", other.fenced(7), joiner.fenced(7))
	}
	f.change(func(r *register) { delete(r.backends, 7) })
	for _, p := range f.all[1:] {
		p.await("the fence is down", func() bool { return !p.fenced(7) })
	}
}

// TestFenceOfTheDeadWithoutABackend comes down when nothing that the dead process may have left goes on.
func TestFenceOfTheDeadWithoutABackend(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	dead, other := f.all[0], f.all[1]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, ok := dead.Fence(ctx, Tags{Database: "db", Relations: []uint32{7}}, true); !ok {
		t.Fatal("a write is stuck")
	}
	f.change(func(r *register) { r.running[dead.Process()] = true })
	dead.kill(true)
	other.await("it is gone", func() bool { return other.Stats().Members == 0 })
	f.never(2, "the fence of a write whose transaction is open came down", func() bool { return !other.fenced(7) })
	f.change(func(r *register) { delete(r.running, dead.Process()) })
	other.await("the fence is down", func() bool { return !other.fenced(7) })
	other.awaitLive()
}

// TestProofOfLifeForATooShortTime: the proof of life was shown for a part of a lease and may be lost since. Others, who look once a lease, need not have seen it.
func TestProofOfLifeForATooShortTime(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	one := f.all[0]
	one.view.hangs.Store(true) // nothing but this test looks from now on
	one.await("its looks fail", func() bool { return !one.Live() })
	one.mu.Lock()
	defer one.mu.Unlock()
	now, alive := one.clock.now(), map[Process]bool{one.Process(): true}
	at := func(leases float64) time.Duration { return now - one.part(1.3-leases) }
	one.received = at(-2)
	one.census.showing = false
	one.evaluateLook(t.Context(), alive, at(0), at(0))
	one.evaluateLook(t.Context(), alive, at(0.35), at(0.35))
	if one.seen(now) {
		t.Error("a process may write alone that PostgreSQL has shown for 0.35 leases")
	}
}

// TestProofOfLifeLostBeforeANewEpoch: a process loses its proof of life, which the others see, and then Redis: it finds another one there, which the
// others don't. It must not write there before they have seen it.
func TestProofOfLifeLostBeforeANewEpoch(t *testing.T) {
	t.Parallel()
	f, apart := newFleet(t, 2), pgtest.StartRedis(t)
	one, other := f.all[0], f.all[1]
	one.Release(one.fence(1), true)
	f.change(func(r *register) { delete(r.living, one.Process()) })
	other.await("the proof of life is missed", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		o := other.memberOf(one.Process())
		return o != nil && o.dead
	})
	one.link.divert(apart.Address())
	ctx, cancel := context.WithTimeout(t.Context(), 4*f.lease)
	defer cancel()
	token, ok := one.Fence(ctx, Tags{Database: "db", Relations: []uint32{7}}, true)
	if ok && other.Live() {
		t.Error("a write was sent, and another process, which takes its writer for dead, is certain of everything")
	}
	one.Release(token, true)
}

// TestJoinThatComesLateForTheDead: the call takes down a fence of a later membership whose write a backend still works at.
func TestJoinThatComesLateForTheDead(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	dead, other := f.all[0], f.all[1]
	_, late, _, _ := dead.announcement()
	dead.mu.Lock()
	dead.lose(dead.member, "it tries once more")
	dead.mu.Unlock()
	dead.awaitLive()
	f.change(func(r *register) { r.backends[7], r.running[dead.Process()] = true, true })
	dead.fence(7)
	other.await("it is trusted", func() bool { return other.Live() && other.fenced(7) })
	dead.kill(true)
	other.await("it is gone", func() bool { return other.Stats().Members == 0 })
	other.awaitLive()
	if err := other.scripts.join.Run(t.Context(), other.Redis, other.keys, late...).Err(); err != nil {
		t.Log(err)
	}
	f.never(4, "Live, and the fence of a write came down that a backend still works at", func() bool { return !other.fenced(7) && other.Live() })
}

// TestNobodyIsHeardYet: a process has come back and its first beat was answered; what that tells of the others counts only once the log is read. A look at
// PostgreSQL comes between.
func TestNobodyIsHeardYet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one := f.all[0]
	one.mu.Lock()
	defer one.mu.Unlock()
	m := one.member
	again := *m
	again.others, again.learned = make(map[string]*other), 0
	one.member = &again
	one.evaluate()
	if one.Live() {
		t.Error("Live, and nothing is known of the other members")
	}
	one.member = m
}

// TestJoinWhoseAnswerIsLost: Redis made the process a member and the answer did not come. Nobody waits for that membership when the next one has come.
func TestJoinWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	id, lost, _, _ := one.announcement()
	if err := one.scripts.join.Run(t.Context(), one.client, one.keys, lost...).Err(); err != nil {
		t.Fatal(err)
	}
	one.mu.Lock()
	one.lose(one.member, "it joins anew")
	one.mu.Unlock()
	one.awaitLive()
	fields, err := one.client.HGetAll(t.Context(), one.keys[0]).Result()
	if err != nil {
		t.Fatal(err)
	}
	if _, still := fields["m:"+id]; still {
		t.Error("writes wait for a membership that nobody has")
	}
	other.awaitLive()
	if missing := other.Stats().Missing; missing > 0 {
		t.Errorf("%d memberships fell silent", missing)
	}
}
