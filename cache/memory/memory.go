package memory

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/pgrecall/pgrecall/cache"
)

// slack is the part of the limit, one in so many, that the policy leaves free: the room in which
// an entry lies between its Put and the eviction that makes up for it. It is the size of the
// largest entry admitted, too.
const slack = 32

// MinLimit is the smallest limit that New accepts, in bytes.
const MinLimit = 64 << 10

// Options say how large a Cache is and what its sweep removes.
type Options struct {
	// LimitBytes is the most that all entries may take together, as Entry.Size counts. It holds at
	// every moment. At least MinLimit.
	LimitBytes int64
	// MaxEntryBytes is the size above which an entry is refused. Zero, and anything above it,
	// means a 32nd of LimitBytes.
	MaxEntryBytes int64
	// MaxAge is the longest TTL of any rule: older entries are dead weight. Zero keeps them.
	MaxAge time.Duration
	// Valid tells whether an entry may still answer anybody, as far as its stamp says. Nil keeps all.
	Valid func(*cache.Entry) bool
	// SweepInterval is the pause between sweeps. Zero means that only calls of Sweep sweep.
	SweepInterval time.Duration
	// Clock is the clock of Entry.Filled; cache.Monotonic when nil.
	Clock cache.Clock
}

// Cache is a cache.Tier in memory.
type Cache struct {
	entries  *otter.Cache[cache.Key, *cache.Entry]
	limit    int64
	maxEntry int64
	maxAge   atomic.Int64
	valid    func(*cache.Entry) bool
	clock    cache.Clock
	sweeper  sweeper

	// held is the size of everything in entries, and of what is about to be. It is counted here
	// because the engine learns of a Put only when it gets round to it.
	held      atomic.Int64
	evictions [reasonCount]atomic.Uint64
}

var _ cache.Tier = (*Cache)(nil)

// reason indexes the counters of evictions.
type reason uint8

const (
	bySize reason = iota
	byExpired
	byInvalid
	byReplaced
	byFlushed
	byRefused
	reasonCount
)

// New returns an empty Cache. With a SweepInterval it owns a goroutine, which Close ends.
func New(o Options) (*Cache, error) {
	if o.LimitBytes < MinLimit {
		return nil, fmt.Errorf("limit of %d bytes is less than %d", o.LimitBytes, MinLimit)
	}
	room := o.LimitBytes / slack
	c := &Cache{limit: o.LimitBytes, maxEntry: min(room, math.MaxUint32), valid: o.Valid, clock: o.Clock}
	if o.MaxEntryBytes > 0 {
		c.maxEntry = min(c.maxEntry, o.MaxEntryBytes)
	}
	if c.clock == nil {
		c.clock = cache.Monotonic
	}
	c.maxAge.Store(int64(o.MaxAge))
	entries, err := otter.New(&otter.Options[cache.Key, *cache.Entry]{
		MaximumWeight:    uint64(o.LimitBytes - room),
		Weigher:          func(_ cache.Key, e *cache.Entry) uint32 { return uint32(e.Size()) },
		OnAtomicDeletion: c.onDeletion,
		// Who writes also evicts: no goroutines, and the better hit ratio of the two (docs/l1.md).
		Executor: func(task func()) { task() },
	})
	if err != nil {
		return nil, fmt.Errorf("memory tier: %w", err)
	}
	c.entries = entries
	if o.SweepInterval > 0 {
		c.sweeper.start(c, o.SweepInterval)
	}
	return c, nil
}

// onDeletion keeps the books. It runs under a lock of the engine and must not call it.
func (c *Cache) onDeletion(d otter.DeletionEvent[cache.Key, *cache.Entry]) {
	c.held.Add(-int64(d.Value.Size()))
	switch d.Cause {
	case otter.CauseReplacement:
		c.evictions[byReplaced].Add(1)
	case otter.CauseInvalidation: // counted by who asked for it, who knows why
	default:
		c.evictions[bySize].Add(1)
	}
}

// Get implements cache.Tier. It allocates nothing.
func (c *Cache) Get(key cache.Key) *cache.Entry {
	e, _ := c.entries.GetIfPresent(key)
	return e
}

// Put implements cache.Tier. An entry is refused when it is larger than MaxEntryBytes, or when
// others are put at the same time faster than room can be made for all of them.
func (c *Cache) Put(key cache.Key, entry *cache.Entry) {
	size := int64(entry.Size())
	if size > c.maxEntry || !c.claim(size) {
		c.entries.Invalidate(key)
		c.evictions[byRefused].Add(1)
		return
	}
	c.entries.Set(key, entry)
}

// claim counts the size in where it fits under the limit, after an eviction if need be.
func (c *Cache) claim(size int64) bool {
	if c.reserve(size) {
		return true
	}
	c.entries.CleanUp() // the engine may have evictions to catch up with
	return c.reserve(size)
}

// reserve counts the size in unless that would exceed the limit. It compares and swaps: a sum that is
// taken back when it turns out too large would be seen by others, and refuse what there is room for.
func (c *Cache) reserve(size int64) bool {
	for {
		held := c.held.Load()
		if held+size > c.limit {
			return false
		}
		if c.held.CompareAndSwap(held, held+size) {
			return true
		}
	}
}

// Delete implements cache.Tier.
func (c *Cache) Delete(key cache.Key) {
	if _, found := c.entries.Invalidate(key); found {
		c.evictions[byInvalid].Add(1)
	}
}

// DeleteFunc implements cache.Tier.
func (c *Cache) DeleteFunc(f func(*cache.Entry) bool) int {
	return c.removeIf(func(e *cache.Entry) (reason, bool) { return byFlushed, f(e) })
}

// removeIf removes the entries that judge wants removed and counts each under the reason it gave.
// An entry that came under the same key in the meantime stays.
func (c *Cache) removeIf(judge func(*cache.Entry) (reason, bool)) (removed int) {
	for key, entry := range c.entries.All() {
		why, remove := judge(entry)
		if !remove {
			continue
		}
		gone := false
		c.entries.ComputeIfPresent(key, func(present *cache.Entry) (*cache.Entry, otter.ComputeOp) {
			if gone = present == entry; gone {
				return nil, otter.InvalidateOp
			}
			return nil, otter.CancelOp
		})
		if gone {
			c.evictions[why].Add(1)
			removed++
		}
	}
	return removed
}

// SetMaxAge replaces Options.MaxAge, for rules that were loaded anew.
func (c *Cache) SetMaxAge(age time.Duration) { c.maxAge.Store(int64(age)) }

// Stats implements cache.Tier.
func (c *Cache) Stats() cache.Stats {
	evictions := make(map[string]uint64, reasonCount)
	for why, label := range [reasonCount]string{
		bySize: cache.EvictedSize, byExpired: cache.EvictedExpired, byInvalid: cache.EvictedInvalid,
		byReplaced: cache.EvictedReplaced, byFlushed: cache.EvictedFlushed, byRefused: cache.EvictedRefused,
	} {
		evictions[label] = c.evictions[why].Load()
	}
	return cache.Stats{
		Entries:    c.entries.EstimatedSize(),
		Bytes:      c.held.Load(),
		LimitBytes: c.limit,
		Evictions:  evictions,
	}
}

// Close implements cache.Tier: it ends the sweep, waiting for one that is under way, and drops all entries.
func (c *Cache) Close() {
	c.sweeper.stop()
	c.entries.InvalidateAll()
	c.entries.StopAllGoroutines()
}
