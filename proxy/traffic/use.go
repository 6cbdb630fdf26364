package traffic

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/parser"
)

// Description says what a Use counts. It must not lead back to the Use, which would be counted for ever.
type Description struct {
	Statement *parser.Statement
	Database  string
	Rule      string   // its name, "" for the policy's defaults
	Tables    []string // schema.name of what the statement reads or touches, as far as that is known
	Whole     bool     // it writes, or may, what makes all of the database invalid
	Secured   bool     // policies of row security may restrict its answer
}

// Use counts the executions of one plan. Its methods may be called from any goroutine, and accept nil.
type Use struct{ c *counters }

// counters outlive their Use until they have been added to the totals.
type counters struct {
	// What each answer from the cache touches.
	hits, shared, saved, timed, hitTime atomic.Int64

	misses, asked, overhead, kept, bytes atomic.Int64
	invalidated, unchanged, changed      atomic.Int64
	would, wouldSave                     atomic.Int64
	differed, unclear                    atomic.Int64
	bypasses, bypassTime                 atomic.Int64
	writes, writeTime                    atomic.Int64

	over atomic.Bool // nobody counts here any more
}

func newUse() *Use {
	u := &Use{&counters{}}
	runtime.AddCleanup(u, func(c *counters) { c.over.Store(true) }, u.c)
	return u
}

// Hit counts an answer from the cache, of which the upstream took origin nanoseconds.
func (u *Use) Hit(shared bool, origin int64) {
	if u == nil {
		return
	}
	if shared {
		u.c.shared.Add(1)
	} else {
		u.c.hits.Add(1)
	}
	u.c.saved.Add(origin)
}

// HitTook notes how long an answer from the cache took, in nanoseconds. It may be called for some of them only.
func (u *Use) HitTook(nanoseconds int64) {
	if u != nil {
		u.c.timed.Add(1)
		u.c.hitTime.Add(nanoseconds)
	}
}

// Miss counts an answer that the upstream gave, so that it could be cached, in asked nanoseconds.
func (u *Use) Miss(asked int64) {
	if u != nil {
		u.c.misses.Add(1)
		u.c.asked.Add(asked)
	}
}

// Overhead notes what caching cost beside the upstream's time, in nanoseconds.
func (u *Use) Overhead(nanoseconds int64) {
	if u != nil && nanoseconds > 0 {
		u.c.overhead.Add(nanoseconds)
	}
}

// Filled notes the size of a result that was kept, in bytes.
func (u *Use) Filled(bytes int) {
	if u != nil {
		u.c.kept.Add(1)
		u.c.bytes.Add(int64(bytes))
	}
}

// Replacement is why a result took the place of another one.
type Replacement uint8

// Replacements.
const (
	Invalidated Replacement = iota // something was written, or flushed
	Unchanged                      // too old, and the same as before
	Changed                        // too old, and another one, though nothing that is known of was written
)

// Replaced notes that a result which is kept took the place of another one.
func (u *Use) Replaced(why Replacement) {
	switch {
	case u == nil:
	case why == Invalidated:
		u.c.invalidated.Add(1)
	case why == Unchanged:
		u.c.unchanged.Add(1)
	default:
		u.c.changed.Add(1)
	}
}

// Would notes a read in shadow mode that would have come from the cache, rightly. The upstream took so many nanoseconds for it. It counts as
// a bypass, too, as the next two do.
func (u *Use) Would(took int64) {
	if u != nil {
		u.c.would.Add(1)
		u.c.wouldSave.Add(took)
	}
}

// Differed notes a read in shadow mode that would have got another answer from the cache.
func (u *Use) Differed() {
	if u != nil {
		u.c.differed.Add(1)
	}
}

// Unclear notes a read in shadow mode for which there was an answer in the cache that could not be compared.
func (u *Use) Unclear() {
	if u != nil {
		u.c.unclear.Add(1)
	}
}

// Bypass counts a read that went to the upstream because it is not cached.
func (u *Use) Bypass(nanoseconds int64) {
	if u != nil {
		u.c.bypasses.Add(1)
		u.c.bypassTime.Add(nanoseconds)
	}
}

