package main

import (
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// Traffic says whether caching each shape pays, too.
func (i *instance) Traffic() admin.Traffic {
	shapes, rest := i.engine.Shapes()
	t := admin.Traffic{Statements: make([]admin.Statement, 0, len(shapes)), Rest: counts(&rest), Tables: []admin.Table{}, Rules: []admin.Rule{}, Policy: policyInForce(i.policy.Load())}
	elsewhere := hitTime(shapes)
	for j := range shapes {
		s := &shapes[j]
		statement := admin.Statement{
			Fingerprint: fmt.Sprintf("%016x", s.Fingerprint), Database: s.Database, Query: s.Query, Tables: s.Tables, Rule: s.Rule,
			Last: s.Last.UTC().Truncate(time.Second), RowSecurity: s.Secured, WholeWrites: s.Whole, Counts: counts(&s.Totals),
			Worth: measured(&s.Totals, elsewhere),
		}
		if statement.Tables == nil {
			statement.Tables = []string{}
		}
		t.Statements = append(t.Statements, statement)
	}
	for _, table := range i.engine.Tables() {
		t.Tables = append(t.Tables, admin.Table{Database: table.Database, Name: table.Name, Counts: counts(&table.Totals), Invalidations: invalidations(&table.Totals), Worth: measured(&table.Totals, elsewhere)})
	}
	for _, rule := range i.engine.Rules() {
		t.Rules = append(t.Rules, admin.Rule{Name: rule.Name, Counts: counts(&rule.Totals)})
	}
	return t
}

// hitTime is how long hits take, whatever their shape.
func hitTime(shapes []proxy.Shape) time.Duration {
	var took time.Duration
	var n int64
	for i := range shapes {
		took, n = took+shapes[i].HitTime, n+shapes[i].Timed
	}
	return took / time.Duration(max(n, 1))
}

func counts(t *proxy.Totals) admin.Counts {
	return admin.Counts{
		Hits: t.Hits, SharedHits: t.SharedHits, Misses: t.Misses, Bypasses: t.Bypasses, Writes: t.Writes, HitRate: t.HitRate(),
		SecondsSaved: t.Saved.Seconds(), Seconds: (t.Asked + t.BypassTime + t.WriteTime).Seconds(), FilledBytes: t.Bytes,
		OverheadSeconds: t.Overhead.Seconds(), Kept: t.Kept, Invalidated: t.Invalidated, RenewedUnchanged: t.Unchanged, RenewedChanged: t.Changed,
		WouldHits: t.Would, Differed: t.Differed, Inconclusive: t.Unclear, WouldSecondsSaved: t.WouldSave.Seconds(),
	}
}

// invalidations are those that there were, by the labels of metrics.
func invalidations(t *proxy.Totals) map[string]int64 {
	list := map[string]int64{}
	for source, n := range t.Invalidations {
		if n > 0 {
			list[traffic.Source(source).String()] = n
		}
	}
	return list
}

// measured says what caching is worth, nil where too little was measured.
func measured(t *proxy.Totals, elsewhere time.Duration) *admin.Worth {
	w, known := t.Worth(elsewhere)
	if !known {
		return nil
	}
	shown := worth(&w)
	return &shown
}

func worth(w *proxy.Worth) admin.Worth {
	return admin.Worth{Origin: w.Origin.Seconds(), Miss: w.Miss.Seconds(), Hit: w.Hit.Seconds(), HitRate: w.HitRate, BreakEven: w.BreakEven, Pays: w.Pays}
}

// stopped are the shapes that are not cached because that does not pay.
func (i *instance) stopped() []admin.Stopped {
	list := []admin.Stopped{}
	for _, s := range i.engine.Stopped() {
		list = append(list, admin.Stopped{
			Fingerprint: fmt.Sprintf("%016x", s.Fingerprint), Database: s.Database, Query: s.Query,
			Since: s.Since.UTC().Truncate(time.Second), Until: s.Until.UTC().Truncate(time.Second), Worth: worth(&s.Worth),
		})
	}
	return list
}
