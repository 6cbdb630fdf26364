package memory_test

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/invalidator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, o memory.Options) *memory.Cache {
	tb.Helper()
	c, err := memory.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestContract(t *testing.T) {
	cachetest.Run(t, cachetest.Suite{
		New: func(tb testing.TB, limit int64) cache.Tier {
			return open(tb, memory.Options{LimitBytes: limit})
		},
		Bounded: true,
	})
}

func TestNewRefusesATinyLimit(t *testing.T) {
	for _, limit := range []int64{math.MinInt64, 0, memory.MinLimit - 1} {
		if _, err := memory.New(memory.Options{LimitBytes: limit}); err == nil {
			t.Errorf("limit %d accepted", limit)
		}
	}
}

func TestMaxEntryBytes(t *testing.T) {
	c := open(t, memory.Options{LimitBytes: 1 << 20, MaxEntryBytes: 2000})
	defer c.Close()
	for size, want := range map[int]bool{1000: true, 3000: false} {
		c.Put(cachetest.Key(1), cachetest.Entry(cachetest.Key(1), 1, size))
		if found := c.Get(cachetest.Key(1)) != nil; found != want {
			t.Errorf("entry of %d bytes admitted: %v", size, found)
		}
	}
}

func oneRow(stamp invalidator.Stamp, filled int64) *cache.Entry {
	return cache.NewEntry(nil, make([]byte, 60), make([]byte, 40), stamp, &cache.Source{}, filled, 1)
}

func TestSweepRemovesTheOldAndTheInvalid(t *testing.T) {
	now := int64(0)
	c := open(t, memory.Options{LimitBytes: 1 << 20, MaxAge: 100, Clock: func() int64 { return now }})
	defer c.Close()
	slots := invalidator.NewSlots()
	valid := func(e *cache.Entry) bool { return slots.Valid(e.Stamp) }
	for i := range uint64(100) {
		stamp, _ := slots.Stamp([]invalidator.Slot{invalidator.Slot(i % 4)})
		c.Put(cachetest.Key(i), oneRow(stamp, int64(i)))
	}
	slots.Bump(2)
	now = 150 // everything up to 50 is too old
	if n := c.Sweep(valid); n != 51+12 {
		t.Errorf("%d removed, want 63", n)
	}
	for i := range uint64(100) {
		if found := c.Get(cachetest.Key(i)) != nil; found != (i > 50 && i%4 != 2) {
			t.Errorf("entry %d found: %v", i, found)
		}
	}
	evictions := c.Stats().Evictions
	if evictions[cache.EvictedExpired] != 51 || evictions[cache.EvictedInvalid] != 12 {
		t.Errorf("evictions %v", evictions)
	}
	// A rule with a longer life, then one with a shorter.
	c.SetMaxAge(0)
	now = 1000
	if n := c.Sweep(nil); n != 0 {
		t.Errorf("%d removed though nothing expires", n)
	}
	c.SetMaxAge(1)
	if n := c.Sweep(nil); n != 37 {
		t.Errorf("%d removed, want 37", n)
	}
}

// TestSweepSparesTheSuccessor: what came under the key after the sweep had judged its predecessor stays.
func TestSweepSparesTheSuccessor(t *testing.T) {
	c := open(t, memory.Options{LimitBytes: 1 << 20})
	defer c.Close()
	key, successor := cachetest.Key(1), oneRow(nil, 1)
	c.Put(key, oneRow(nil, 0))
	if n := c.Sweep(func(*cache.Entry) bool { c.Put(key, successor); return false }); n != 0 {
		t.Errorf("%d removed", n)
	}
	if c.Get(key) != successor {
		t.Error("the successor is gone")
	}
}

func TestSweeperRunsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Bool
		c := open(t, memory.Options{
			LimitBytes:    1 << 20,
			SweepInterval: time.Minute,
			Valid:         func(*cache.Entry) bool { return !refuse.Load() },
		})
		c.Put(cachetest.Key(1), oneRow(nil, 0))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if c.Get(cachetest.Key(1)) == nil {
			t.Error("a valid entry was swept away")
		}
		refuse.Store(true)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if c.Get(cachetest.Key(1)) != nil {
			t.Error("an invalid entry is still there after a sweep")
		}
		c.Close()
	})
}

// TestScanLeavesHotEntries asks for a few entries again and again while ten times the room passes
// through once: most of the few must stay.
func TestScanLeavesHotEntries(t *testing.T) {
	const hot = 200
	size := int64(oneRow(nil, 0).Size())
	c := open(t, memory.Options{LimitBytes: 1000 * size})
	defer c.Close()
	next := uint64(1 << 32)
	hits, asked := 0, 0
	for round := range 100 {
		for i := range uint64(hot) {
			asked++
			if c.Get(cachetest.Key(i)) != nil {
				hits++
			} else {
				c.Put(cachetest.Key(i), oneRow(nil, 0))
			}
		}
		if round >= 5 {
			for range 100 {
				next++
				c.Put(cachetest.Key(next), oneRow(nil, 0))
			}
		}
	}
	if hits*100 < asked*95 {
		t.Errorf("%d hits of %d", hits, asked)
	}
}
