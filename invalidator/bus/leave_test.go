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
