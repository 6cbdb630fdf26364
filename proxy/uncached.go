package proxy

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// Bounds of what is known of uncached reads.
const (
	uncachedShapes = 1000
	uncachedQueue  = 1 << 10          // observations that wait; more are lost
	uncachedUnit   = time.Millisecond // shorter reads are sampled
)

// Uncached is what the reads of one shape took that went to the upstream for one reason.
type Uncached struct {
	Fingerprint string // hexadecimal
	Database    string
	Query       string // normalized: no constants; "" where there is no such form
	Reason      cachepolicy.Reason
	Detail      string // the function's, relation's, column's name
	// Count is the number of executions and Seconds the time that they took, measured at pgrecall. Reads of less than a millisecond are
	// sampled with a probability of their duration, so that both are estimates without bias: after Seconds of such reads the error of
	// Seconds is about the root of Seconds times a millisecond, 3% of one second.
	Count      int64
	Seconds    float64
	MaxSeconds float64
	Last       time.Time
}

// uncached is a table of the shapes that take the most time, of bounded size. When it is full the shape with the least time makes room,
// and the new one is ranked as if that time were its own (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k
// elements in data streams). So every shape that takes more than a thousandth of all the time is in the table, and what is shown of a
// shape, which is its own since it entered, is short of the truth by a thousandth of all the time at most.
//
// Shapes are found by their fingerprints, which takes longer than many a read: a goroutine of its own does it.
type uncached struct {
	once  sync.Once
	queue chan observation

	mu     sync.Mutex // one goroutine writes
	shapes map[shape]*shapeTime
}

// shape is what is counted together.
type shape struct {
	fingerprint uint64
	database    string
	reason      cachepolicy.Reason
}

type shapeTime struct {
	query, detail string
	count         float64
	took, longest time.Duration
	inherited     time.Duration // of the shape that made room
	last          time.Time
}

// observation is one read that was not cached.
type observation struct {
	plan   *plan
	reason cachepolicy.Reason
	took   time.Duration
}

func newUncached() uncached {
	return uncached{queue: make(chan observation, uncachedQueue), shapes: map[shape]*shapeTime{}}
}

// observe measures a statement whose answer is complete.
func (s *session) observe(e *expectation) {
	took := cache.Monotonic() - e.sent
	s.srv.metrics.observe(e.outcome, took)
	s.logSlow(e, took)
	if e.fill != nil {
		e.fill.took = took
	}
	if e.plan == nil {
		return
	}
	switch e.outcome {
	case outcomeMiss:
		e.plan.use.Miss(took)
	case outcomeBypass:
		e.plan.use.Bypass(took)
	case outcomeWrite:
		e.plan.use.Write(took)
	default:
	}
	reason := e.reason
	switch {
	case e.fill != nil && e.fill.large:
		reason = cachepolicy.ReasonResultLarge
		s.srv.metrics.bypass(reason)
	case e.outcome == outcomeBypass && !blameless(reason):
	case e.outcome == outcomeWrite && e.plan.reads():
	default:
		return
	}
	if took <= 0 || took < int64(uncachedUnit) && rand.Int64N(int64(uncachedUnit)) >= took {
		return
	}
	u := &s.srv.uncached
	u.once.Do(func() { s.srv.work.Go(func() { u.run(s.srv.ctx) }) })
	select {
	case u.queue <- observation{e.plan, reason, time.Duration(took)}:
	default:
	}
}

// reads tells whether a statement that counts as a write looks like a read to the one who wrote it: it calls a function that may write.
func (p *plan) reads() bool {
	c := p.statement.Single()
	return c != nil && c.Kind == parser.KindSelect && !c.Into && len(c.Writes) == 0
}

// run takes observations until ctx ends.
func (u *uncached) run(ctx context.Context) {
	for {
		select {
		case o := <-u.queue:
			u.add(o, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// add counts an observation that was sampled. Only one goroutine may call it.
func (u *uncached) add(o observation, now time.Time) {
	statement := o.plan.statement
	key := shape{statement.Fingerprint(), o.plan.database.name, o.reason}
	known := u.shapes[key]
	if known == nil {
		known = &shapeTime{query: traffic.Text(statement)}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.shapes[key] == nil {
		if len(u.shapes) >= uncachedShapes {
			known.inherited = u.makeRoom()
		}
		u.shapes[key] = known
	}
	known.count += max(1, float64(uncachedUnit)/float64(o.took))
	known.took += max(o.took, uncachedUnit)
	known.longest = max(known.longest, o.took)
	known.last = now
	known.detail = ""
	if o.reason == o.plan.decision.Reason {
		known.detail = o.plan.decision.Detail
	}
}

// makeRoom removes the shape that is ranked last and returns its time.
func (u *uncached) makeRoom() time.Duration {
	var last shape
	least := time.Duration(-1)
	for key, t := range u.shapes {
		if time := t.inherited + t.took; least < 0 || time < least {
			last, least = key, time
		}
	}
	delete(u.shapes, last)
	return least
}

// Uncached returns the n shapes of reads, all where n is negative, that took the most of the upstream's time since the start without being
// cached, the longest first. A shape that was not cached for two reasons is there twice.
func (srv *Server) Uncached(n int) []Uncached {
	u := &srv.uncached
	u.mu.Lock()
	list := make([]Uncached, 0, len(u.shapes))
	for key, t := range u.shapes {
		list = append(list, Uncached{
			Fingerprint: fmt.Sprintf("%016x", key.fingerprint), Database: key.database, Query: t.query, Reason: key.reason, Detail: t.detail,
			Count: int64(t.count + 0.5), Seconds: t.took.Seconds(), MaxSeconds: t.longest.Seconds(), Last: t.last,
		})
	}
	u.mu.Unlock()
	slices.SortFunc(list, func(a, b Uncached) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Database, b.Database))
	})
	if n >= 0 && n < len(list) {
		list = slices.Clone(list[:n])
	}
	return list
}
