package bus

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// row is a row in PostgreSQL whose versions are counted, and what is known of it.
type row struct{ committed, known atomic.Int64 }

func (r *row) learn(version int64) {
	for {
		known := r.known.Load()
		if version <= known || r.known.CompareAndSwap(known, version) {
			return
		}
	}
}

// cached is an entry of a proxy's L1.
type cached struct {
	version int64
	stamp   invalidator.Stamp
}

// TestNobodyReadsTheOldWhileRedisFails lets three proxies read and write a row while Redis loses its data, hangs, and is out of reach of
// some. No read may return what is older than what somebody knew when it began.
func TestNobodyReadsTheOldWhileRedisFails(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	var r row
	var reads, hits, writes atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 10*f.lease)
	defer cancel()
	var work sync.WaitGroup
	for _, p := range f.all {
		var entry atomic.Pointer[cached]
		slots := []invalidator.Slot{p.slots.Database("db"), p.slots.Relation("db", 1)}
		work.Go(func() {
			for ctx.Err() == nil {
				floor := r.known.Load()
				reads.Add(1)
				var version int64
				if p.Live() {
					if e := entry.Load(); e != nil && p.slots.Valid(e.stamp) {
						hits.Add(1)
						if version = e.version; version < floor {
							t.Errorf("version %d out of the cache where %d was known", version, floor)
							cancel()
						}
						r.learn(version)
						continue
					}
				}
				stamp, unfenced := p.slots.Stamp(slots)
				version = r.committed.Load()
				if unfenced && p.slots.Valid(stamp) {
					entry.Store(&cached{version, stamp})
				}
				r.learn(version)
			}
		})
		work.Go(func() {
			for ctx.Err() == nil {
				own := &invalidator.Fence{}
				own.Add(p.slots, slots[1])
				own.Raise(p.slots, slots[0])
				token, ok := p.Fence(ctx, Tags{Database: "db", Relations: []uint32{1}}, true)
				if ok {
					r.learn(r.committed.Add(1))
					writes.Add(1)
				}
				p.Release(token, ok)
				own.Release(p.slots, ok)
				pause(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
			}
		})
	}
	work.Go(func() {
		for round := 0; ctx.Err() == nil; round++ {
			pause(ctx, f.lease/2)
			switch p := f.all[rand.IntN(len(f.all))]; round % 3 {
			case 0:
				p.link.set(true)
				pause(ctx, time.Duration(rand.IntN(int(2*f.lease))))
				p.link.set(false)
			case 1:
				p.client.FlushAll(ctx)
			case 2:
				_ = f.redis.Pause()
				pause(ctx, time.Duration(rand.IntN(int(2*f.lease))))
				_ = f.redis.Resume()
			}
			for _, p := range f.all {
				p.AwaitLive(ctx)
			}
		}
	})
	work.Wait()
	t.Logf("%d reads, %d hits, %d writes", reads.Load(), hits.Load(), writes.Load())
	if hits.Load() == 0 || writes.Load() == 0 {
		t.Error("nothing was tested")
	}
}

// pause lets time pass: the failures of this test last for some of it.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
