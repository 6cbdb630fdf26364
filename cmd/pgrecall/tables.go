package main

import (
	"cmp"
	"slices"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
)

// Tables returns the tables that statements used, then the others of the databases in use, with what the rules say of them.
func (i *instance) Tables(n int) (list []admin.RuledTable, all int) {
	type key struct{ database, name string }
	known := map[key]*catalog.Relation{}
	var rest []key
	for _, snapshot := range i.engine.Snapshots() {
		for _, r := range snapshot.Relations() {
			k := key{snapshot.Database, r.Schema + "." + r.Name}
			known[k] = r
			rest = append(rest, k)
		}
	}
	slices.SortFunc(rest, func(a, b key) int { return cmp.Or(cmp.Compare(a.database, b.database), cmp.Compare(a.name, b.name)) })
	policy := i.policy.Load()
	list = []admin.RuledTable{}
	add := func(t admin.Table, r *catalog.Relation) {
		if all++; all > n {
			return
		}
		list = append(list, ruled(policy, t, r))
	}
	used := map[key]bool{}
	for _, t := range i.Traffic().Tables {
		k := key{t.Database, t.Name}
		used[k] = true
		add(t, known[k])
	}
	for _, k := range rest {
		if !used[k] {
			add(admin.Table{Database: k.database, Name: k.name}, known[k])
		}
	}
	return list, all
}

// ruled tells which rules hold for a table; r is nil where it is none of the catalog's.
func ruled(policy *cachepolicy.Policy, t admin.Table, r *catalog.Relation) admin.RuledTable {
	shown := admin.RuledTable{Table: t}
	if r == nil {
		return shown
	}
	d := policy.ForTable(t.Database, r)
	shown.Known, shown.Cached, shown.Consistency = true, d.Verdict == cachepolicy.Cache && r.Kind != 'f', d.Consistency.String()
	shown.TTLSeconds = d.TTL.Seconds()
	if d.Rule != nil {
		shown.Rule = ruleName(policy, d.Rule)
	}
	for _, p := range d.Partly {
		shown.Partly = append(shown.Partly, ruleName(policy, p))
	}
	return shown
}
