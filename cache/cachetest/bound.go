package cachetest

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/pgrecall/pgrecall/cache"
)

// staysUnderItsLimit puts many times what there is room for from several goroutines, of very
// different sizes, and looks at the books all the time.
func staysUnderItsLimit(t *testing.T, s Suite) {
	const limit = 1 << 20
	tier := s.open(t, limit)
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 2))
			for range 3000 {
				key := Key(rng.Uint64N(2000))
				tier.Put(key, Entry(key, 1, rng.IntN(30<<10)>>rng.IntN(8)))
				if stats := tier.Stats(); stats.Bytes > stats.LimitBytes || stats.Bytes < 0 {
					t.Errorf("%d bytes held, limit %d", stats.Bytes, stats.LimitBytes)
					return
				}
			}
		})
	}
	wg.Wait()
	s.settle(tier)
	stats := tier.Stats()
	if stats.LimitBytes != limit {
		t.Errorf("limit %d, want %d", stats.LimitBytes, limit)
	}
	if stats.Bytes < limit/2 {
		t.Errorf("%d bytes held after a flood: the limit of %d is hardly used", stats.Bytes, limit)
	}
	if stats.Evictions[cache.EvictedSize] == 0 {
		t.Error("nothing was evicted")
	}
	// What it says that it holds is what can be found.
	var found int64
	for n := range uint64(2000) {
		if e := tier.Get(Key(n)); e != nil {
			found += int64(e.Size())
		}
	}
	if found > stats.Bytes {
		t.Errorf("%d bytes found, %d accounted for", found, stats.Bytes)
	}
}

// refusesTheTooLarge: one result must not push out all others, and a result that is not stored must
// not leave the one before it in its place.
func refusesTheTooLarge(t *testing.T, s Suite) {
	tier := s.open(t, 1<<20)
	for n := range uint64(100) {
		tier.Put(Key(n), Entry(Key(n), 1, 100))
	}
	tier.Put(Key(7), Entry(Key(7), 2, 900<<10))
	s.settle(tier)
	if e := tier.Get(Key(7)); e != nil {
		t.Errorf("entry of %d bytes found", e.Size())
	}
	stats := tier.Stats()
	if stats.Evictions[cache.EvictedRefused] != 1 || stats.Entries != 99 {
		t.Errorf("%d refused and %d left, want 1 and 99", stats.Evictions[cache.EvictedRefused], stats.Entries)
	}
}
