package bus

import (
	"math"
	"sync/atomic"
	"time"
)

// clock measures from its making. It has no relation to those of other machines.
type clock struct{ start time.Time }

// now returns the monotonic time since the clock was made.
func (c *clock) now() time.Duration { return time.Since(c.start) }

// deadline is a moment after which something is over. Any goroutine may read it.
//
// The monotonic clock stands still while the machine is suspended; the wall clock may be set back. So the moment is kept on both, and
// is over when either says so.
type deadline struct{ monotonic, wall atomic.Int64 }

// set moves the deadline; not after the present means that it is over.
func (d *deadline) set(c *clock, moment time.Duration) {
	now := time.Now()
	left := moment - now.Sub(c.start)
	if left <= 0 {
		d.clear()
		return
	}
	d.wall.Store(now.UnixNano() + int64(left))
	d.monotonic.Store(int64(moment))
}

// clear ends it.
func (d *deadline) clear() {
	d.monotonic.Store(math.MinInt64)
	d.wall.Store(math.MinInt64)
}

// ahead tells whether the deadline has not come yet.
func (d *deadline) ahead(c *clock) bool {
	now := time.Now()
	return int64(now.Sub(c.start)) < d.monotonic.Load() && now.UnixNano() < d.wall.Load()
}
