package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
)

// verdict is what the bodies that a declaration is for say of it.
type verdict struct {
	needless bool     // without it pgrecall would know as much
	writes   []string // relations that a body writes and the declaration leaves out
	reads    []string // likewise
	known    []string // what the bodies write where it is needless
	silent   []string // what they do that can't be declared
}

// declaredFunctions judges what is declared of functions.
func (l *linter) declaredFunctions() {
	if l.Policy.Declared == nil {
		return
	}
	functions := l.Snapshot.UserFunctions()
	for i := range l.Policy.Declared.Functions {
		d := &l.Policy.Declared.Functions[i]
		at := "functions[" + strconv.Itoa(i) + "]"
		void := l.void(at+".reads", d.Reads) || l.void(at+".writes", d.Writes)
		var own, hidden []*catalog.Function
		for _, f := range functions {
			switch {
			case !catalog.GlobName(d.Name, f.Schema, f.Name):
			case l.Policy.Declared.Function(f) == d:
				own = append(own, f)
			default:
				hidden = append(hidden, f)
			}
		}
		switch {
		case len(own)+len(hidden) == 0:
			l.noFunction(at, d.Name, functions)
		case len(own) == 0:
			l.hiddenDeclaration(at)
		case !void:
			l.judged(at, "function "+list(functionNames(own)), l.judgeFunctions(d, own))
		}
	}
}

