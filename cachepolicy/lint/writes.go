package lint

import (
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
)

// cause is why writes invalidate the whole database.
type cause struct {
	touched invalidator.Touched // of the first
	ways    []string
	tables  []string
}

// writes finds tables whose writes invalidate the whole database.
func (l *linter) writes() {
	l.blamed = make(map[string]bool)
	causes := make(map[string]*cause)
	var order []string
	for _, r := range l.all {
		if l.Server.Extension[r.OID] || r.Kind == 'v' && len(r.Triggers) == 0 && !r.Rules || r.Kind == 'f' && !l.Server.Updatable[r.OID] {
			continue
		}
		for _, way := range ways(r) {
			t := invalidator.TouchesOfWrite(r, way.op, l.Scope.Schemas, l.Snapshot, l.Policy.Declared)
			if !t.Whole || strings.Contains(t.Reason, "its declaration names a relation") { // reported at the declaration
				continue
			}
			key := t.Culprit
			if key == "" {
				key = t.Reason
			}
			c := causes[key]
			if c == nil {
				c = &cause{touched: t}
				causes[key], order = c, append(order, key)
			}
			if !slices.Contains(c.ways, way.name) {
				c.ways = append(c.ways, way.name)
			}
			if !slices.Contains(c.tables, nameOf(r)) {
				c.tables = append(c.tables, nameOf(r))
			}
		}
	}
	for _, key := range order {
		c := causes[key]
		if c.touched.Culprit != "" {
			l.blamed[c.touched.Culprit] = true
		}
		l.add(Finding{Object: c.tables[0], Level: LevelWarning, Code: CodeWholeDatabase,
			What:   strings.Join(c.ways, ", ") + " of " + list(c.tables) + " invalidates the whole database: " + c.touched.Reason,
			Change: l.declare(&c.touched)})
	}
}

type way struct {
	name string
	op   parser.WriteOp
}

// ways are how a relation can be written.
func ways(r *catalog.Relation) []way {
	rows := []way{{"INSERT", parser.OpInsert}, {"UPDATE", parser.OpUpdate}, {"DELETE", parser.OpDelete}}
	switch r.Kind {
	case 'm':
		return []way{{"REFRESH", parser.OpRefresh}}
	case 'r', 'p':
		return append(rows, way{"TRUNCATE", parser.OpTruncate})
	}
	return rows
}

// Advice says what would make a statement invalidate less that touches so much, "" where nothing is known to. Of the input it needs Policy, Snapshot and Scope.
func Advice(in Input, t *invalidator.Touched) string { return (&linter{Input: in}).declare(t) }

// declare says what would make a write or a call invalidate less.
func (l *linter) declare(t *invalidator.Touched) string {
	trigger, table := firedBy(t.Reason)
	for _, f := range l.Snapshot.UserFunctions() {
		if t.Culprit == functionName(f) {
			if what := l.undeclarable(f); what != "" {
				return "it " + what + ", of which a declaration must not be silent: do that in a statement of its own"
			}
		}
	}
	switch {
	case t.Missing, strings.Contains(t.Reason, "unknown relation "), strings.Contains(t.Reason, "unknown function "):
		change := "qualify the name with its schema, or check as the application's role (--user)"
		if t.Culprit != "" {
			change += "; or " + declareFunction(t.Culprit)
		}
		return change
	case t.Culprit != "" && trigger != "":
		return declareFunction(t.Culprit) + "; or the trigger under triggers: {name: " + trigger + ", table: " + table + ", writes: [...]}"
	case t.Culprit != "":
		return declareFunction(t.Culprit)
	case trigger != "":
		return "declare it under triggers: {name: " + trigger + ", table: " + table + ", writes: [...]}, or effects: none if it writes nothing"
	case strings.Contains(t.Reason, "rule on "):
		return "nothing can be declared for rules: make a trigger of it"
	case strings.HasPrefix(t.Reason, "write to "):
		return "nothing can be declared for it: write to it seldom"
	}
	return ""
}

// undeclarable tells what a function certainly does that no declaration can say, "" for nothing: a declared function is taken to change no
// settings and to define nothing.
func (l *linter) undeclarable(f *catalog.Function) string {
	if f.Kind != 'f' && f.Kind != 'p' {
		return ""
	}
	for _, command := range l.Snapshot.Body(f).Commands {
		if command.Kind == parser.KindDefinition || command.Kind == parser.KindTempDefinition {
			return "defines things (" + command.Tag + ")"
		}
	}
	others := &catalog.Declarations{}
	if l.Policy.Declared != nil {
		others = l.Policy.Declared.Without(f)
	}
	if t := invalidator.TouchesOfFunction(f, l.Scope.Schemas, l.Snapshot, others); t.Settings || t.AllSettings {
		return "changes settings"
	}
	return ""
}

// firedBy reads the trigger and its table off a reason of the closure.
func firedBy(reason string) (trigger, table string) {
	rest, ok := strings.CutPrefix(reason, "trigger ")
	if !ok {
		return "", ""
	}
	head, _, _ := strings.Cut(rest, ": ")
	if i := strings.LastIndex(head, " on "); i > 0 {
		return head[:i], head[i+len(" on "):]
	}
	return "", ""
}

// calls finds functions that invalidate the whole database at each call, and conversions that do at each statement.
func (l *linter) calls() {
	for _, oid := range l.Snapshot.VolatileCasts {
		f := l.Snapshot.FunctionByOID(oid)
		if f == nil {
			continue
		}
		if t := invalidator.TouchesOfFunction(f, l.Scope.Schemas, l.Snapshot, l.Policy.Declared); t.Whole {
			l.blamed[functionName(f)] = true
			l.add(Finding{Object: functionName(f), Level: LevelError, Code: CodeWholeDatabase,
				What:   "the function of a cast may run in any statement, and each invalidates the whole database: " + t.Reason,
				Change: l.declare(&t)})
		}
	}
	for _, f := range l.Snapshot.UserFunctions() {
		name := functionName(f)
		if f.Harmless || l.blamed[name] || l.Server.Extension[f.OID] || l.Server.Triggers[f.OID] || f.Kind != 'f' && f.Kind != 'p' {
			continue
		}
		t := invalidator.TouchesOfFunction(f, l.Scope.Schemas, l.Snapshot, l.Policy.Declared)
		if !t.Whole || t.Culprit != "" && t.Culprit != name || strings.Contains(t.Reason, "its declaration names a relation") {
			continue
		}
		l.blamed[name] = true
		l.add(Finding{Object: name, Level: LevelWarning, Code: CodeWholeDatabase,
			What: "each call invalidates the whole database: " + t.Reason, Change: l.declare(&t)})
	}
}

func functionName(f *catalog.Function) string { return f.Schema + "." + f.Name }
