package parser

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// analysis collects the facts of one command while its tree is walked.
type analysis struct {
	command *Command
	scope   *scope // names of the CTEs in sight
	level   *level // SELECT in which the walk is

	reads      set[Relation]
	writes     set[Write]
	functions  set[Function]
	operators  set[Operator]
	casts      set[Cast]
	attributes set[string]
	settings   set[string]

	repeated []string // relations that are named more than once, schemas aside
	crowded  bool     // too many relations to tell
}

// scope is a list of the CTEs in sight, innermost first.
type scope struct {
	name  string
	outer *scope

	cte    *pg.CommonTableExpr
	within *scope // in sight in the CTE's own query
	level  *level // around the query that the CTE belongs to
}

func (s *scope) holds(name string) bool {
	for ; s != nil; s = s.outer {
		if s.name == name {
			return true
		}
	}
	return false
}

// set remembers what a list holds once the list is long enough for it to matter.
type set[E comparable] map[E]struct{}

const linearLimit = 16

// add appends e to the list unless it is there.
func add[E comparable](list []E, seen *set[E], e E) []E {
	if len(list) < linearLimit {
		for i := range list {
			if list[i] == e {
				return list
			}
		}
		return append(list, e)
	}
	if *seen == nil {
		*seen = make(set[E], 2*linearLimit)
		for i := range list {
			(*seen)[list[i]] = struct{}{}
		}
	}
	if _, found := (*seen)[e]; found {
		return list
	}
	(*seen)[e] = struct{}{}
	return append(list, e)
}

// reads a relation named in FROM, unless the name is a CTE's.
func (a *analysis) read(r *pg.RangeVar) {
	if r == nil || r.GetSchemaname() == "" && r.GetCatalogname() == "" && a.scope.holds(r.GetRelname()) {
		return
	}
	a.named(r.GetRelname())
	a.command.Reads = add(a.command.Reads, &a.reads, relationOf(r))
}

func (a *analysis) write(r *pg.RangeVar, op WriteOp, cascade bool) {
	if r == nil {
		a.unsupported("write without a relation")
		return
	}
	a.named(r.GetRelname())
	a.command.Writes = add(a.command.Writes, &a.writes, Write{relationOf(r), op, cascade})
}

// named notes a relation's name before it becomes a read or a write.
func (a *analysis) named(name string) {
	if len(a.command.Reads)+len(a.command.Writes) >= maxEntries {
		a.crowded = true
		return
	}
	if slices.ContainsFunc(a.command.Reads, func(r Relation) bool { return r.Name == name }) ||
		slices.ContainsFunc(a.command.Writes, func(w Write) bool { return w.Name == name }) {
		if !slices.Contains(a.repeated, name) {
			a.repeated = append(a.repeated, name)
		}
	}
}

func relationOf(r *pg.RangeVar) Relation {
	return Relation{Catalog: r.GetCatalogname(), Schema: r.GetSchemaname(), Name: r.GetRelname()}
}

// unsupported notes what the analysis does not know; the first of several is kept.
func (a *analysis) unsupported(what string) {
	if !a.command.Unsupported {
		a.command.Unsupported, a.command.UnsupportedWhat = true, what
	}
}

// operator notes the operator under a possibly qualified name.
func (a *analysis) operator(name []*pg.Node) {
	schema, op, ok := qualified(name)
	if !ok {
		a.unsupported("operator without a name")
		return
	}
	a.command.Operators = add(a.command.Operators, &a.operators, Operator{schema, op})
}

// implied notes operators that the grammar stands for without naming them.
func (a *analysis) implied(names ...string) {
	for _, name := range names {
		a.command.Operators = add(a.command.Operators, &a.operators, Operator{Name: name})
	}
}

// attribute notes a name after a dot.
func (a *analysis) attribute(name string) {
	a.command.Attributes = add(a.command.Attributes, &a.attributes, name)
	a.column(name)
}

// column notes a column's name.
func (a *analysis) column(name string) {
	switch name {
	case "ctid", "xmin", "xmax", "cmin", "cmax":
		a.command.SystemColumn = true
	}
}

// cast notes a conversion to a type.
func (a *analysis) cast(t *pg.TypeName, arg *pg.Node) {
	if t == nil {
		return
	}
	c := Cast{Array: len(t.GetArrayBounds()) > 0}
	var ok bool
	if c.Schema, c.Type, ok = qualified(t.GetNames()); !ok {
		a.unsupported("type without a name")
		return
	}
	c.Schema = foldSystem(c.Schema)
	if !timeless(c.Type) {
		a.conversions(c, arg)
		return
	}
	switch arg := arg.GetNode().(type) {
	case *pg.Node_AConst:
		c.Source = CastConstant
	case *pg.Node_ParamRef:
		c.Source = CastParam
	case *pg.Node_ColumnRef:
		if fields := arg.ColumnRef.GetFields(); len(fields) > 0 {
			if last := fields[len(fields)-1].GetString_(); last != nil {
				c.Source, c.Column = CastColumn, last.GetSval()
			}
		}
	case *pg.Node_FuncCall:
		if _, name, ok := qualified(arg.FuncCall.GetFuncname()); ok {
			c.Source, c.Function = CastFunction, name
		}
	}
	a.command.Casts = add(a.command.Casts, &a.casts, c)
}

// conversions notes a cast for each source of what is converted.
func (a *analysis) conversions(c Cast, arg *pg.Node) {
	for _, cast := range sourcesOf(c, arg, a.level) {
		a.command.Casts = add(a.command.Casts, &a.casts, cast)
	}
}

// timeless tells of types' names that commonly mean types whose input doesn't read the clock: nobody asks for the
// sources of casts to them.
func timeless(typ string) bool {
	switch typ {
	case "bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "money", "text", "varchar", "bpchar", "char", "name",
		"bytea", "json", "jsonb", "uuid", "interval", "inet", "cidr", "xml", "bit", "varbit":
		return true
	}
	return false
}

// qualified splits a name into its last part and the part before it. A catalog before that must be the
// current one, so it says nothing.
func qualified(name []*pg.Node) (schema, last string, ok bool) {
	n := len(name)
	if n == 0 || name[n-1].GetString_() == nil {
		return "", "", false
	}
	if n > 1 {
		schema = name[n-2].GetString_().GetSval()
	}
	return schema, name[n-1].GetString_().GetSval(), true
}
