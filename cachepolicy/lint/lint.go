package lint

import (
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// Input is what Check judges.
type Input struct {
	Policy   *cachepolicy.Policy // compiled
	Snapshot *catalog.Snapshot
	// Scope is that of a session as applications have it: what unqualified names in functions mean depends on its Schemas.
	Scope  *cachepolicy.Scope
	Server *Server
	// Interval is the time between two looks at the catalog.
	Interval time.Duration
	// Fleet is true where results are shared with other pgrecalls.
	Fleet bool
}

// Check returns what is wrong or doubtful, in the order of the configuration and then of the database's objects.
func Check(in Input) []Finding {
	l := &linter{Input: in, all: in.Snapshot.Relations()}
	plain := *in.Policy
	plain.Rules = nil
	l.plain = &plain
	l.server()
	l.rules()
	l.ages()
	l.ruled()
	l.secured()
	l.replicated()
	l.declaredFunctions()
	l.declaredTriggers()
	l.writes()
	l.calls()
	l.traffic()
	return sorted(l.findings)
}

type linter struct {
	Input
	plain    *cachepolicy.Policy // without rules
	all      []*catalog.Relation // that a statement may name
	findings []Finding
	blamed   map[string]bool                // functions that writes blamed
	depends  map[uint32][]*catalog.Relation // see behind
}

// decide judges a read of all of a relation.
func (l *linter) decide(r *catalog.Relation, policy *cachepolicy.Policy) cachepolicy.Decision {
	return l.decideText("SELECT * FROM "+pgx.Identifier{r.Schema, r.Name}.Sanitize(), policy)
}

func (l *linter) decideText(text string, policy *cachepolicy.Policy) cachepolicy.Decision {
	return cachepolicy.Decide(parser.Analyze(text), l.Scope, l.Snapshot, policy)
}

// relations are those that the tables and the schema of a rule match.
func (l *linter) relations(m *cachepolicy.Match) []*catalog.Relation {
	var matched []*catalog.Relation
	for _, r := range l.all {
		if m.Relation(r) {
			matched = append(matched, r)
		}
	}
	return matched
}

// here tells whether a rule is for the database that is looked at.
func (l *linter) here(r *cachepolicy.Rule) bool {
	return r.Match.Database == "" || catalog.Glob(r.Match.Database, l.Snapshot.Database)
}

// rulePath is the place of a rule, or of something in it, in the configuration.
func rulePath(i int, rest string) string { return "rules[" + strconv.Itoa(i) + "]" + rest }

// placeOf is the place of the rule that decided, "" for the defaults.
func (l *linter) placeOf(d *cachepolicy.Decision) string {
	for i := range l.Policy.Rules {
		if &l.Policy.Rules[i] == d.Rule {
			return rulePath(i, "")
		}
	}
	return ""
}

// title names a rule for people.
func (l *linter) title(i int) string {
	if name := l.Policy.Rules[i].Name; name != "" {
		return rulePath(i, "") + " (" + name + ")"
	}
	return rulePath(i, "")
}

func nameOf(r *catalog.Relation) string { return r.Schema + "." + r.Name }

func (l *linter) names(oids []uint32) []string {
	var names []string
	for _, oid := range oids {
		if r := l.Snapshot.ByOID(oid); r != nil {
			names = append(names, nameOf(r))
		}
	}
	return names
}
