package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// slack is what a busy machine may add to a bound.
const slack = 250 * time.Millisecond

// behindProxy returns a Guard that is up and asks a Redis through a proxy, and both.
func behindProxy(t *testing.T, options Options) (*Guard, *faultnet.Proxy, *pgtest.Redis) {
	server := pgtest.StartRedis(t)
	proxy := faultnet.Start(t, server.Address())
	g := start(t, "redis://"+proxy.Address(), options)
	put(t, g, "name", "value")
	return g, proxy, server
}

// put puts a value and waits until it is in the store.
func put(t *testing.T, g *Guard, name, value string) {
	t.Helper()
	if err := g.Put(t.Context(), name, []byte(value), time.Minute); err != nil {
		t.Fatal(err)
	}
	drain(t, g)
}

func drain(t *testing.T, g *Guard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	if err := g.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// finds checks that the value is found.
func finds(t *testing.T, g *Guard, name, want string) {
	t.Helper()
	until(t, "the store answers", func() bool { // on a busy machine it may hang for a moment
		values, err := g.Get(t.Context(), name)
		if err == nil && string(values[0].Bytes) != want {
			t.Fatalf("%q, want %q", values, want)
		}
		return err == nil
	})
}

// until waits until the condition holds.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, bound)
		}
	}
}

// A hang costs each caller the bound at most, once; while it lasts the others pay nothing; its end is noticed.
func TestAHangOpensAtTheBoundAndClosesByItself(t *testing.T) {
	for name, fault := range map[string]struct {
		begin func(*faultnet.Proxy, *pgtest.Redis) error
		end   func(*faultnet.Proxy, *pgtest.Redis) error
	}{
		"stalled network": {
			func(p *faultnet.Proxy, _ *pgtest.Redis) error { p.Stall(); return nil },
			func(p *faultnet.Proxy, _ *pgtest.Redis) error { return p.Heal() }},
		"latency": {
			func(p *faultnet.Proxy, _ *pgtest.Redis) error { p.Latency(200 * time.Millisecond); return nil },
			func(p *faultnet.Proxy, _ *pgtest.Redis) error { return p.Heal() }},
		"stopped process": {
			func(_ *faultnet.Proxy, r *pgtest.Redis) error { return r.Pause() },
			func(_ *faultnet.Proxy, r *pgtest.Redis) error { return r.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			g, proxy, server := behindProxy(t, Options{MaxBackoff: 200 * time.Millisecond})
			if err := fault.begin(proxy, server); err != nil {
				t.Fatal(err)
			}
			var callers sync.WaitGroup
			began := time.Now()
			for range 20 {
				callers.Go(func() {
					before := time.Now()
					if values, err := g.Get(t.Context(), "name"); err == nil {
						t.Errorf("a value %q in the middle of the fault", values)
					}
					if took := time.Since(before); took > g.options.Hang+slack {
						t.Errorf("a caller was held for %v", took)
					}
				})
			}
			until(t, "the breaker opens", func() bool { return !g.Up() })
			if took := time.Since(began); took > g.options.Hang+slack {
				t.Errorf("opened after %v", took)
			}
			callers.Wait()
			before := time.Now()
			for range 1000 {
				if _, err := g.Get(t.Context(), "name"); !errors.Is(err, cache.ErrRemoteOpen) {
					t.Fatalf("while open: %v", err)
				}
				if err := g.Put(t.Context(), "name", nil, time.Minute); !errors.Is(err, cache.ErrRemoteOpen) {
					t.Fatalf("put while open: %v", err)
				}
			}
			if took := time.Since(before); took > slack {
				t.Errorf("2000 calls while open took %v", took)
			}
			until(t, "a probe", func() bool { return g.Stats().Probes > 2 })
			if s := g.Stats(); s.Up || s.Opened != 1 || s.Hangs == 0 || s.LastError == "" {
				t.Errorf("in the middle of the fault: %+v", s)
			}
			if err := fault.end(proxy, server); err != nil {
				t.Fatal(err)
			}
			waitUp(t, g)
			finds(t, g, "name", "value")
			put(t, g, "other", "written")
			finds(t, g, "other", "written")
		})
	}
}

