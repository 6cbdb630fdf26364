package bus

import (
	"context"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

func TestStrictWriteWaitsForAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	a, b, c := f.all[0], f.all[1], f.all[2]
	before := b.at()
	for oid := range uint32(20) {
		token := a.fence(oid)
		for i, p := range []*proxy{b, c} {
			if !p.fenced(oid) {
				t.Fatalf("the write went on and member %d has no fence", i+1)
			}
		}
		if a.fenced(oid) {
			t.Error("the writer's own slots are its caller's")
		}
		if b.fresh(before, oid) || a.fresh(before, oid) {
			t.Fatal("an entry of before the write is fresh")
		}
		word := b.slots.Load(b.slots.Relation("db", oid))
		a.Release(token, oid%2 == 0)
		b.await("the end of the fence", func() bool { return !b.fenced(oid) })
		if changed := b.slots.Load(b.slots.Relation("db", oid))>>24 != word>>24; changed != (oid%2 == 0) {
			t.Errorf("released with changed=%v, the version changed: %v", oid%2 == 0, changed)
		}
	}
	if waited := a.Stats().Waited / 20; waited > f.lease/4 {
		t.Errorf("a strict write waited %v for members that are well", waited)
	}
	t.Logf("a strict write waited %v", a.Stats().Waited/20)
}

func TestOwnChangeIsNotFreshBeforeItIsRead(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a := f.all[0]
	at := a.at()
	if !a.fresh(at, 1) || !a.fresh(at, 2) {
		t.Fatal("nothing has changed and nothing is fresh")
	}
	for range 50 {
		at := a.at()
		token, _ := a.Fence(t.Context(), Tags{Database: "db", Relations: []uint32{1}}, false)
		if a.fresh(at, 1) {
			t.Fatal("fresh while the own write is under way")
		}
		a.Release(token, true)
		if a.fresh(at, 1) {
			t.Fatal("fresh after the own write")
		}
		at = a.at()
		a.Bump(Tags{Database: "db", Whole: true})
		if a.fresh(at, 1) {
			t.Fatal("fresh after the own bump")
		}
	}
	a.await("the own events", func() bool { return a.fresh(a.at(), 1) })
}

func TestJoinerJudgesWhatIsOlder(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a := f.all[0]
	old := a.at()
	a.Release(a.fence(1), true)
	a.await("the own event", func() bool { return a.at().Seq >= old.Seq+2 })
	now := a.at()
	open := a.fence(3)
	b := f.add()
	b.awaitLive()
	if b.fresh(old, 1) || !b.fresh(old, 2) || !b.fresh(now, 1) {
		t.Errorf("a joiner judges what is older wrongly: %v %v %v", b.fresh(old, 1), b.fresh(old, 2), b.fresh(now, 1))
	}
	if !b.fenced(3) {
		t.Error("a joiner does not know the fence that is up")
	}
	for _, wrong := range []invalidator.Position{
		{}, {Epoch: now.Epoch + 1, Seq: now.Seq, Nonce: now.Nonce}, {Epoch: now.Epoch, Seq: now.Seq, Nonce: now.Nonce + 1},
		{Epoch: now.Epoch, Seq: now.Seq + 1000, Nonce: now.Nonce},
	} {
		if b.fresh(wrong, 2) {
			t.Errorf("%+v is fresh", wrong)
		}
	}
	a.Release(open, true)
	b.await("the end of the fence", func() bool { return !b.fenced(3) })
}

func TestFlushAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	open := a.fence(7)
	old, everything := b.at(), b.everything.Load()
	if err := a.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	b.await("a new epoch", func() bool { p, ok := b.Position(); return ok && p.Epoch != old.Epoch })
	b.awaitLive()
	if !b.fenced(7) {
		t.Error("the fence that was up is not any more")
	}
	if b.everything.Load() == everything || b.fresh(old, 2) {
		t.Error("what was cached before is still believed")
	}
	a.Release(open, true)
	b.await("the end of the fence", func() bool { return !b.fenced(7) })
	a.Release(a.fence(8), true)
}

func TestRestartOfRedis(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		t.Run(map[bool]string{false: "without its data", true: "with its data"}[kept], func(t *testing.T) {
			t.Parallel()
			arguments := map[bool][]string{true: {"--appendonly", "yes", "--appendfsync", "always"}}[kept]
			f := newFleet(t, 2, arguments...)
			a, b := f.all[0], f.all[1]
			open := a.fence(7)
			old := b.at()
			if err := f.redis.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.await("the end of Live", func() bool { return !b.Live() })
			if err := f.redis.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.await("a new epoch", func() bool { p, ok := b.Position(); return ok && p.Epoch != old.Epoch })
			b.awaitLive()
			if !b.fenced(7) {
				t.Error("the fence that was up is not any more")
			}
			a.Release(open, true)
			b.await("the end of the fence", func() bool { return !b.fenced(7) })
			a.Release(a.fence(8), true)
		})
	}
}

