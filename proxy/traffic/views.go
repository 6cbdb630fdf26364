package traffic

import (
	"cmp"
	"slices"
	"time"
)

// Shape is what became of the statements of one shape.
type Shape struct {
	Fingerprint uint64
	Database    string
	Query       string   // without constants; "" where there is no such form
	Tables      []string // schema.name
	Rule        string   // "" for the policy's defaults
	Whole       int64    // of Writes those that made all of the database invalid
	Secured     bool     // row security may restrict its answers
	Last        time.Time
	Totals
}

// Table is what became of the statements that read or write one table. Those of the tables that there is no room for are together under "", and under
// Everything are the invalidations of all tables of the database.
type Table struct {
	Database, Name string
	Totals
}

// Rule is what became of the statements that one rule decides; "" are the policy's defaults.
type Rule struct {
	Name string
	Totals
}

// Shapes returns all shapes that are known, those first that took, or would have taken, the most time of the upstream, and what was counted of no
// known shape.
func (r *Registry) Shapes() (list []Shape, rest Totals) {
	if r == nil {
		return nil, Totals{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	for _, s := range r.shapes {
		list = append(list, Shape{s.key.fingerprint, s.key.database, s.query, s.tables, s.rule, s.whole, s.secured, s.last, s.totals})
	}
	slices.SortFunc(list, func(a, b Shape) int {
		return cmp.Or(cmp.Compare(b.Time(), a.Time()), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Database, b.Database))
	})
	return list, r.rest
}

// Tables returns all tables, those first with the most statements and invalidations.
func (r *Registry) Tables() (list []Table) {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	for t, totals := range r.tables {
		list = append(list, Table{t.database, t.name, *totals})
	}
	for database, totals := range r.others {
		list = append(list, Table{database, "", *totals})
	}
	slices.SortFunc(list, func(a, b Table) int {
		return cmp.Or(cmp.Compare(b.traffic(), a.traffic()), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Rules returns all rules that decided something.
func (r *Registry) Rules() (list []Rule) {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	for name, totals := range r.rules {
		list = append(list, Rule{name, *totals})
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
