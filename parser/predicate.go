package parser

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Bounds of what is told. What lies beyond is left out, which is always right.
const (
	maxEntries    = 64 // relations of a command, entries in FROM
	maxPredicates = 16 // of a command; likewise its equalities
	maxValues     = 16 // of a predicate
)

// entry is a range-table entry at the top level of a command.
type entry struct {
	relation *pg.RangeVar // nil when it is no relation, or its columns go by other names
	name     string       // that qualifies its columns; "" when relation is nil
	nullable bool         // an outer join may fill its columns with nulls
}

// restriction collects the predicates and equalities of one command.
type restriction struct {
	*analysis
	entries  []entry
	ctes     []*pg.Node
	assigned []*pg.Node // SET of an UPDATE
	target   bool       // only the first entry counts
}

// restrictSelect fills in what a SELECT at the top level says of its entries. It comes after the walk, which
// knows what is named more than once.
func (a *analysis) restrictSelect(s *pg.SelectStmt) {
	if a.crowded || len(s.GetFromClause()) == 0 { // a set operation has no FROM of its own
		return
	}
	var room [8]entry
	r := restriction{analysis: a, entries: room[:0], ctes: s.GetWithClause().GetCtes()}
	for _, item := range s.GetFromClause() {
		r.from(item, false, false)
	}
	for _, item := range s.GetFromClause() {
		r.on(item)
	}
	r.and(s.GetWhereClause())
}

// restrictWrite fills in what UPDATE or DELETE says of the relation that it changes.
func (a *analysis) restrictWrite(n any) {
	var room [8]entry
	r := restriction{analysis: a, entries: room[:0], target: true}
	var relation *pg.RangeVar
	var others []*pg.Node
	var where *pg.Node
	switch n := n.(type) {
	case *pg.Node_UpdateStmt:
		s := n.UpdateStmt
		relation, others, where = s.GetRelation(), s.GetFromClause(), s.GetWhereClause()
		r.ctes, r.assigned = s.GetWithClause().GetCtes(), s.GetTargetList()
	case *pg.Node_DeleteStmt:
		s := n.DeleteStmt
		relation, others, where = s.GetRelation(), s.GetUsingClause(), s.GetWhereClause()
		r.ctes = s.GetWithClause().GetCtes()
	}
	if a.crowded || where == nil {
		return
	}
	r.table(relation, false, false)
	for _, item := range others {
		r.from(item, false, false)
	}
	r.and(where)
}

// from adds the entries of an item of FROM. Those of a join that has a name of its own are hidden by it.
func (r *restriction) from(n *pg.Node, nullable, hidden bool) {
	switch n := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		r.table(n.RangeVar, nullable, hidden)
	case *pg.Node_JoinExpr:
		j := n.JoinExpr
		hidden = hidden || j.GetAlias() != nil || j.GetJoinUsingAlias() != nil
		left, right := true, true
		switch j.GetJointype() {
		case pg.JoinType_JOIN_INNER:
			left, right = false, false
		case pg.JoinType_JOIN_LEFT:
			left = false
		case pg.JoinType_JOIN_RIGHT:
			right = false
		}
		r.from(j.GetLarg(), nullable || left, hidden)
		r.from(j.GetRarg(), nullable || right, hidden)
	default:
		r.entries = append(r.entries, entry{})
	}
}

func (r *restriction) table(t *pg.RangeVar, nullable, hidden bool) {
	alias := t.GetAlias()
	e := entry{relation: t, name: t.GetRelname(), nullable: nullable}
	if alias != nil {
		e.name = alias.GetAliasname()
	}
	cte := t.GetSchemaname() == "" && slices.ContainsFunc(r.ctes, func(n *pg.Node) bool {
		return n.GetCommonTableExpr().GetCtename() == t.GetRelname()
	})
	if hidden || cte || len(alias.GetColnames()) > 0 {
		e.relation = nil
	}
	r.entries = append(r.entries, e)
}