func TestHangOfRedis(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	old, everything := b.at(), b.everything.Load()
	if err := f.redis.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	token := a.fence(1) // goes on alone
	if took := time.Since(began); took > 2*f.lease {
		t.Errorf("the first write took %v", took)
	}
	if b.Live() || a.Live() {
		t.Error("a write went on without the log and somebody is Live")
	}
	began = time.Now()
	a.Release(token, true)
	for range 10 {
		a.Release(a.fence(2), true)
	}
	if took := time.Since(began); took > f.lease { // one that is silent costs 1.4
		t.Errorf("ten more writes took %v", took)
	}
	open := a.fence(3)
	if err := f.redis.Resume(); err != nil {
		t.Fatal(err)
	}
	b.awaitLive()
	a.awaitLive()
	if b.everything.Load() == everything || b.fresh(old, 1) {
		t.Error("what was cached before is still believed")
	}
	if !b.fenced(3) {
		t.Error("Live, and a write that went on without the log is not known")
	}
	a.Release(open, true)
	b.await("the end of the fence", func() bool { return !b.fenced(3) })
}

// A release that is waited for costs the bound once.
func TestHangIsPaidOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	a := f.addLax()
	if err := f.redis.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 50 {
		token, _ := a.Fence(t.Context(), Tags{Database: "db", Whole: true}, false)
		a.Release(token, true)
	}
	if took := time.Since(began); took > 5*a.Hang {
		t.Errorf("50 writes that wait for nobody took %v", took)
	}
	if err := f.redis.Resume(); err != nil {
		t.Fatal(err)
	}
	a.await("a fence in the log", func() bool { a.waits(1); return !a.Stats().Down })
}

func TestForkOfTheLog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	for range 5 {
		a.Release(a.fence(1), true)
	}
	a.await("own events", func() bool { return a.Stats().Queued == 0 && a.at() == b.at() && a.at().Seq >= 12 })
	old := b.at()
	// The end is lost, and other events take its numbers, as after a failover to a replica that was behind.
	fleet, log := a.keys[0], a.keys[1]
	pipe := a.client.TxPipeline()
	pipe.XDel(t.Context(), log, entryID(old.Seq), entryID(old.Seq-1))
	pipe.HSet(t.Context(), fleet, "seq", old.Seq+1, "nonce", "1234")
	bumped := event{kind: kindAll}
	pipe.Do(t.Context(), "XADD", log, entryID(old.Seq+1), "n", "1234", "p", "4321", "e", bumped.encode())
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.await("a new epoch", func() bool { p, ok := b.Position(); return ok && p.Epoch != old.Epoch })
	b.awaitLive()
	if b.fresh(old, 2) {
		t.Error("a position of the lost end is believed")
	}
	if a.Stats().Forks+b.Stats().Forks == 0 {
		t.Error("nobody has seen the fork")
	}
}

func TestTrimmedLog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	everything := b.everything.Load()
	b.mu.Lock() // it reads nothing
	for range 50 {
		a.Bump(Tags{Database: "db", Relations: []uint32{1}})
	}
	a.await("the log", func() bool { return a.Stats().Queued == 0 })
	err := a.client.XTrimMaxLen(t.Context(), a.keys[1], 1).Err()
	b.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	b.await("the loss", func() bool { return b.Stats().Lost > 0 && b.everything.Load() > everything })
	b.awaitLive()
}

func TestDeadMember(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	a, b, c := f.all[0], f.all[1], f.all[2]
	f.change(func(r *register) { r.backends[5] = true })
	c.fence(5)
	c.kill(true)
	began := time.Now()
	a.Release(a.fence(1), true)
	if took := time.Since(began); took > 3*f.lease/2+f.lease/2 {
		t.Errorf("the death of a member cost a write %v", took)
	}
	a.awaitLive()
	b.awaitLive()
	if a.Stats().Alone > 0 {
		t.Error("the write went on without the log")
	}
	if !a.fenced(5) || !b.fenced(5) {
		t.Error("the dead member's backend is at work and its fence is down")
	}
	f.change(func(r *register) { delete(r.backends, 5) })
	a.await("the end of the fence", func() bool { return !a.fenced(5) && !b.fenced(5) })
}

