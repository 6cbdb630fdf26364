package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
)

// ruled finds relations that a rule wants cached and that never are, or not as it says.
func (l *linter) ruled() {
	for i := range l.Policy.Rules {
		r := &l.Policy.Rules[i]
		if r.Cache == cachepolicy.CacheNever || !l.here(r) {
			continue
		}
		if len(r.Match.Tables) == 0 && r.Match.Schema != "" {
			l.matched(rulePath(i, ".match.schema"), r, l.relations(&r.Match))
		}
		for j, pattern := range r.Match.Tables {
			l.matched(rulePath(i, ".match.tables["+strconv.Itoa(j)+"]"), r,
				l.relations(&cachepolicy.Match{Schema: r.Match.Schema, Tables: []string{pattern}}))
		}
	}
}

// matched judges what one pattern of a rule matches.
func (l *linter) matched(path string, rule *cachepolicy.Rule, relations []*catalog.Relation) {
	refused := groups{}
	var unlogged, partitions []string
	for _, r := range relations {
		if f, ok := l.refused(r); ok {
			refused.add(f.What+"\x00"+f.Change, nameOf(r))
			continue
		}
		if r.Persistence == 'u' {
			unlogged = append(unlogged, nameOf(r))
		}
		if root := l.root(r); root != r && !rule.Match.Relation(root) {
			partitions = append(partitions, nameOf(r))
		}
	}
	for _, g := range refused.inOrder() {
		what, change, _ := strings.Cut(g.key, "\x00")
		l.add(Finding{Path: path, Object: g.names[0], Level: LevelWarning, Code: CodeNotCached, What: are(g.names) + " never cached: " + what, Change: change})
	}
	if len(unlogged) > 0 {
		l.add(Finding{Path: path, Object: unlogged[0], Level: LevelWarning, Code: CodeUnlogged,
			What:   are(unlogged) + " unlogged: a crash of the server empties that, and answers from before may be given until pgrecall has looked (catalog.interval, " + short(l.Interval) + ")",
			Change: "cache: never for that, or ALTER TABLE ... SET LOGGED, unless that does not matter"})
	}
	if len(partitions) > 0 {
		root := l.root(l.Snapshot.Relation(split(partitions[0])))
		l.add(Finding{Path: path, Object: partitions[0], Level: LevelWarning, Code: CodePartition,
			What:   are(partitions) + " part of a partitioned table: statements that read it through " + nameOf(root) + " are not ruled by this",
			Change: "name " + nameOf(root)})
	}
}

func split(name string) (schema, relation string) {
	schema, relation, _ = strings.Cut(name, ".")
	return schema, relation
}

// root is the topmost partitioned table that the relation is part of, or the relation.
func (l *linter) root(r *catalog.Relation) *catalog.Relation {
	for _, oid := range r.Parents {
		if parent := l.Snapshot.ByOID(oid); parent != nil && parent.Kind == 'p' {
			return l.root(parent)
		}
	}
	return r
}

// refused tells why a relation is never cached, whatever rules say. It is not ok where it may be.
func (l *linter) refused(r *catalog.Relation) (f Finding, ok bool) {
	d := l.decide(r, l.plain)
	everything := d.Reason == cachepolicy.ReasonLoginTrigger || d.Reason == cachepolicy.ReasonUnsafeCast && l.Snapshot.UnsafeCasts
	if d.Verdict == cachepolicy.Cache || everything { // see server
		return Finding{}, false
	}
	meaning, change := d.Reason.Meaning()
	what := lowerFirst(strings.TrimSuffix(meaning, "."))
	if d.Detail != "" {
		what += " (" + string(d.Reason) + ": " + d.Detail + ")"
	}
	if policies := l.policiesBehind(r, &d); len(policies) > 0 {
		what = "row security, policy " + list(policies) + ": " + what
	}
	if rest, nothing := strings.CutPrefix(change, "Nothing"); nothing {
		change = "take it out of the rule" + strings.TrimPrefix(rest, ".")
	}
	return Finding{Object: nameOf(r), What: what, Change: lowerFirst(strings.TrimSuffix(change, "."))}, true
}

func lowerFirst(s string) string {
	if s == "" || strings.HasPrefix(s, "TABLESAMPLE") || strings.HasPrefix(s, "STABLE") {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// policiesBehind names the policies of row security that keep a table from being cached, nil where something else does.
func (l *linter) policiesBehind(r *catalog.Relation, d *cachepolicy.Decision) []string {
	if !r.RowSecurity || r.Kind != 'r' && r.Kind != 'p' {
		return nil
	}
	switch d.Reason {
	case cachepolicy.ReasonTemporary, cachepolicy.ReasonColumnType, cachepolicy.ReasonForeignTable, cachepolicy.ReasonRelationKind:
		return nil
	}
	named, _, _ := strings.Cut(d.Detail, ":")
	var all, naming []string
	for i := range r.Policies {
		p := &r.Policies[i]
		if !p.Reads() || p.Using == "" {
			continue
		}
		all = append(all, p.Name)
		if named != "" && strings.Contains(p.Using, named) || strings.HasPrefix(d.Detail, "in policy "+p.Name+" on ") {
			naming = append(naming, p.Name)
		}
	}
	if len(naming) > 0 {
		return naming
	}
	return all
}

// secured finds tables without a rule that row security keeps from being cached.
func (l *linter) secured() {
	for _, r := range l.all {
		if !r.RowSecurity || l.named(r) {
			continue
		}
		f, ok := l.refused(r)
		if !ok || !strings.HasPrefix(f.What, "row security") {
			continue
		}
		f.Level, f.Code, f.What = LevelWarning, CodeNotCached, "never cached: "+f.What
		l.add(f)
	}
}

// named tells whether a rule is for this relation.
func (l *linter) named(r *catalog.Relation) bool {
	return slices.ContainsFunc(l.Policy.Rules, func(rule cachepolicy.Rule) bool {
		m := &rule.Match
		return (len(m.Tables) > 0 || m.Schema != "") && l.here(&rule) && m.Relation(r)
	})
}

// replicated finds tables that a subscription writes and that are cached as if all writes came through pgrecall.
func (l *linter) replicated() {
	byRule := groups{}
	for _, oid := range l.Server.Subscribed {
		r := l.Snapshot.ByOID(oid)
		if r == nil {
			continue
		}
		if d := l.decide(r, l.Policy); d.Verdict == cachepolicy.Cache && d.Consistency != cachepolicy.TTL {
			byRule.add(l.placeOf(&d)+"\x00"+d.Consistency.String()+"\x00"+short(d.TTL), nameOf(r))
		}
	}
	for _, g := range byRule.inOrder() {
		key := strings.Split(g.key, "\x00")
		l.add(Finding{Path: key[0], Object: g.names[0], Level: LevelWarning, Code: CodeReplicated,
			What: are(g.names) + " written by a subscription (logical replication), past pgrecall: answers may be " + key[2] +
				" old though consistency is " + key[1],
			Change: "a rule with a short ttl and consistency: ttl, or cache: never"})
	}
}

// groups collects names that have something in common.
type groups map[string]*group

type group struct {
	key   string
	names []string
}

func (g groups) add(key, name string) {
	if g[key] == nil {
		g[key] = &group{key: key}
	}
	g[key].names = append(g[key].names, name)
}

// inOrder returns the groups in the order of their first names.
func (g groups) inOrder() []*group {
	var all []*group
	for _, one := range g {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *group) int {
		if c := strings.Compare(a.names[0], b.names[0]); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	return all
}
