package bus

import (
	"context"
	"testing"
	"time"
)

// TestProofOfLifeLostBehindAHangingLook cuts a process off from Redis. A moment after PostgreSQL has shown its proof of life for the last time the
// server ends that session, which the process does not hear of. The others take it for dead and go on: it must not write.
func TestProofOfLifeLostBehindAHangingLook(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	one.Release(one.fence(1), true) // it has shown for long enough
	one.link.set(true)
	time.Sleep(f.lease / 2) // the fault: the last look is that much younger than the last answer of Redis
	looks := one.view.looks.Load()
	one.await("a look", func() bool { return one.view.looks.Load() > looks })
	one.view.hangs.Store(true)
	f.change(func(r *register) { delete(r.living, one.Process()) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent := make(chan *Token, 1)
	go func() {
		token, _ := one.Fence(ctx, Tags{Database: "db", Relations: []uint32{1}}, true)
		sent <- token
	}()
	var token *Token
	select {
	case token = <-sent:
		if other.Live() {
			t.Error("a write went on without the log, and another process, which takes its writer for dead, is certain of everything")
		}
	case <-time.After(3 * f.lease):
	}
	f.change(func(r *register) { r.living[one.Process()] = true })
	one.view.hangs.Store(false)
	if token == nil {
		token = <-sent
		if other.Live() {
			t.Error("a write went on without the log before the other process saw that its writer lives")
		}
	}
	one.Release(token, true)
	one.link.set(false)
	for _, p := range f.all {
		p.awaitLive()
	}
}
