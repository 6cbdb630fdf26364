package remotetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// lifetimesCount: what remains is never more than the truth, and what is said goes down.
func lifetimesCount(t *testing.T, s *subject) {
	const ttl = time.Minute
	before := time.Now()
	s.put(t, s.name(1), "x", ttl)
	first := s.want(t, s.name(1), []byte("x")).Remaining
	if s.Coarse {
		if first != cache.UnknownLifetime {
			t.Errorf("remaining lifetime %v, want UnknownLifetime", first)
		}
		return
	}
	if first <= ttl-time.Since(before)-10*time.Millisecond || first > ttl {
		t.Errorf("remaining lifetime %v of %v after %v", first, ttl, time.Since(before))
	}
	for deadline := time.Now().Add(bound); ; {
		asked := time.Now()
		next := s.want(t, s.name(1), []byte("x")).Remaining
		if next > first {
			t.Fatalf("the remaining lifetime went from %v to %v", first, next)
		}
		if truth := ttl - asked.Sub(before); next > truth+time.Since(before) {
			t.Fatalf("remaining lifetime %v, but %v is the truth", next, truth)
		}
		if next < first {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the remaining lifetime stays at %v", next)
		}
	}
	s.put(t, s.name(1), "x", 2*ttl)
	if renewed := s.want(t, s.name(1), []byte("x")).Remaining; renewed <= ttl {
		t.Errorf("remaining lifetime %v after a new put for %v", renewed, 2*ttl)
	}
}

// lifetimesEnd: not before their time, as hits would be lost, nor long after it, as memory would be.
func lifetimesEnd(t *testing.T, s *subject) {
	ttl := max(300*time.Millisecond, s.Unit)
	before := time.Now()
	s.put(t, s.name(1), "x", ttl)
	s.put(t, s.name(2), "x", time.Minute)
	put := time.Now()
	for {
		asked := time.Now()
		values, err := s.Get(s.ctx, s.name(1))
		if err != nil {
			t.Fatal(err)
		}
		if values[0].Bytes == nil {
			// memcached's clock ticks once a second, and a lifetime may end at the tick before. A Guard rounds down what is
			// left when a write's turn comes.
			if answered := time.Now(); answered.Sub(before) < ttl-s.Unit-5*time.Millisecond {
				t.Errorf("gone after %v, want %v", answered.Sub(before), ttl)
			}
			break
		}
		if late := asked.Sub(put); late > ttl+2*s.Unit+time.Second {
			t.Fatalf("still there after %v, put for %v", late, ttl)
		}
	}
	s.want(t, s.name(2), []byte("x"))
}

// anEndedContextEndsTheCall: a caller that gave up is not held.
func anEndedContextEndsTheCall(t *testing.T, s *subject) {
	s.put(t, s.name(1), "x", time.Minute)
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	before := time.Now()
	if _, err := s.Get(ended, s.name(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Flush(ended, cache.NamespacePrefix(s.namespace)); !errors.Is(err, context.Canceled) {
		t.Errorf("flush: %v", err)
	}
	if err := s.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ping: %v", err)
	}
	if took := time.Since(before); took > time.Second {
		t.Errorf("three calls with an ended context took %v", took)
	}
	s.want(t, s.name(1), []byte("x"))
}

func statsCount(t *testing.T, s *subject) {
	before := s.Stats()
	s.put(t, s.name(1), "four", time.Minute)
	s.put(t, s.name(2), "", time.Minute)
	if _, err := s.Get(s.ctx, s.name(1), s.name(2), s.name(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(s.ctx, s.name(1)); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	after := s.Stats()
	for name, figures := range map[string][2]uint64{
		"hits":          {after.Hits - before.Hits, 2},
		"misses":        {after.Misses - before.Misses, 1},
		"written":       {after.Written - before.Written, 2},
		"deleted":       {after.Deleted - before.Deleted, 1},
		"bytes read":    {after.BytesRead - before.BytesRead, 4},
		"bytes written": {after.BytesWritten - before.BytesWritten, 4},
		"errors":        {after.Errors - before.Errors, 0},
	} {
		if figures[0] != figures[1] {
			t.Errorf("%s: %d, want %d", name, figures[0], figures[1])
		}
	}
	if after.Connections < 1 {
		t.Errorf("%d connections", after.Connections)
	}
}

func callsAfterCloseFailAtOnce(t *testing.T, s *subject) {
	store := s.New(t)
	other := &subject{Suite: s.Suite, Remote: store, ctx: s.ctx, namespace: s.namespace}
	other.put(t, s.name(1), "x", time.Minute)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(s.ctx, s.name(1)); !errors.Is(err, cache.ErrRemoteClosed) {
		t.Errorf("get: %v", err)
	}
	if err := store.Put(s.ctx, s.name(1), nil, time.Minute); !errors.Is(err, cache.ErrRemoteClosed) {
		t.Errorf("put: %v", err)
	}
	if err := store.Ping(s.ctx); !errors.Is(err, cache.ErrRemoteClosed) {
		t.Errorf("ping: %v", err)
	}
	s.want(t, s.name(1), []byte("x"))
}
