package bus

import (
	"context"
	"testing"
	"time"
)

// addLax starts a proxy without strict rules and waits until its writes need not wait.
func (f *fleet) addLax() *proxy {
	f.t.Helper()
	f.lax = true
	p := f.add()
	f.lax = false
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !p.AwaitStart(ctx) {
		f.t.Fatalf("the start lasts: %+v", p.Stats())
	}
	p.await("a membership", func() bool { return p.Stats().Member })
	return p
}

// waits writes, and tells whether that waited for others.
func (p *proxy) waits(oid uint32) bool {
	p.fleet.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	token, ok := p.Fence(ctx, Tags{Database: "db", Relations: []uint32{oid}, Backend: oid}, false)
	if !ok {
		p.fleet.t.Fatalf("a write is stuck: %+v", p.Stats())
	}
	defer p.Release(token, true)
	return token.awaited
}

// One strict member is enough for the writes of all to wait.
func TestAllWaitForOneStrictMember(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	a, b := f.addLax(), f.addLax()
	if a.waits(1) || b.waits(1) {
		t.Error("nobody is strict, and writes wait")
	}
	strict := f.add()
	strict.awaitLive()
	for oid := range uint32(20) {
		token, _ := a.Fence(t.Context(), Tags{Database: "db", Relations: []uint32{oid}}, false)
		if !strict.fenced(oid) {
			t.Fatal("the write went on and the strict member has no fence")
		}
		a.Release(token, true)
	}
	if err := strict.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.change(func(r *register) { delete(r.living, strict.Process()) })
	a.await("writes that don't wait", func() bool { return !a.waits(1) && !b.waits(1) })
}

// Who has not heard of a strict member may write at any time: the member is not Live.
func TestStrictMemberDoubtsWhoHasNotHeardOfIt(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	deaf := f.addLax()
	deaf.link.set(true)
	strict := f.add()
	strict.await("a membership", func() bool { return strict.Stats().Member })
	for began := time.Now(); time.Since(began) < 3*f.lease; {
		before := strict.Live()
		if waited := deaf.waits(1); !waited && (before || strict.Live()) {
			t.Fatal("Live while another process writes without waiting")
		}
	}
	deaf.link.set(false)
	strict.awaitLive()
	if !deaf.waits(1) {
		t.Error("does not wait for the strict member")
	}
}

// What does not wait must be in the log before the writer says that it waits.
func TestWriterWaitsOnlyWhenItsOtherWritesAreKnown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	writer := f.addLax()
	token, _ := writer.Fence(t.Context(), Tags{Database: "db", Relations: []uint32{7}}, false)
	strict := f.add()
	strict.awaitLive()
	if !strict.fenced(7) {
		t.Error("Live, and a write under way is not known")
	}
	writer.Release(token, true)
	strict.await("the end of the fence", func() bool { return !strict.fenced(7) })
}

// Who is trusted by a strict member goes on waiting when it does not hear of it any more.
func TestTrustedWriterGoesOnWaiting(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	writer := f.addLax()
	strict := f.add()
	strict.awaitLive()
	strict.link.set(true)
	client := writer.client
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	writer.await("the new log", func() bool { s := writer.Stats(); return s.Epochs == 1 && s.Member })
	free := 0
	for began := time.Now(); time.Since(began) < 3*f.lease; {
		waited := writer.waits(1)
		if !waited && strict.Live() {
			t.Fatal("a write does not wait for a member that is Live")
		}
		if !waited {
			free++
		}
	}
	if free == 0 {
		t.Error("writes wait for nobody")
	}
}

// A lease has to be the same for all: who comes with another one stays outside, and nobody is Live beside it.
func TestOtherLease(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.lease = 2 * time.Second
	other := f.add()
	f.all[0].await("doubt", func() bool { return f.all[0].Stats().Outside == 1 && !f.all[0].Live() })
	if other.Stats().Member || other.Live() {
		t.Errorf("a member with another lease: %+v", other.Stats())
	}
	f.all[0].kill(true)
	other.awaitLive() // the members of the other lease are gone
}
