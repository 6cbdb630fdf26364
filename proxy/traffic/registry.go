package traffic

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/parser"
)

// Bounds of what is kept.
const (
	mostShapes  = 1000
	mostTables  = 1000
	mostText    = 2 << 10                // bytes of a shape's text
	sweepEvery  = 10 * time.Second       // so that uses which are over leave
	sweepBudget = 200 * time.Millisecond // for fingerprints of new shapes in one sweep
)

// Registry adds up what is counted on Uses. Its methods may be called from any goroutine; nil counts nothing.
type Registry struct {
	opening sync.Mutex
	opened  []*open // since the last sweep
	// invalidated is what was counted since then.
	invalidated map[invalidation]int64

	mu     sync.Mutex
	live   []*open
	shapes map[key]*shape
	tables map[table]*Totals
	rules  map[string]*Totals
	rest   Totals // of shapes that had to leave, or whose fingerprint there was no time for
	others map[string]*Totals

	shapeSeries series[key]
	tableSeries series[table]
}

// open is a Use that is counted.
type open struct {
	counters    *counters
	description Description
	seen        Totals // that have been added
	shape       *shape
	tables      []*Totals // nil before the first count
	rule        *Totals
}

// key names a shape.
type key struct {
	fingerprint uint64
	database    string
}

type shape struct {
	key       key
	query     string
	tables    []string
	rule      string
	whole     int64
	secured   bool
	totals    Totals
	inherited time.Duration // of the shape that made room
	last      time.Time
	gone      bool // it made room for another one
}

// table names a table.
type table struct{ database, name string }

// NewRegistry returns an empty one that exports so many shapes, and as many tables, as time series of their own.
func NewRegistry(most int) *Registry {
	return &Registry{
		invalidated: map[invalidation]int64{},
		shapes:      map[key]*shape{}, tables: map[table]*Totals{}, rules: map[string]*Totals{}, others: map[string]*Totals{},
		shapeSeries: newSeries[key](most), tableSeries: newSeries[table](most),
	}
}

// Open begins to count for a plan.
func (r *Registry) Open(d Description) *Use {
	if r == nil {
		return nil
	}
	u := newUse()
	r.opening.Lock()
	r.opened = append(r.opened, &open{counters: u.c, description: d})
	r.opening.Unlock()
	return u
}

// Run sweeps now and then until ctx ends.
func (r *Registry) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.mu.Lock()
			r.sweep()
			r.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// sweep adds what was counted since the last one. The caller holds mu.
func (r *Registry) sweep() {
	r.opening.Lock()
	r.live = append(r.live, r.opened...)
	r.opened = nil
	invalidated := r.invalidated
	r.invalidated = map[invalidation]int64{}
	r.opening.Unlock()
	r.addInvalidations(invalidated)
	began := time.Now()
	r.live = slices.DeleteFunc(r.live, func(o *open) bool {
		over := o.counters.over.Load() // before the counts are read
		now := o.counters.totals()
		delta := now
		if delta.add(o.seen, -1); delta != (Totals{}) {
			r.add(o, delta, began)
			o.seen = now
		}
		return over
	})
	r.shapeSeries.rank(began)
	r.tableSeries.rank(began)
}

// add adds counts of one Use.
func (r *Registry) add(o *open, delta Totals, began time.Time) {
	if o.tables == nil {
		o.tables, o.rule = r.tablesOf(&o.description), r.ruleOf(o.description.Rule)
	}
	for _, t := range o.tables {
		t.add(delta, 1)
	}
	for _, name := range o.description.Tables {
		r.tableSeries.add(table{o.description.Database, name}, delta)
	}
	o.rule.add(delta, 1)
	if o.shape == nil || o.shape.gone {
		if o.shape = r.shapeOf(&o.description, began); o.shape == nil {
			r.rest.add(delta, 1)
			r.shapeSeries.rest.add(delta, 1)
			return
		}
	}
	r.shapeSeries.add(o.shape.key, delta)
	o.shape.totals.add(delta, 1)
	o.shape.last = began
	o.shape.describe(&o.description, delta.Writes)
}

// describe takes over what is known by now: while the catalog is loaded less is, and rules change.
func (s *shape) describe(d *Description, writes int64) {
	if len(d.Tables) > 0 {
		s.tables = d.Tables
	}
	s.rule, s.secured = d.Rule, d.Secured
	if d.Whole {
		s.whole += writes
	}
}

// tablesOf returns the totals of what a statement reads or touches.
func (r *Registry) tablesOf(d *Description) []*Totals {
	list := []*Totals{}
	for _, name := range d.Tables {
		if t := r.tableOf(table{d.Database, name}); !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// tableOf returns the totals of one table, or those of all that there is no room for.
func (r *Registry) tableOf(k table) *Totals {
	if t := r.tables[k]; t != nil {
		return t
	}
	t := &Totals{}
	switch {
	case k.name != "" && len(r.tables) < mostTables:
		r.tables[k] = t
	case r.others[k.database] != nil:
		return r.others[k.database]
	default:
		r.others[k.database] = t
	}
	return t
}

func (r *Registry) ruleOf(name string) *Totals {
	if r.rules[name] == nil {
		r.rules[name] = &Totals{}
	}
	return r.rules[name]
}

// shapeOf returns the shape of a statement, nil where there is no time left to find out which.
func (r *Registry) shapeOf(d *Description, began time.Time) *shape {
	if time.Since(began) > sweepBudget {
		return nil
	}
	k := key{d.Statement.Fingerprint(), d.Database}
	if s := r.shapes[k]; s != nil {
		return s
	}
	s := &shape{key: k, query: Text(d.Statement), tables: d.Tables, rule: d.Rule}
	if len(r.shapes) >= mostShapes {
		s.inherited = r.makeRoom()
	}
	r.shapes[k] = s
	return s
}

// makeRoom removes the shape with the least time, and returns that: the new one is ranked as if it were its own (Metwally, Agrawal, El Abbadi:
// Efficient computation of frequent and top-k elements in data streams), so that whatever takes more than a thousandth of all time is kept.
func (r *Registry) makeRoom() time.Duration {
	var last *shape
	for _, s := range r.shapes {
		if last == nil || s.rank() < last.rank() {
			last = s
		}
	}
	delete(r.shapes, last.key)
	last.gone = true
	r.rest.add(last.totals, 1)
	return last.rank()
}

func (s *shape) rank() time.Duration { return s.inherited + s.totals.Time() }

// Text returns a statement's text without constants, shortened; "" where there is no such form.
func Text(statement *parser.Statement) string {
	text, err := parser.Normalize(statement.Canonical)
	if err != nil {
		return ""
	}
	if len(text) > mostText {
		return strings.ToValidUTF8(text[:mostText], "") + " ..."
	}
	return text
}
