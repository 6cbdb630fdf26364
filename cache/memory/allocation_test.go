//go:build !race

// The race detector has allocations of its own.

package memory_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/memory"
)

func TestGetDoesNotAllocate(t *testing.T) {
	c := open(t, memory.Options{LimitBytes: 1 << 20})
	defer c.Close()
	for i := range uint64(2000) { // full: reads are recorded, evictions happen
		c.Put(cachetest.Key(i), oneRow(nil, 0))
	}
	hit, miss := cachetest.Key(1999), cachetest.Key(1<<40)
	c.Put(hit, oneRow(nil, 0))
	if n := testing.AllocsPerRun(10_000, func() { c.Get(hit); c.Get(miss) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSizeIsHonest holds the books to the heap: what the tier says that it holds is within a tenth
// of what the allocator gave for it, at any number of entries (the tables double) and any size.
func TestSizeIsHonest(t *testing.T) {
	for _, c := range []struct{ entries, bytes int }{
		{30_000, 40}, {100_000, 40}, {30_000, 400}, {4_000, 5_000}, {500, 40_000},
	} {
		held, heap := measure(t, c.entries, c.bytes)
		if ratio := float64(held) / float64(heap); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%d entries of %d bytes: %d accounted for, %d on the heap (%.2f)", c.entries, c.bytes, held, heap, ratio)
		}
		if c.bytes == 40 && heap/int64(c.entries) > 600 {
			t.Errorf("a one-row result takes %d bytes", heap/int64(c.entries))
		}
	}
}
