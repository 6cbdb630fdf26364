package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
)

// rules finds rules that match nothing, or nothing that an earlier one leaves to them.
func (l *linter) rules() {
	for i := range l.Policy.Rules {
		r := &l.Policy.Rules[i]
		complete := l.session(i, r)
		if !l.here(r) {
			continue
		}
		if l.tables(i, r) && complete {
			if !l.hidden(i, r) {
				l.leaks(i, r)
			}
		}
	}
}

// session judges what a rule says of sessions. It tells whether there may be any.
func (l *linter) session(i int, r *cachepolicy.Rule) bool {
	m := &r.Match
	var databases []string
	for _, d := range l.Server.Databases {
		databases = append(databases, d.Name)
	}
	ok := true
	for _, part := range []struct {
		key, kind, pattern string
		code               Code
		names              []string
	}{
		{"database", "database of the server", m.Database, CodeNoDatabase, databases},
		{"user", "role of the server", m.User, CodeNoUser, l.Server.Roles},
	} {
		if part.pattern == "" || slices.ContainsFunc(part.names, func(name string) bool { return catalog.Glob(part.pattern, name) }) {
			continue
		}
		ok = false
		level := LevelError
		if strings.Contains(part.pattern, "*") {
			level = LevelWarning
		}
		l.add(Finding{Path: rulePath(i, ".match."+part.key), Level: level, Code: part.code,
			What: "no " + part.kind + " matches " + strconv.Quote(part.pattern) + ", so the rule never applies", Change: meant(part.pattern, part.names)})
	}
	return ok
}

// tables judges a rule's tables and schema. It is false when the rule matches no relation.
func (l *linter) tables(i int, r *cachepolicy.Rule) bool {
	m := &r.Match
	if m.Schema != "" && len(l.relations(&cachepolicy.Match{Schema: m.Schema})) == 0 {
		l.missing(i, ".match.schema", "schema with tables", m.Schema, l.Snapshot.Schemas(), r)
		return false
	}
	any := len(m.Tables) == 0
	for j, pattern := range m.Tables {
		if len(l.relations(&cachepolicy.Match{Schema: m.Schema, Tables: []string{pattern}})) > 0 {
			any = true
			continue
		}
		kind := "table or view"
		if m.Schema != "" {
			kind += " in schema " + m.Schema
		}
		var names []string
		for _, relation := range l.all {
			names = append(names, nameOf(relation))
		}
		l.missing(i, ".match.tables["+strconv.Itoa(j)+"]", kind, pattern, names, r)
	}
	return any
}

// missing reports a pattern that matches nothing in this database.
func (l *linter) missing(i int, at, kind, pattern string, names []string, r *cachepolicy.Rule) {
	f := Finding{Path: rulePath(i, at), Level: LevelError, Code: CodeNoTable,
		What: "no " + kind + " of database " + l.Snapshot.Database + " matches " + strconv.Quote(pattern), Change: meant(pattern, names)}
	if strings.Contains(pattern, "*") {
		f.Level = LevelWarning
	}
	if l.system(pattern) {
		f.What += " (the system's own are never cached)"
	}
	if r.Cache == cachepolicy.CacheNever {
		f.What += ": what the rule should keep out of the cache may be cached"
	}
	if others := l.others(); f.Change == "" && len(others) > 0 && r.Match.Database == "" {
		f.Level = LevelWarning
		f.Change = "if it is in another database (" + list(others) + "), say so with match.database"
	}
	l.add(f)
}

func (l *linter) system(pattern string) bool {
	_, name, dotted := strings.Cut(pattern, ".")
	if !dotted {
		name = pattern
	}
	return l.Snapshot.Relation("pg_catalog", name) != nil || l.Snapshot.Relation("information_schema", name) != nil
}

// others are the databases that the configuration may mean as well: those of applications.
func (l *linter) others() []string {
	var others []string
	for _, d := range l.Server.Databases {
		if d.Name != l.Snapshot.Database && d.Name != "postgres" {
			others = append(others, d.Name)
		}
	}
	return others
}

