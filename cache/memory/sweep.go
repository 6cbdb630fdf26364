package memory

import (
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// Sweep removes the entries that are older than MaxAge and those that valid refuses (nil: none),
// and returns their number. It visits every entry once, some hundred nanoseconds each, and shares
// no lock with Get. An entry may be refused for a fence that is up only now: that costs a hit.
func (c *Cache) Sweep(valid func(*cache.Entry) bool) int {
	now, age := c.clock(), c.maxAge.Load()
	return c.removeIf(func(e *cache.Entry) (reason, bool) {
		switch {
		case age > 0 && now-e.Filled >= age:
			return byExpired, true
		case valid != nil && !valid(e):
			return byInvalid, true
		}
		return 0, false
	})
}

// sweepShare bounds what sweeping costs: a pause is at least so many times as long as the sweep
// before it, which makes less than 2% of one processor however large the cache is.
const sweepShare = 50

// sweeper is the goroutine that sweeps a Cache now and then.
type sweeper struct {
	quit chan struct{}
	done sync.WaitGroup
}

func (s *sweeper) start(c *Cache, interval time.Duration) {
	s.quit = make(chan struct{})
	s.done.Go(func() {
		timer := time.NewTimer(interval)
		defer timer.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-timer.C:
			}
			began := time.Now()
			c.Sweep(c.valid)
			timer.Reset(max(interval, sweepShare*time.Since(began)))
		}
	})
}

func (s *sweeper) stop() {
	if s.quit != nil {
		close(s.quit)
		s.done.Wait()
	}
}
