package remotetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// oneClaims: of many that claim a name at once one is told that it is his.
func oneClaims(t *testing.T, s *subject) {
	var claimed atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			ok, err := s.Claim(s.ctx, s.name(1), time.Minute)
			if err != nil {
				t.Error(err)
			}
			if ok {
				claimed.Add(1)
			}
		})
	}
	group.Wait()
	if n := claimed.Load(); n != 1 {
		t.Errorf("%d claims of one name", n)
	}
	s.claim(t, s.name(2), time.Minute, true)
	s.put(t, s.name(3), "x", time.Minute)
	s.claim(t, s.name(3), time.Minute, false)
	s.want(t, s.name(3), []byte("x"))
}

// claimsEnd: with their lifetimes, or when they are deleted.
func claimsEnd(t *testing.T, s *subject) {
	s.claim(t, s.name(1), time.Minute, true)
	if err := s.Delete(s.ctx, s.name(1)); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	s.claim(t, s.name(1), time.Minute, true)

	ttl := max(100*time.Millisecond, s.Unit)
	began := time.Now()
	s.claim(t, s.name(2), ttl, true)
	for {
		ok, err := s.Claim(s.ctx, s.name(2), ttl)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			break
		}
		if late := time.Since(began); late > ttl+2*s.Unit+time.Second {
			t.Fatalf("a claim for %v holds after %v", ttl, late)
		}
	}
	if _, err := s.Claim(s.ctx, s.name(4), 0); err == nil {
		t.Errorf("a claim for no time was taken")
	}
}

func (s *subject) claim(t *testing.T, name string, ttl time.Duration, want bool) {
	t.Helper()
	ok, err := s.Claim(s.ctx, name, ttl)
	if err != nil || ok != want {
		t.Fatalf("claim %s: %v, %v, want %v", name, ok, err, want)
	}
}