// A member that Redis does not hear any more, and PostgreSQL does, may write.
func TestMemberThatIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	a, b, c := f.all[0], f.all[1], f.all[2]
	c.link.set(true)
	token := c.fence(1)
	if a.Live() || b.Live() || c.Live() {
		t.Fatalf("Live beside a writer that is alone: %v %v %v", a.Live(), b.Live(), c.Live())
	}
	a.Release(a.fence(2), true) // the others go on
	if a.Live() || b.Live() {
		t.Fatal("Live beside a writer that is alone")
	}
	everything := a.everything.Load()
	c.link.set(false)
	for _, p := range f.all {
		p.awaitLive()
	}
	if !a.fenced(1) || !b.fenced(1) || a.everything.Load() == everything {
		t.Error("Live, and the write of the one that was cut off is not known")
	}
	c.Release(token, true)
	a.await("the end of the fence", func() bool { return !a.fenced(1) && !b.fenced(1) })
}

// What is left in PostgreSQL of a process that died while it was cut off is waited for.
func TestMemberThatDiesCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, c := f.all[0], f.all[1]
	old := a.at()
	c.link.set(true)
	c.fence(1)
	f.change(func(r *register) { r.running[c.Process()] = true })
	a.await("the outsider", func() bool { return a.Stats().Outside == 1 })
	c.kill(true)
	a.await("the end of trust in its silence", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		o := a.census.outside[c.Process()]
		return o != nil && o.settling
	})
	if a.Live() {
		t.Error("Live while a transaction of the dead one runs")
	}
	f.change(func(r *register) { delete(r.running, c.Process()) })
	a.awaitLive()
	if a.fresh(old, 1) {
		t.Error("an entry of before is believed")
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a.Release(a.fence(1), true)
	if took := time.Since(began); took > f.lease { // one that is silent costs 1.4
		t.Errorf("a member that has left cost a write %v", took)
	}
	a.await("the beat", func() bool { return a.Stats().Members == 0 })
	if !a.Live() || a.Stats().Outside != 0 {
		t.Errorf("a member that left in order costs hits: %+v", a.Stats())
	}
	f.change(func(r *register) { delete(r.living, b.Process()) })
}

func TestNotLiveWithoutPostgreSQL(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a := f.all[0]
	f.change(func(r *register) { r.failing = true })
	a.await("the end of Live", func() bool { return !a.Live() })
	f.change(func(r *register) { r.failing = false })
	a.awaitLive()
}

func TestFenceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.all[0], f.all[1]
	b.mu.Lock() // it applies nothing
	ctx, cancel := context.WithTimeout(t.Context(), f.lease/4)
	defer cancel()
	token, ok := a.Fence(ctx, Tags{Database: "db", Whole: true}, true)
	b.mu.Unlock()
	if ok {
		t.Error("the write was let through before a member had applied its fence")
	}
	a.Release(token, false)
}

func BenchmarkLive(b *testing.B) {
	f := newFleet(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		f.all[0].Live()
	}
}

func BenchmarkFresh(b *testing.B) {
	f := newFleet(b, 1)
	a := f.all[0]
	at := a.at()
	slots := []invalidator.Slot{a.slots.Database("db"), a.slots.Relation("db", 1), a.slots.Relation("db", 2)}
	b.ReportAllocs()
	for b.Loop() {
		if !a.Fresh(at, slots) {
			b.Fatal("not fresh")
		}
	}
}

// BenchmarkStrictWrite is what a strict write costs with three members.
func BenchmarkStrictWrite(b *testing.B) {
	f := newFleet(b, 3)
	tags := Tags{Database: "db", Relations: []uint32{1}}
	for b.Loop() {
		token, _ := f.all[0].Fence(b.Context(), tags, true)
		f.all[0].Release(token, true)
	}
}

// The parts of a lease keep the order that the protocol relies on while two clocks run at rates that differ by 10%.
func TestPartsOfALease(t *testing.T) {
	t.Parallel()
	const slow, fast = 0.95, 1.05
	for what, parts := range map[string][2]float64{
		"who is declared missing is not Live any more":            {ownLease, silentLease},
		"nobody trusts a process that writes without the log":     {trustLease, aloneLease},
		"nobody trusts a look that is older than a proof of life": {trustLease, aloneLease},
	} {
		if parts[0]/slow >= parts[1]/fast {
			t.Errorf("%s: %v on a slow clock, %v on a fast one", what, parts[0]/slow, parts[1]/fast)
		}
	}
}
