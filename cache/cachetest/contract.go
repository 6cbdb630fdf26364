package cachetest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgrecall/pgrecall/cache"
)

func getOfNothing(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	if e := tier.Get(Key(1)); e != nil {
		t.Errorf("an empty tier answers %+v", e)
	}
	tier.Delete(Key(1))
	if n := tier.DeleteFunc(func(*cache.Entry) bool { return true }); n != 0 {
		t.Errorf("%d entries removed from nothing", n)
	}
}

func getReturnsWhatWasPut(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	// A nil Row (nobody asked) is not an empty one, and a result without rows is a result (TRAPS 21).
	messages := [][]byte{nil, {}, []byte("x"), make([]byte, 5000)}
	n := uint64(0)
	for _, parameters := range messages {
		for _, row := range messages {
			for _, data := range messages {
				n++
				want := cache.NewEntry(parameters, row, data, nil, source, cache.Monotonic(), 1)
				tier.Put(Key(n), want)
				s.settle(tier)
				for range 3 {
					got := tier.Get(Key(n))
					if got == nil {
						t.Fatalf("entry %d is not found", n)
					}
					if err := Same(got, want); err != nil {
						t.Errorf("entry %d: %v", n, err)
					}
				}
			}
		}
	}
}

func keysAreComparedWhole(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	key := Key(1)
	tier.Put(key, Entry(key, 1, 0))
	s.settle(tier)
	for bit := range 256 {
		other := key
		other[bit/8] ^= 1 << (bit % 8)
		if tier.Get(other) != nil {
			t.Errorf("a key that differs in bit %d finds the entry", bit)
		}
	}
	if tier.Get(key) == nil {
		t.Error("the entry is not found")
	}
}

func putReplaces(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	key := Key(1)
	for version := range uint64(10) {
		tier.Put(key, Entry(key, version, int(version)*100))
		s.settle(tier)
		e := tier.Get(key)
		if e == nil {
			t.Fatalf("version %d is not found", version)
		}
		if got, _ := Version(e, key); got != version {
			t.Errorf("version %d, want %d", got, version)
		}
	}
}

func deleteForgets(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	for n := range uint64(10) {
		tier.Put(Key(n), Entry(Key(n), 1, 0))
	}
	s.settle(tier)
	tier.Delete(Key(3))
	for n := range uint64(10) {
		if found := tier.Get(Key(n)) != nil; found != (n != 3) {
			t.Errorf("entry %d found: %v", n, found)
		}
	}
	tier.Put(Key(3), Entry(Key(3), 2, 0))
	s.settle(tier)
	if tier.Get(Key(3)) == nil {
		t.Error("a deleted key cannot be put again")
	}
}

func deleteFuncForgets(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	const entries = 1000
	for n := range uint64(entries) {
		tier.Put(Key(n), Entry(Key(n), n, 0))
	}
	s.settle(tier)
	odd := func(e *cache.Entry) bool { return e.Data[40]%2 == 1 }
	if n := tier.DeleteFunc(odd); n != entries/2 {
		t.Errorf("%d removed, want %d", n, entries/2)
	}
	for n := range uint64(entries) {
		if found := tier.Get(Key(n)) != nil; found != (n%2 == 0) {
			t.Fatalf("entry %d found: %v", n, found)
		}
	}
	if n := tier.DeleteFunc(odd); n != 0 {
		t.Errorf("%d removed twice", n)
	}
}

// entriesOutliveTheTier holds entries while they are replaced, evicted and deleted: whoever got one
// may be sending it.
func entriesOutliveTheTier(t *testing.T, s Suite) {
	tier := s.open(t, 256<<10)
	var held []*cache.Entry
	var keys []cache.Key
	for n := range uint64(5000) {
		key := Key(n % 700)
		tier.Put(key, Entry(key, n, 500))
		if e := tier.Get(key); e != nil {
			held, keys = append(held, e), append(keys, key)
		}
	}
	tier.DeleteFunc(func(*cache.Entry) bool { return true })
	for i, e := range held {
		version, belongs := Version(e, keys[i])
		if !belongs || slices.ContainsFunc(e.Data[41:], func(b byte) bool { return b != 0 }) || len(e.Data) != 541 {
			t.Fatalf("entry %d changed in the hands of its holder (version %d)", i, version)
		}
	}
}

