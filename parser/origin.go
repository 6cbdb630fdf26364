package parser

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// columnRef finds what a column reference may mean: columns of all entries that it may refer to, in this SELECT and in
// those around it. Which of them exist the catalog knows.
func (s *sources) columnRef(c *pg.ColumnRef, l *level) {
	fields := c.GetFields()
	var qualifier string
	name := ""
	if n := len(fields); n > 0 {
		name = nameOf(fields[n-1])
		if n > 1 {
			if qualifier = nameOf(fields[n-2]); qualifier == "" {
				name = ""
			}
		}
	}
	if name == "" { // *
		s.unknown = true
		return
	}
	around := s.reference
	s.reference = reference{}
	for ; l != nil && !s.unknown; l = l.outer {
		s.entries(qualifier, name, l)
	}
	s.unknown = s.unknown || !s.reference.strict && !s.reference.sure && len(s.reference.loose) == 0
	if s.reference.sure {
		for _, i := range s.reference.loose {
			s.found[i].Optional = true
		}
	}
	s.reference = around
}

// entries looks for a column in the FROM of one level.
func (s *sources) entries(qualifier, name string, l *level) {
	for _, item := range l.query.GetFromClause() {
		s.entry(item, qualifier, name, l)
	}
}

// entry looks for a column in an item of FROM. A qualifier that isn't the item's name rules it out.
func (s *sources) entry(n *pg.Node, qualifier, name string, l *level) {
	if s.steps++; s.steps > maxSteps {
		s.unknown = true
	}
	if s.unknown {
		return
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		alias := n.RangeVar.GetAlias()
		if qualifier == "" || qualifier == aliasOr(alias, n.RangeVar.GetRelname()) {
			s.relation(n.RangeVar, qualifier == "", name, l)
		}
	case *pg.Node_JoinExpr:
		j := n.JoinExpr
		if len(j.GetAlias().GetColnames()) > 0 {
			s.unknown = true
			return
		}
		if own := aliasOr(j.GetAlias(), ""); own != "" && own == qualifier || aliasOr(j.GetJoinUsingAlias(), "") == qualifier {
			qualifier = ""
		}
		s.entry(j.GetLarg(), qualifier, name, l)
		s.entry(j.GetRarg(), qualifier, name, l)
	case *pg.Node_RangeSubselect:
		alias := n.RangeSubselect.GetAlias()
		if n.RangeSubselect != l.item && (qualifier == "" || qualifier == aliasOr(alias, "")) {
			index := slices.IndexFunc(alias.GetColnames(), func(n *pg.Node) bool { return nameOf(n) == name })
			s.output(n.RangeSubselect.GetSubquery().GetSelectStmt(), name, index, l.ctes, l.inside(n.RangeSubselect))
		}
	case *pg.Node_RangeFunction:
		s.rangeFunction(n.RangeFunction, qualifier, name, l)
	default:
		s.unknown = true
	}
}

func aliasOr(alias *pg.Alias, name string) string {
	if alias == nil {
		return name
	}
	return alias.GetAliasname()
}

// relation notes a column of a relation, or looks into a CTE of that name.
func (s *sources) relation(r *pg.RangeVar, loose bool, name string, l *level) {
	if len(r.GetAlias().GetColnames()) > 0 {
		s.unknown = true
		return
	}
	cte := l.ctes
	for cte != nil && cte.name != r.GetRelname() {
		cte = cte.outer
	}
	if cte == nil || r.GetSchemaname() != "" || r.GetCatalogname() != "" {
		if loose {
			s.reference.loose = append(s.reference.loose, len(s.found))
		} else {
			s.reference.strict = true
		}
		s.add(CastColumn, func(c *Cast) { c.Relation, c.Column, c.Loose = relationOf(r), name, loose })
		return
	}
	s.cte(cte, name)
}

// cte looks for a column of a CTE. What a recursive one reads of itself adds nothing.
func (s *sources) cte(in *scope, name string) {
	c := in.cte
	index := slices.IndexFunc(c.GetAliascolnames(), func(n *pg.Node) bool { return nameOf(n) == name })
	here := visit{c, name, index}
	if slices.Contains(s.inside, here) {
		s.reference.sure = true
		return
	}
	query := c.GetCtequery().GetSelectStmt()
	if query == nil || c.GetSearchClause() != nil || c.GetCycleClause() != nil {
		s.unknown = true
		return
	}
	s.inside = append(s.inside, here)
	s.output(query, name, index, in.within, in.level)
	s.inside = s.inside[:len(s.inside)-1]
}

