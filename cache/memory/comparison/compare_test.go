package comparison

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/invalidator"
)

var source = &cache.Source{Database: "postgres"}

// keyOf spreads n over the key as SHA-256 would (splitmix64).
func keyOf(n uint64) (k cache.Key) {
	for i := 0; i < 4; i++ {
		n += 0x9e3779b97f4a7c15
		z := n
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(k[8*i:], z^z>>31)
	}
	return k
}

// oneRow is a lookup by primary key: row description, a row, a tag, two marks.
func oneRow() *cache.Entry {
	return cache.NewEntry(nil, make([]byte, 60), make([]byte, 40), make(invalidator.Stamp, 2), source, 0, 0)
}

func ofSize(n int) *cache.Entry {
	return cache.NewEntry(nil, nil, make([]byte, n), make(invalidator.Stamp, 2), source, 0, 0)
}

// BenchmarkHitRatio replays a million requests over 200,000 keys that follow a zipf distribution;
// after every 50,000 of them a scan asks for 20,000 keys that nobody asks for again. The cache
// has room for a tenth of the keys. Reported is the hit ratio of the requests without the scans.
func BenchmarkHitRatio(b *testing.B) {
	for _, s := range []float64{1.01, 1.2} {
		for _, scans := range []bool{false, true} {
			for _, c := range candidates {
				b.Run(fmt.Sprintf("s=%v/scans=%v/%s", s, scans, c.name), func(b *testing.B) {
					var hits, requests int
					for b.Loop() {
						hits, requests = replay(c, s, scans)
					}
					b.ReportMetric(100*float64(hits)/float64(requests), "hit%")
				})
			}
		}
	}
}

func replay(c newCandidate, s float64, scans bool) (hits, requests int) {
	const keys = 200_000
	// Sizes are a property of the key: most results are small, some large.
	size := func(n uint64) int { return 60 + int(n*2654435761%64)*int(n%7) }
	var total int64
	for n := range uint64(keys) {
		total += int64(ofSize(size(n)).Size())
	}
	tier := c.make(total / 10)
	zipf := rand.NewZipf(rand.New(rand.NewSource(1)), s, 1, keys-1)
	next := uint64(1 << 40)
	for i := range 1_000_000 {
		n := zipf.Uint64()
		key := keyOf(n)
		requests++
		if tier.Get(key) != nil {
			hits++
		} else {
			tier.Put(key, ofSize(size(n)))
		}
		if scans && i%50_000 == 49_999 {
			for range 20_000 {
				next++
				if key := keyOf(next); tier.Get(key) == nil {
					tier.Put(key, ofSize(size(next)))
				}
			}
		}
	}
	return hits, requests
}

// BenchmarkGet reads 100,000 small entries, zipf distributed, from a cache that is three quarters
// full (an emptier otter does not record reads), with one goroutine and with four for each
// processor: eight on two.
func BenchmarkGet(b *testing.B) {
	const entries = 100_000
	zipf := rand.NewZipf(rand.New(rand.NewSource(1)), 1.01, 1, entries-1)
	order := make([]cache.Key, 1<<16)
	for i := range order {
		order[i] = keyOf(zipf.Uint64())
	}
	for _, c := range candidates {
		tier := c.make(entries * int64(oneRow().Size()) * 4 / 3)
		for n := range uint64(entries) {
			tier.Put(keyOf(n), oneRow())
		}
		tier.Settle()
		b.Run("goroutines=1/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				tier.Get(order[i%uint32(len(order))])
			}
		})
		b.Run("goroutines=8/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(1, 8/runtime.GOMAXPROCS(0)))
			var start atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				for i := start.Add(1) * 7919; pb.Next(); i++ {
					tier.Get(order[i%uint32(len(order))])
				}
			})
		})
	}
}

// BenchmarkPut replaces and evicts all the time, with as many goroutines.
func BenchmarkPut(b *testing.B) {
	for _, c := range candidates {
		tier := c.make(16 << 20)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(max(1, 8/runtime.GOMAXPROCS(0)))
			var n atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					tier.Put(keyOf(n.Add(1)), oneRow())
				}
			})
		})
	}
}

// BenchmarkBound lets eight goroutines put results of up to 64 KiB into 16 MiB and reports the
// most that was held at any time, in percent of the limit.
func BenchmarkBound(b *testing.B) {
	const limit = 16 << 20
	for _, c := range candidates {
		b.Run(c.name, func(b *testing.B) {
			var peak int64
			for b.Loop() {
				tier := c.make(limit)
				var wg sync.WaitGroup
				var most atomic.Int64
				for g := range 8 {
					wg.Go(func() {
						rng := rand.New(rand.NewSource(int64(g)))
						for range 5_000 {
							tier.Put(keyOf(rng.Uint64()), ofSize(rng.Intn(64<<10)))
							for held := tier.Held(); ; {
								old := most.Load()
								if held <= old || most.CompareAndSwap(old, held) {
									break
								}
							}
						}
					})
				}
				wg.Wait()
				peak = max(peak, most.Load())
			}
			b.ReportMetric(100*float64(peak)/limit, "peak%")
		})
	}
}

// BenchmarkMemory fills a cache with 200,000 one-row results and reports what each takes on the
// heap, all in, beside what Size says.
func BenchmarkMemory(b *testing.B) {
	const entries = 200_000
	for _, c := range candidates {
		b.Run(c.name, func(b *testing.B) {
			var each float64
			for b.Loop() {
				before := heap()
				tier := c.make(1 << 30)
				for n := range uint64(entries) {
					tier.Put(keyOf(n), oneRow())
				}
				tier.Settle()
				each = float64(heap()-before) / entries
				runtime.KeepAlive(tier)
			}
			b.ReportMetric(each, "B/entry")
			b.ReportMetric(float64(oneRow().Size()), "B/Size")
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