func statsCount(t *testing.T, s Suite) {
	tier := s.open(t, roomy)
	var size int64
	for n := range uint64(100) {
		e := Entry(Key(n), 1, int(n))
		size += int64(e.Size())
		tier.Put(Key(n), e)
	}
	s.settle(tier)
	stats := tier.Stats()
	if stats.Entries != 100 {
		t.Errorf("%d entries, want 100", stats.Entries)
	}
	if s.Bounded && stats.Bytes != size {
		t.Errorf("%d bytes, want %d", stats.Bytes, size)
	}
	tier.DeleteFunc(func(*cache.Entry) bool { return true })
	stats = tier.Stats()
	if stats.Entries != 0 || stats.Bytes != 0 && s.Bounded {
		t.Errorf("%d entries of %d bytes in an empty tier", stats.Entries, stats.Bytes)
	}
	if got := stats.Evictions[cache.EvictedFlushed]; got != 100 {
		t.Errorf("%d flushed, want 100", got)
	}
}

func reasonsAreKnown(t *testing.T, s Suite) {
	known := []string{
		cache.EvictedSize, cache.EvictedExpired, cache.EvictedInvalid,
		cache.EvictedReplaced, cache.EvictedFlushed, cache.EvictedRefused,
	}
	for why := range s.open(t, roomy).Stats().Evictions {
		if !slices.Contains(known, why) {
			t.Errorf("unknown reason %q", why)
		}
	}
}

// neverAnswersWhatWasNotPut compares the tier with a map: what it finds is the last that was put
// under the key and not deleted since.
func neverAnswersWhatWasNotPut(t *testing.T, s Suite) {
	rapid.Check(t, func(rt *rapid.T) {
		tier := s.New(t, 128<<10)
		defer tier.Close()
		last := map[uint64]uint64{}
		version := uint64(0)
		number := rapid.Uint64Range(0, 30)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				version++
				n := number.Draw(rt, "n")
				tier.Put(Key(n), Entry(Key(n), version, rapid.IntRange(0, 6<<10).Draw(rt, "size")))
				last[n] = version
			},
			"delete": func(rt *rapid.T) {
				n := number.Draw(rt, "n")
				tier.Delete(Key(n))
				delete(last, n)
			},
			"deleteFunc": func(rt *rapid.T) {
				below := rapid.Uint64Range(0, version).Draw(rt, "below")
				s.settle(tier)
				tier.DeleteFunc(func(e *cache.Entry) bool { return e.Stamp[0].Word < below })
				for n, v := range last {
					if v < below {
						delete(last, n)
					}
				}
			},
			"": func(rt *rapid.T) {
				s.settle(tier)
				for n := range uint64(31) {
					e := tier.Get(Key(n))
					if e == nil {
						continue
					}
					got, belongs := Version(e, Key(n))
					if want, ok := last[n]; !belongs || !ok || got != want {
						rt.Fatalf("key %d answers version %d (its own: %v), want %d (present: %v)", n, got, belongs, want, ok)
					}
				}
			},
		})
	})
}

// concurrent does everything at once, for the race detector, and checks that each key answers with
// its own entries, and with none older than one that the same goroutine has put itself.
func concurrent(t *testing.T, s Suite) {
	tier := s.open(t, 512<<10)
	const goroutines, keysEach = 8, 50
	var wg sync.WaitGroup
	for g := range uint64(goroutines) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 1))
			var newest [keysEach]uint64
			for version := range uint64(1500) {
				own := rng.Uint64N(keysEach)
				key := Key(g*keysEach + own)
				switch rng.IntN(8) {
				case 0, 1, 2:
					newest[own] = version + 1
					tier.Put(key, Entry(key, version+1, rng.IntN(4<<10)))
				case 3:
					tier.Delete(key)
				case 4:
					if version%100 == 0 {
						tier.DeleteFunc(func(e *cache.Entry) bool { return e.Data[40]%2 == 0 })
					}
					tier.Stats()
				default:
					if e := tier.Get(key); e != nil {
						if got, belongs := Version(e, key); !belongs || s.Settle == nil && got != newest[own] {
							t.Errorf("version %d of an entry (its own: %v), want %d", got, belongs, newest[own])
						}
					}
					foreign := Key(rng.Uint64N(goroutines * keysEach))
					if e := tier.Get(foreign); e != nil {
						if _, belongs := Version(e, foreign); !belongs {
							t.Error("an entry of another key")
						}
					}
				}
			}
		})
	}
	wg.Wait()
}