// rangeFunction looks for a column of a function in FROM. Only such functions are known whose result is one column
// that has the function's name, or its alias.
func (s *sources) rangeFunction(f *pg.RangeFunction, qualifier, name string, l *level) {
	var call *pg.FuncCall
	if items := f.GetFunctions(); len(items) == 1 && !f.GetOrdinality() && len(f.GetColdeflist()) == 0 {
		call = items[0].GetList().GetItems()[0].GetFuncCall()
	}
	if call == nil {
		s.unknown = s.unknown || qualifier == "" || qualifier == aliasOr(f.GetAlias(), qualifier)
		return
	}
	schema, function, _ := qualified(call.GetFuncname())
	own := aliasOr(f.GetAlias(), function)
	if qualifier != "" && qualifier != own {
		return
	}
	column := own
	if names := f.GetAlias().GetColnames(); len(names) > 0 {
		column = nameOf(names[0])
	}
	switch {
	case column == name && (function == "generate_series" || function == "unnest" && len(call.GetArgs()) == 1):
		s.reference.sure = true
		s.function(call, l)
	case function == "generate_series" && foldSystem(schema) == "":
		s.add(CastFunction, func(c *Cast) { c.Function = function }) // of another schema it might have more columns
	default:
		s.unknown = true
	}
}

// output finds the sources of a column of a query's result, by its index, or by its name where that is negative.
func (s *sources) output(query *pg.SelectStmt, name string, index int, ctes *scope, outer *level) {
	if s.steps++; query == nil || s.steps > maxSteps {
		s.unknown = true
	}
	if s.unknown {
		return
	}
	ctes = within(query.GetWithClause(), ctes, outer)
	if query.GetLarg() != nil {
		if index < 0 {
			index = indexOf(query, name)
		}
		s.unknown = s.unknown || index < 0
		s.output(query.GetLarg(), name, index, ctes, outer)
		s.output(query.GetRarg(), name, index, ctes, outer)
		return
	}
	l := &level{query: query, ctes: ctes, outer: outer}
	if values := query.GetValuesLists(); len(values) > 0 {
		s.values(values, name, index, l)
		return
	}
	targets := query.GetTargetList()
	if index >= 0 {
		if index >= len(targets) || slices.ContainsFunc(targets, starred) {
			s.unknown = true
			return
		}
		s.reference.sure = true
		s.expression(targets[index].GetResTarget().GetVal(), l)
		return
	}
	for _, target := range targets {
		s.target(target.GetResTarget(), name, l)
	}
}

// target adds the sources of an output column if it has the name, or may have it.
func (s *sources) target(t *pg.ResTarget, name string, l *level) {
	if t.GetName() != "" {
		if t.GetName() == name {
			s.reference.sure = true
			s.expression(t.GetVal(), l)
		}
		return
	}
	switch v := t.GetVal().GetNode().(type) {
	case *pg.Node_ColumnRef:
		fields := v.ColumnRef.GetFields()
		switch last := nameOf(fields[len(fields)-1]); {
		case last == name:
			s.reference.sure = true
			s.expression(t.GetVal(), l)
		case last == "" && len(fields) == 1:
			s.entries("", name, l)
		case last == "":
			for at := l; at != nil; at = at.outer {
				s.entries(nameOf(fields[len(fields)-2]), name, at)
			}
		}
	case *pg.Node_FuncCall:
		if _, function, _ := qualified(v.FuncCall.GetFuncname()); function == name {
			s.reference.sure = true
			s.expression(t.GetVal(), l)
		}
	case *pg.Node_AConst: // its name is ?column?
	case *pg.Node_AExpr:
		if v.AExpr.GetKind() != pg.A_Expr_Kind_AEXPR_OP {
			s.unknown = true
		}
	default: // FigureColname in src/backend/parser/parse_target.c has a name for it
		s.unknown = true
	}
}

func (s *sources) values(rows []*pg.Node, name string, index int, l *level) {
	if index < 0 {
		const prefix = "column"
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
			return
		}
		n, err := strconv.Atoi(name[len(prefix):])
		if err != nil {
			return
		}
		index = n - 1
	}
	s.reference.sure = true
	for _, row := range rows {
		items := row.GetList().GetItems()
		if index < 0 || index >= len(items) {
			s.unknown = true
			return
		}
		s.expression(items[index], l)
	}
}

// starred tells whether a target may be more than one column.
func starred(n *pg.Node) bool {
	switch v := n.GetResTarget().GetVal().GetNode().(type) {
	case *pg.Node_ColumnRef:
		fields := v.ColumnRef.GetFields()
		return nameOf(fields[len(fields)-1]) == ""
	case *pg.Node_AIndirection:
		return slices.ContainsFunc(v.AIndirection.GetIndirection(), func(n *pg.Node) bool { return n.GetAStar() != nil })
	}
	return false
}

// indexOf returns the index of the output column of a set operation's first query that has the name, -1 when it is not certain.
func indexOf(query *pg.SelectStmt, name string) int {
	for query.GetLarg() != nil {
		query = query.GetLarg()
	}
	found := -1
	for i, n := range query.GetTargetList() {
		t := n.GetResTarget()
		if starred(n) {
			return -1
		}
		own := t.GetName()
		if own == "" {
			fields := t.GetVal().GetColumnRef().GetFields()
			if len(fields) == 0 {
				return -1
			}
			own = nameOf(fields[len(fields)-1])
		}
		if own == name {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}