// on collects the conditions of joins that no outer join encloses.
func (r *restriction) on(n *pg.Node) {
	j := n.GetJoinExpr()
	if j.GetJointype() != pg.JoinType_JOIN_INNER {
		return
	}
	r.on(j.GetLarg())
	r.on(j.GetRarg())
	r.and(j.GetQuals())
}

// and collects what a condition says, whose every part must be true.
func (r *restriction) and(n *pg.Node) {
	if len(r.entries) > maxEntries {
		return
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_BoolExpr:
		if n.BoolExpr.GetBoolop() == pg.BoolExprType_AND_EXPR {
			for _, arg := range n.BoolExpr.GetArgs() {
				r.and(arg)
			}
		}
	case *pg.Node_AExpr:
		r.condition(n.AExpr)
	}
}

func (r *restriction) condition(e *pg.A_Expr) {
	schema, op, ok := qualified(e.GetName())
	if !ok || op != "=" || schema != "" && schema != "pg_catalog" {
		return
	}
	left, right := e.GetLexpr(), e.GetRexpr()
	switch e.GetKind() {
	case pg.A_Expr_Kind_AEXPR_OP:
		if left.GetColumnRef() == nil {
			left, right = right, left
		}
		if left.GetColumnRef() != nil && right.GetColumnRef() != nil {
			r.equal(left, right)
		} else if v, ok := scalarOf(right); ok {
			r.predicate(left, []Value{v})
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		if values, ok := listOf(right.GetList().GetItems(), ""); ok {
			r.predicate(left, values)
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		if values, ok := arrayOf(right); ok {
			r.predicate(left, values)
		}
	}
}

// predicate notes one, if the node is a column that may have it.
func (r *restriction) predicate(n *pg.Node, values []Value) {
	if len(r.command.Predicates) >= maxPredicates {
		return
	}
	c, ok := r.columnOf(n)
	if !ok || slices.ContainsFunc(r.assigned, func(n *pg.Node) bool { return n.GetResTarget().GetName() == c.Column }) {
		return
	}
	r.command.Predicates = append(r.command.Predicates, Predicate{c.Relation, c.Alias, c.Column, values})
}

func (r *restriction) equal(left, right *pg.Node) {
	if len(r.command.Equalities) >= maxPredicates {
		return
	}
	a, known := r.columnOf(left)
	if !known {
		return
	}
	if b, known := r.columnOf(right); known && a.Relation != b.Relation { // of one entry it joins nothing
		r.command.Equalities = append(r.command.Equalities, Equality{a, b})
	}
}

// columnOf finds the only entry that a column reference can mean; false when there is a doubt, or when
// the entry can't have a predicate.
func (r *restriction) columnOf(n *pg.Node) (EntryColumn, bool) {
	fields := n.GetColumnRef().GetFields()
	var schema, table, column string
	switch len(fields) {
	case 3:
		schema, table, column = nameOf(fields[0]), nameOf(fields[1]), nameOf(fields[2])
	case 2:
		table, column = nameOf(fields[0]), nameOf(fields[1])
	case 1:
		column = nameOf(fields[0])
	}
	switch column {
	case "", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid":
		return EntryColumn{}, false
	}
	found := -1
	for i := range r.entries {
		if len(fields) == 1 || r.entries[i].name == table {
			if found >= 0 {
				return EntryColumn{}, false
			}
			found = i
		}
	}
	if found < 0 || r.target && found != 0 {
		return EntryColumn{}, false
	}
	e := &r.entries[found]
	switch {
	case e.relation == nil || e.nullable || slices.Contains(r.repeated, e.relation.GetRelname()):
		return EntryColumn{}, false
	case len(fields) == 3 && (schema != e.relation.GetSchemaname() || e.relation.GetAlias() != nil):
		return EntryColumn{}, false
	}
	return EntryColumn{relationOf(e.relation), e.relation.GetAlias().GetAliasname(), column}, true
}

// nameOf is the name in a column reference, "" for *.
func nameOf(n *pg.Node) string { return n.GetString_().GetSval() }