// hidden finds the parts of a rule that an earlier rule decides before it: the first that matches a statement rules it alone.
func (l *linter) hidden(i int, r *cachepolicy.Rule) (found bool) {
	type part struct {
		path  string
		match cachepolicy.Match
	}
	parts := []part{{rulePath(i, ""), r.Match}}
	if len(r.Match.Tables) > 1 {
		parts = nil
		for j, pattern := range r.Match.Tables {
			parts = append(parts, part{rulePath(i, ".match.tables["+strconv.Itoa(j)+"]"), cachepolicy.Match{Schema: r.Match.Schema, Tables: []string{pattern}}})
		}
	}
	by := make([]int, len(parts))
	all := true
	for j := range parts {
		by[j] = l.hides(i, r, &parts[j].match)
		all = all && by[j] == by[0]
	}
	if all && len(parts) > 1 {
		parts = []part{{rulePath(i, ""), r.Match}}
	}
	for j := range parts {
		if by[j] < 0 {
			continue
		}
		f := Finding{Path: parts[j].path, Level: LevelWarning, Code: CodeHidden,
			What:   "never decides: " + l.title(by[j]) + " stands before it and matches the same statements",
			Change: "put the more specific rule first, or remove this one"}
		if r.Cache == cachepolicy.CacheNever && l.Policy.Rules[by[j]].Cache != cachepolicy.CacheNever {
			f.Level = LevelError
			f.What = "does not keep from the cache what it should: " + l.title(by[j]) + " stands before it, matches the same statements and caches them"
			f.Change = "put this rule first"
		}
		l.add(f)
		found = true
	}
	return found
}

// hides returns the first rule before rule i that matches every statement that rule matches by the relations of this match, -1 for none.
func (l *linter) hides(i int, rule *cachepolicy.Rule, match *cachepolicy.Match) int {
	var wanted []*catalog.Relation
	bounded := len(match.Tables) > 0 || match.Schema != ""
	if bounded {
		wanted = l.relations(match)
		if len(wanted) == 0 {
			return -1 // reported already
		}
	}
	for e := range i {
		earlier := &l.Policy.Rules[e].Match
		if !coversSession(earlier, &rule.Match) {
			continue
		}
		if len(earlier.Tables) == 0 && earlier.Schema == "" {
			return e
		}
		never := l.Policy.Rules[e].Cache == cachepolicy.CacheNever
		covered := func(r *catalog.Relation) bool {
			return earlier.Relation(r) || never && slices.ContainsFunc(l.behind(r), earlier.Relation)
		}
		if bounded && !slices.ContainsFunc(wanted, func(r *catalog.Relation) bool { return !covered(r) }) {
			return e
		}
	}
	return -1
}

// behind are the relations that the answer to a read of one depends on.
func (l *linter) behind(r *catalog.Relation) []*catalog.Relation {
	if l.depends == nil {
		l.depends = make(map[uint32][]*catalog.Relation)
	}
	relations, known := l.depends[r.OID]
	if !known {
		for _, oid := range l.decide(r, l.plain).Relations {
			relations = append(relations, l.Snapshot.ByOID(oid))
		}
		l.depends[r.OID] = relations
	}
	return relations
}

// leaks finds views, and what else stands before the tables that a rule keeps out of the cache, that an earlier rule caches.
func (l *linter) leaks(i int, r *cachepolicy.Rule) {
	if r.Cache != cachepolicy.CacheNever || len(r.Match.Tables) == 0 && r.Match.Schema == "" {
		return
	}
	for e := range i {
		earlier := &l.Policy.Rules[e]
		if earlier.Cache == cachepolicy.CacheNever || !coversSession(&earlier.Match, &r.Match) {
			continue
		}
		for _, view := range l.relations(&earlier.Match) {
			if r.Match.Relation(view) {
				continue
			}
			behind := l.behind(view)
			if at := slices.IndexFunc(behind, r.Match.Relation); at >= 0 {
				l.add(Finding{Path: rulePath(i, ""), Object: nameOf(view), Level: LevelError, Code: CodeHidden,
					What: "does not keep from the cache what it should: " + l.title(e) + " stands before it and caches " + nameOf(view) +
						", which reads " + nameOf(behind[at]),
					Change: "put this rule first"})
				break
			}
		}
	}
}

// coversSession tells whether all but the relations of a match lets every statement pass that the other one lets pass. A pattern covers
// another that it matches as a text: what stands for a star there is matched by a star here.
func coversSession(m, other *cachepolicy.Match) bool {
	covers := func(pattern, other string) bool {
		return strings.Trim(pattern, "*") == "" || other != "" && catalog.Glob(pattern, other)
	}
	return covers(m.Database, other.Database) && covers(m.User, other.User) &&
		covers(folded(m.Query), folded(other.Query)) &&
		(m.Fingerprint == "" || number(m.Fingerprint) == number(other.Fingerprint))
}

func folded(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// number reads a fingerprint, 0 for none.
func number(fingerprint string) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(fingerprint), "0x"), 16, 64)
	if err != nil {
		return 0
	}
	return n
}