func functionNames(functions []*catalog.Function) []string {
	var names []string
	for _, f := range functions {
		if name := functionName(f); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (l *linter) noFunction(at, pattern string, functions []*catalog.Function) {
	f := Finding{Path: at + ".name", Level: LevelError, Code: CodeNoFunction,
		What: "no function or procedure of database " + l.Snapshot.Database + " matches " + strconv.Quote(pattern)}
	_, name, dotted := strings.Cut(pattern, ".")
	if !dotted {
		name = pattern
	}
	if slices.ContainsFunc(l.Snapshot.Functions([]string{"pg_catalog"}, "", name), func(f *catalog.Function) bool { return f.Builtin }) {
		f.What, f.Change = strconv.Quote(pattern)+" is a function of pg_catalog, of which nothing can be declared", "remove the declaration"
	} else {
		f.Change = meant(pattern, functionNames(functions))
	}
	l.elsewhere(&f, pattern)
	l.add(f)
}

// elsewhere takes an error back to a warning where the name may be one of another database, or of something that comes yet.
func (l *linter) elsewhere(f *Finding, pattern string) {
	others := l.others()
	switch {
	case strings.Contains(pattern, "*"):
		f.Level = LevelWarning
	case f.Change == "" && len(others) > 0:
		f.Level, f.Change = LevelWarning, "nothing, if it is in another database ("+list(others)+")"
	}
}

func (l *linter) hiddenDeclaration(at string) {
	l.add(Finding{Path: at, Level: LevelWarning, Code: CodeHidden,
		What: "never counts: declarations before it match the same", Change: "put the more specific one first, or remove this one"})
}

// void reports patterns that match no relation: then the whole declaration is void.
func (l *linter) void(at string, patterns []string) bool {
	void := false
	for i, pattern := range patterns {
		if _, ok := l.Snapshot.Matching([]string{pattern}); ok {
			continue
		}
		void = true
		var names []string
		for _, r := range l.all {
			names = append(names, nameOf(r))
		}
		f := Finding{Path: at + "[" + strconv.Itoa(i) + "]", Level: LevelError, Code: CodeVoid,
			What:   "no relation of database " + l.Snapshot.Database + " matches " + strconv.Quote(pattern) + ", so the declaration is void: each call invalidates the whole database",
			Change: meant(pattern, names)}
		l.elsewhere(&f, "")
		l.add(f)
	}
	return void
}

// judgeFunctions compares a declaration with the bodies of the functions that it is for.
func (l *linter) judgeFunctions(d *catalog.FunctionDeclaration, functions []*catalog.Function) verdict {
	v := verdict{needless: true}
	fired := l.firing()
	for _, f := range functions {
		without := l.Policy.Declared.Without(f)
		if what := l.undeclarable(f); what != "" {
			v.silent = append(v.silent, functionName(f)+" "+what)
		}
		touched := func(declared *catalog.Declarations) []invalidator.Touched {
			if len(fired[f.OID]) == 0 {
				return []invalidator.Touched{invalidator.TouchesOfFunction(f, l.Scope.Schemas, l.Snapshot, declared)}
			}
			var all []invalidator.Touched
			for _, on := range fired[f.OID] {
				all = append(all, invalidator.TouchesOfTrigger(on.trigger, on.relation, l.Scope.Schemas, l.Snapshot, declared))
			}
			return all
		}
		v.compare(l, touched(without), touched(l.Policy.Declared))
		if len(d.Writes) == 0 && (d.Cache || f.Volatility != 'v' && len(d.Reads) > 0) {
			l.judgeReads(f, without, &v)
		}
	}
	return v
}

// compare holds what bodies do, as far as they show it, against what is declared of them.
func (v *verdict) compare(l *linter, bodies, declared []invalidator.Touched) {
	for i := range bodies {
		body, said := &bodies[i], &declared[i]
		v.needless = v.needless && !body.Whole && !body.Settings && !body.AllSettings && !body.Definition
		if said.Whole {
			continue
		}
		left := l.leftOut(body.Relations, said.Relations)
		v.writes = append(v.writes, left...)
		for _, name := range l.names(body.Relations) {
			if !slices.Contains(v.known, name) {
				v.known = append(v.known, name)
			}
		}
	}
}

// leftOut names the relations of a body that the declared ones lack. Where one of these has the same name as another of the body's, the
// declaration may mean sessions with another search_path: nothing is certain then.
func (l *linter) leftOut(body, declared []uint32) []string {
	covered := make(map[string]bool)
	for _, oid := range declared {
		if r := l.Snapshot.ByOID(oid); r != nil {
			covered[r.Name] = true
		}
	}
	var left []string
	for _, oid := range body {
		switch r := l.Snapshot.ByOID(oid); {
		case r == nil || slices.Contains(declared, oid):
		case covered[r.Name]:
			return nil
		default:
			left = append(left, nameOf(r))
		}
	}
	return left
}

// judgeReads compares what is declared to be read with what the body reads, where that shows.
func (l *linter) judgeReads(f *catalog.Function, without *catalog.Declarations, v *verdict) {
	policy := func(declared *catalog.Declarations) *cachepolicy.Policy {
		p := *l.plain
		p.Declared = declared
		return &p
	}
	call := "SELECT " + quoted(f.Schema) + "." + quoted(f.Name) + "(" +
		strings.TrimSuffix(strings.Repeat("NULL, ", max(0, f.Args-f.Defaults)), ", ") + ")"
	body, said := l.decideText(call, policy(without)), l.decideText(call, policy(l.Policy.Declared))
	if body.Verdict != cachepolicy.Cache && body.Reason != cachepolicy.ReasonNoRelation {
		v.needless = false
		return
	}
	if said.Verdict == cachepolicy.Cache || said.Reason == cachepolicy.ReasonNoRelation {
		v.reads = append(v.reads, l.leftOut(body.Relations, said.Relations)...)
	}
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// judged reports what bodies say of a declaration.
func (l *linter) judged(at, of string, v verdict) {
	switch {
	case len(v.silent) > 0:
		l.add(Finding{Path: at, Level: LevelError, Code: CodeContradicted,
			What:   "function " + list(v.silent) + ", but what is declared is taken to change no settings and to define nothing: answers may be wrong after it",
			Change: "remove the declaration"})
	case len(v.writes) > 0:
		slices.Sort(v.writes)
		l.add(Finding{Path: at, Level: LevelError, Code: CodeContradicted,
			What:   of + ": the body writes " + list(slices.Compact(v.writes)) + ", which is not declared: answers from it would stay in the cache after that",
			Change: "add it to writes, or remove the declaration where pgrecall can read the body"})
	case len(v.reads) > 0:
		slices.Sort(v.reads)
		l.add(Finding{Path: at, Level: LevelError, Code: CodeContradicted,
			What:   of + ": the body reads " + list(slices.Compact(v.reads)) + ", which is not declared: its answers would outlive writes to that",
			Change: "add it to reads"})
	case v.needless:
		does := "that it writes nothing"
		if len(v.known) > 0 {
			slices.Sort(v.known)
			does = "that it writes " + list(v.known)
		}
		l.add(Finding{Path: at, Level: LevelWarning, Code: CodeNeedless,
			What: of + ": pgrecall sees by itself " + does, Change: "remove the declaration: it would count on when the body changes"})
	}
}

// firing are the places where a trigger's function is called.
type firing struct {
	relation *catalog.Relation
	trigger  *catalog.Trigger
}

func (l *linter) firing() map[uint32][]firing {
	fired := make(map[uint32][]firing)
	for _, r := range l.all {
		for i := range r.Triggers {
			t := &r.Triggers[i]
			fired[t.Function] = append(fired[t.Function], firing{r, t})
		}
	}
	return fired
}

// declaredTriggers judges what is declared of triggers.
func (l *linter) declaredTriggers() {
	if l.Policy.Declared == nil {
		return
	}
	for i := range l.Policy.Declared.Triggers {
		d := &l.Policy.Declared.Triggers[i]
		at := "triggers[" + strconv.Itoa(i) + "]"
		void := l.void(at+".writes", d.Writes)
		var own []firing
		hidden := false
		for _, r := range l.all {
			for j := range r.Triggers {
				t := &r.Triggers[j]
				switch {
				case !catalog.Glob(d.Name, t.Name), d.Table != "" && !catalog.GlobName(d.Table, r.Schema, r.Name):
				case l.Policy.Declared.Trigger(t, r) == d:
					own = append(own, firing{r, t})
				default:
					hidden = true
				}
			}
		}
		switch {
		case len(own) == 0 && !hidden:
			l.noTrigger(at, d)
		case len(own) == 0:
			l.hiddenDeclaration(at)
		case !void:
			l.judged(at, "trigger "+d.Name+" on "+list(tablesOf(own)), l.judgeTriggers(own))
		}
	}
}

func tablesOf(all []firing) []string {
	var names []string
	for _, on := range all {
		names = append(names, nameOf(on.relation))
	}
	return slices.Compact(names)
}

func (l *linter) judgeTriggers(own []firing) verdict {
	v := verdict{needless: true}
	for _, on := range own {
		without := &catalog.Declarations{Functions: l.Policy.Declared.Functions}
		if f := l.Snapshot.FunctionByOID(on.trigger.Function); f != nil && l.Policy.Declared.Function(f) == nil {
			if what := l.undeclarable(f); what != "" && !slices.Contains(v.silent, functionName(f)+" "+what) {
				v.silent = append(v.silent, functionName(f)+" "+what)
			}
		}
		touched := func(declared *catalog.Declarations) []invalidator.Touched {
			return []invalidator.Touched{invalidator.TouchesOfTrigger(on.trigger, on.relation, l.Scope.Schemas, l.Snapshot, declared)}
		}
		v.compare(l, touched(without), touched(l.Policy.Declared))
	}
	return v
}

func (l *linter) noTrigger(at string, d *catalog.TriggerDeclaration) {
	f := Finding{Path: at + ".name", Level: LevelError, Code: CodeNoTrigger,
		What: "no enabled trigger of database " + l.Snapshot.Database + " matches " + strconv.Quote(d.Name)}
	var names []string
	for _, r := range l.all {
		if d.Table != "" && !catalog.GlobName(d.Table, r.Schema, r.Name) {
			continue
		}
		for i := range r.Triggers {
			if !slices.Contains(names, r.Triggers[i].Name) {
				names = append(names, r.Triggers[i].Name)
			}
		}
	}
	f.Change = meant(d.Name, names)
	if d.Table != "" {
		f.What += " on " + d.Table
		if _, ok := l.Snapshot.Matching([]string{d.Table}); !ok {
			var tables []string
			for _, r := range l.all {
				tables = append(tables, nameOf(r))
			}
			f.Path, f.What, f.Change = at+".table", "no table of database "+l.Snapshot.Database+" matches "+strconv.Quote(d.Table), meant(d.Table, tables)
		}
	}
	l.elsewhere(&f, d.Name)
	l.add(f)
}
