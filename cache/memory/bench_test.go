package memory_test

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/invalidator"
)

// BenchmarkGet is a hit in a cache that is three quarters full, zipf distributed over 100,000
// entries, alone and with eight goroutines on two processors.
func BenchmarkGet(b *testing.B) {
	const entries = 100_000
	c := open(b, memory.Options{LimitBytes: entries * int64(oneRow(make(invalidator.Stamp, 2), 0).Size()) * 4 / 3})
	defer c.Close()
	for i := range uint64(entries) {
		c.Put(cachetest.Key(i), oneRow(make(invalidator.Stamp, 2), 0))
	}
	zipf := rand.NewZipf(rand.New(rand.NewSource(1)), 1.01, 1, entries-1)
	order := make([]cache.Key, 1<<16)
	for i := range order {
		order[i] = cachetest.Key(zipf.Uint64())
	}
	for _, goroutines := range []int{1, 8} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			b.ReportAllocs()
			if goroutines == 1 {
				i := 0
				for b.Loop() {
					c.Get(order[i%len(order)])
					i++
				}
				return
			}
			b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
			var start atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				for i := start.Add(1) * 7919; pb.Next(); i++ {
					c.Get(order[i%uint32(len(order))])
				}
			})
		})
	}
}

// BenchmarkPut is a fill of a full cache: the making of the entry and an eviction.
func BenchmarkPut(b *testing.B) {
	c := open(b, memory.Options{LimitBytes: 16 << 20})
	defer c.Close()
	row, data, stamp, source := make([]byte, 60), make([]byte, 40), make(invalidator.Stamp, 2), &cache.Source{}
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.Put(cachetest.Key(i), cache.NewEntry(nil, row, data, stamp, source, 0, 0))
	}
}

// BenchmarkSweep visits 200,000 entries and checks their stamps.
func BenchmarkSweep(b *testing.B) {
	const entries = 200_000
	c := open(b, memory.Options{LimitBytes: 1 << 30, MaxAge: 1 << 62})
	defer c.Close()
	slots := invalidator.NewSlots()
	stamp, _ := slots.Stamp([]invalidator.Slot{1, 2})
	for i := range uint64(entries) {
		c.Put(cachetest.Key(i), oneRow(stamp, 0))
	}
	for b.Loop() {
		c.Sweep(func(e *cache.Entry) bool { return slots.Valid(e.Stamp) })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}

// BenchmarkMemory reports what a one-row result takes on the heap, all in, and what Size says.
func BenchmarkMemory(b *testing.B) {
	for _, entries := range []int{50_000, 100_000, 150_000, 200_000, 300_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			var held, heap int64
			for b.Loop() {
				held, heap = measure(b, entries, 40)
			}
			b.ReportMetric(float64(heap)/float64(entries), "B/entry")
			b.ReportMetric(float64(held)/float64(entries), "B/Size")
		})
	}
}

// measure fills a cache with one-row results whose Data has so many bytes and returns what it says
// that it holds and what it takes.
func measure(tb testing.TB, entries, bytes int) (held, heap int64) {
	row, data, stamp, source := make([]byte, 60), make([]byte, bytes), make(invalidator.Stamp, 2), &cache.Source{}
	before := heapInUse()
	c := open(tb, memory.Options{LimitBytes: int64(entries) * int64(bytes+1000) * 2})
	for i := range uint64(entries) {
		c.Put(cachetest.Key(i), cache.NewEntry(nil, row, data, stamp, source, 0, 0))
	}
	heap = heapInUse() - before
	stats := c.Stats()
	if stats.Entries != entries {
		tb.Fatalf("%d entries of %d", stats.Entries, entries)
	}
	c.Close()
	return stats.Bytes, heap
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
