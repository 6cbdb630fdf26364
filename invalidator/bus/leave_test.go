package bus

import (
	"context"
	"testing"
	"time"
)

// TestLeaveWithAWriteUnderWay ends a process in order whose session was cut off: the backend still waits with the write, which nobody can take
// for done.
func TestLeaveWithAWriteUnderWay(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	const oid = 7
	f.change(func(r *register) { r.backends[oid] = true })
	one.fence(oid)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = one.Leave(ctx)
	f.change(func(r *register) { delete(r.living, one.Process()) })
	other.await("the others notice", func() bool { return other.Stats().Members == 0 })
	if !other.fenced(oid) {
		t.Error("the fence of a write that a backend still works at came down when its process left")
	}
	f.change(func(r *register) { delete(r.backends, oid) })
	other.await("the fence ends with the backend", func() bool { return !other.fenced(oid) })
	other.awaitLive()
}

// TestFenceThatIsAppendedLate: Redis takes a call up after the process has given it up, made it again, and ended the fence.
func TestFenceThatIsAppendedLate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	const oid = 7
	token := one.fence(oid)
	one.Release(token, true)
	other.await("the fence is down", func() bool { return !other.fenced(oid) })
	one.await("its end was read", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return len(one.pending) == 0
	})
	word := func() uint64 { return other.slots.Load(other.slots.Relation("db", oid)) }
	before := word()
	one.mu.Lock()
	one.enqueue(&queued{event: token.event(kindFence), up: token.name().String(), done: make(chan struct{})})
	one.mu.Unlock()
	other.await("it has come and is down again", func() bool { return !other.fenced(oid) && word() != before })
}