// A connection that breaks under a call is an error for nobody but that call; a server that is gone opens the breaker at once.
func TestBrokenConnections(t *testing.T) {
	g, proxy, server := behindProxy(t, Options{Hang: time.Second, MaxBackoff: 200 * time.Millisecond})
	big := strings.Repeat("x", 100_000)
	put(t, g, "big", big)

	proxy.CutOnce(50_000) // the second attempt is in time
	if values, err := g.Get(t.Context(), "big"); err != nil || string(values[0].Bytes) != big {
		t.Errorf("after one broken connection: %v", err)
	}

	proxy.CutAfter(50_000)
	values, err := g.Get(t.Context(), "big")
	if err == nil {
		t.Fatalf("half a value: %d bytes", len(values[0].Bytes))
	}
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	finds(t, g, "big", big)

	for range 5 { // connections that were reset while idle are replaced without a word
		proxy.Reset()
		finds(t, g, "name", "value")
	}

	proxy.Refuse()
	began := time.Now()
	if _, err := g.Get(t.Context(), "name"); err == nil {
		t.Fatal("a value from a server that is not there")
	}
	if took := time.Since(began); took > g.options.Hang+slack || g.Up() {
		t.Errorf("up: %v, after %v", g.Up(), took)
	}
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	finds(t, g, "name", "value")

	if err := server.Kill(t.Context()); err != nil { // and all that it held
		t.Fatal(err)
	}
	if _, err := g.Get(t.Context(), "name"); err == nil {
		t.Fatal("a value from a dead server")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	finds(t, g, "name", "")
	put(t, g, "name", "again")
	finds(t, g, "name", "again")
}

// Writers are never held, whatever the store does, and the queue stays within its bounds.
func TestWritesNeverWait(t *testing.T) {
	const limit = 1 << 20
	g, proxy, _ := behindProxy(t, Options{QueueBytes: limit, Hang: 500 * time.Millisecond, MaxBackoff: 200 * time.Millisecond})
	proxy.Stall()
	value := make([]byte, 10_000)
	for n := range 1000 {
		before := time.Now()
		err := g.Put(t.Context(), fmt.Sprint("n", n), value, time.Minute)
		if took := time.Since(before); took > slack {
			t.Fatalf("a put took %v", took)
		}
		if err != nil && !errors.Is(err, cache.ErrRemoteOpen) {
			t.Fatal(err)
		}
		if s := g.Stats(); s.QueuedBytes > limit || s.QueuedBytes < 0 {
			t.Fatalf("%d bytes queued", s.QueuedBytes)
		}
	}
	if err := g.Put(t.Context(), "large", make([]byte, limit), time.Minute); err == nil {
		t.Error("a value larger than the queue was queued")
	}
	until(t, "the breaker opens for a write that hangs", func() bool { return !g.Up() })
	drain(t, g)
	s := g.Stats()
	if s.Dropped[cache.DroppedFull] == 0 || s.Dropped[cache.DroppedOpen] == 0 || s.Queued != 0 || s.QueuedBytes != 0 {
		t.Errorf("after a stall: %+v", s)
	}
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	put(t, g, "after", "x")
	finds(t, g, "after", "x")
}

// The time in the queue is a part of a value's lifetime: its age must not begin anew.
func TestQueuedWritesGrowOld(t *testing.T) {
	g, proxy, _ := behindProxy(t, Options{Hang: bound})
	proxy.Stall()
	const wait = 100 * time.Millisecond
	for n, ttl := range []time.Duration{time.Minute, time.Minute, wait / 2} { // the first goes out at once, and hangs
		if err := g.Put(t.Context(), fmt.Sprint("old", n), []byte("x"), ttl); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			until(t, "the first is under way", func() bool { return g.Stats().Queued == 0 })
		}
	}
	queued := time.Now()
	until(t, "the time passes", func() bool { return time.Since(queued) > wait })
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	drain(t, g)
	values, err := g.Get(t.Context(), "old1", "old2")
	if err != nil || values[0].Bytes == nil || values[0].Remaining > time.Minute-wait {
		t.Errorf("%+v, %v, want at most %v", values, err, time.Minute-wait)
	}
	if s := g.Stats(); values[1].Bytes != nil || s.Dropped[cache.DroppedExpired] != 1 {
		t.Errorf("a value was written after its lifetime: %+v", s)
	}
}

// A Guard in front of a store that was never there neither waits nor fails, and begins when the store does.
func TestStoreThatComesLater(t *testing.T) {
	server := pgtest.StartRedis(t)
	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := guarded(t, server.URL(), Options{MaxBackoff: 200 * time.Millisecond})
	defer g.Close()
	if _, err := g.Get(t.Context(), "name"); !errors.Is(err, cache.ErrRemoteOpen) {
		t.Errorf("%v", err)
	}
	until(t, "some probes", func() bool { return g.Stats().Probes >= 3 })
	if last := g.Stats().LastError; !strings.Contains(last, "is Redis running") {
		t.Errorf("last error: %s", last)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	put(t, g, "name", "x")
	finds(t, g, "name", "x")
}