// Write counts a statement that is not a read.
func (u *Use) Write(nanoseconds int64) {
	if u != nil {
		u.c.writes.Add(1)
		u.c.writeTime.Add(nanoseconds)
	}
}

// Totals are sums of counts.
type Totals struct {
	Hits, SharedHits, Misses, Bypasses, Writes int64
	Timed                                      int64 // hits that HitTime is of
	// Would are the bypasses of shadow mode that would have come from the cache, compared and found the same; Differed those that would have got
	// another answer; Unclear those of which it can't be told.
	Would, Differed, Unclear int64
	// Saved is the upstream's time for the answers that came from the cache, Asked that for misses, Overhead what caching cost on these beside it.
	Saved, Asked, Overhead time.Duration
	WouldSave              time.Duration // of BypassTime what Would would have saved
	// HitTime, BypassTime and WriteTime are how long these took at pgrecall.
	HitTime, BypassTime, WriteTime time.Duration
	Kept, Bytes                    int64 // results that were kept, and their sizes
	// Of Kept those that took the place of another one: because of a write or a flush; because it was too old, though the new one is the same; and
	// where it is not, though nothing that pgrecall knows of was written.
	Invalidated, Unchanged, Changed int64
	// Invalidations are of a table, by their sources: shapes and rules have none.
	Invalidations [Sources]int64
}

func (c *counters) totals() Totals {
	return Totals{
		Hits: c.hits.Load(), SharedHits: c.shared.Load(), Misses: c.misses.Load(), Bypasses: c.bypasses.Load(), Writes: c.writes.Load(),
		Timed: c.timed.Load(),
		Saved: time.Duration(c.saved.Load()), Asked: time.Duration(c.asked.Load()), Overhead: time.Duration(c.overhead.Load()),
		HitTime: time.Duration(c.hitTime.Load()), BypassTime: time.Duration(c.bypassTime.Load()), WriteTime: time.Duration(c.writeTime.Load()),
		Kept: c.kept.Load(), Bytes: c.bytes.Load(), Invalidated: c.invalidated.Load(), Unchanged: c.unchanged.Load(), Changed: c.changed.Load(),
		Would: c.would.Load(), WouldSave: time.Duration(c.wouldSave.Load()), Differed: c.differed.Load(), Unclear: c.unclear.Load(),
	}
}

// fields returns all sums, in an order of its own.
func (t *Totals) fields() (list [21 + Sources]*int64) {
	for source := range t.Invalidations {
		list[21+source] = &t.Invalidations[source]
	}
	copy(list[:], []*int64{
		&t.Hits, &t.SharedHits, &t.Misses, &t.Bypasses, &t.Writes, &t.Timed, &t.Kept, &t.Bytes,
		&t.Invalidated, &t.Unchanged, &t.Changed, &t.Would, &t.Differed, &t.Unclear, (*int64)(&t.WouldSave),
		(*int64)(&t.Saved), (*int64)(&t.Asked), (*int64)(&t.Overhead), (*int64)(&t.HitTime), (*int64)(&t.BypassTime), (*int64)(&t.WriteTime),
	})
	return list
}

// add adds another sum, or takes it away where sign is -1.
func (t *Totals) add(o Totals, sign int64) {
	to, from := t.fields(), o.fields()
	for i := range to {
		*to[i] += sign * *from[i]
	}
}

// AllHits are those of both tiers.
func (t *Totals) AllHits() int64 { return t.Hits + t.SharedHits }

// Reads are all statements that read.
func (t *Totals) Reads() int64 { return t.AllHits() + t.Misses + t.Bypasses }

// HitRate is the part of the reads that was answered from the cache, 0 to 1.
func (t *Totals) HitRate() float64 {
	if reads := t.Reads(); reads > 0 {
		return float64(t.AllHits()) / float64(reads)
	}
	return 0
}

// Time is what the upstream did, or would have done without the cache.
func (t *Totals) Time() time.Duration { return t.Saved + t.Asked + t.BypassTime + t.WriteTime }
