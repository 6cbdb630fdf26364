package bus

import (
	"testing"
	"time"
)

// knows lets a process write, and read that in the log.
func (p *proxy) knows() {
	p.fleet.t.Helper()
	p.Release(p.fence(1), true)
	p.await("the own event", func() bool { return p.fresh(p.at(), 1) })
}

// TestNobodyWatched starts a process when all others are gone, in order or not: what changed in between is known to nobody.
func TestNobodyWatched(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*proxy){
		"in order": func(p *proxy) {
			if err := p.Leave(t.Context()); err != nil {
				t.Error(err)
			}
			p.fleet.change(func(r *register) { delete(r.living, p.Process()) })
		},
		"killed": func(p *proxy) { p.kill(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 2)
			f.all[0].knows()
			old := f.all[0].at()
			for _, p := range f.all[:2] {
				end(p)
			}
			first, second := f.add(), f.add()
			for _, p := range []*proxy{first, second} {
				p.await("a membership", func() bool { return p.Stats().Member })
			}
			for began := time.Now(); time.Since(began) < 2*f.lease; time.Sleep(f.lease / 100) {
				if first.fresh(old, 2) || second.fresh(old, 2) {
					t.Fatal("what was cached before a time that nobody watched is fresh")
				}
			}
			first.awaitLive()
			second.awaitLive()
			second.await("they know the same", func() bool {
				now := first.at()
				return first.fresh(now, 2) && second.fresh(now, 2)
			})
		})
	}
}

// TestWitnessesFollowEachOther replaces all processes, one by one.
func TestWitnessesFollowEachOther(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.all[0].knows()
	old := f.all[0].at()
	for i := range 3 {
		f.add().awaitLive()
		if i%2 == 0 {
			if err := f.all[i].Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.change(func(r *register) { delete(r.living, f.all[i].Process()) })
		} else {
			f.all[i].kill(true)
		}
		next := f.all[i+1]
		next.await("the end of the one before", func() bool { return next.Stats().Members == 0 })
		next.awaitLive()
		if !next.fresh(old, 2) {
			t.Errorf("replacement %d does not know what the one before knew", i)
		}
	}
}

// TestOnlyWitnessThatWasCutOff knows what it knew when it is back.
func TestOnlyWitnessThatWasCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	one := f.all[0]
	old := one.at()
	one.mu.Lock()
	one.lose(one.member, "a test")
	one.mu.Unlock()
	one.await("it is back", func() bool { return one.Stats().Member })
	one.awaitLive()
	if !one.fresh(old, 2) {
		t.Error("a process that was there all the time knows nothing of before")
	}
}

// TestFencesOutliveTheFleet kills all processes while a backend of theirs works.
func TestFencesOutliveTheFleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	one := f.all[0]
	f.change(func(r *register) { r.backends[5] = true })
	one.fence(5)
	one.kill(true)
	next := f.add()
	next.awaitLive()
	if !next.fenced(5) {
		t.Error("a write of before is under way, and its fence is down")
	}
	f.change(func(r *register) { delete(r.backends, 5) })
	next.await("the end of the fence", func() bool { return !next.fenced(5) })
}

// TestKilledBeforeItsWritesWereTold kills a process that needs not wait for the log, in a hang of Redis.
func TestKilledBeforeItsWritesWereTold(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	one, other := f.addLax(), f.addLax()
	old := other.at()
	everything := other.everything.Load()
	one.link.set(true)
	if one.waits(1) {
		t.Fatal("the write waited")
	}
	one.kill(true)
	other.await("everything is invalidated", func() bool { return other.everything.Load() > everything })
	other.await("nothing of before is fresh", func() bool { return !other.fresh(old, 1) })
}

// TestMemberOfAnotherServer joins with a proof of life that this PostgreSQL does not show.
func TestMemberOfAnotherServer(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	f.change(func(r *register) { delete(r.living, other.Process()) })
	one.await("doubt", func() bool { return !one.Live() })
	for began := time.Now(); time.Since(began) < 2*f.lease; time.Sleep(f.lease / 100) {
		if one.Live() {
			t.Fatal("Live beside a member that has another server")
		}
	}
	f.change(func(r *register) { r.living[other.Process()] = true })
	one.awaitLive()
}
