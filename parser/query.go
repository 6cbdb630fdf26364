package parser

import pg "github.com/pganalyze/pg_query_go/v6"

// query collects the facts of a SELECT, VALUES or set operation.
func (a *analysis) query(s *pg.SelectStmt) {
	if s == nil {
		return
	}
	outer, around := a.scope, a.level
	a.with(s.GetWithClause())
	a.level = &level{query: s, ctes: a.scope, outer: around}
	if s.GetIntoClause() != nil {
		a.command.Into = true
	}
	if len(s.GetLockingClause()) > 0 {
		a.command.Locking = true
	}
	a.query(s.GetLarg())
	a.query(s.GetRarg())
	a.all(s.GetDistinctClause())
	a.all(s.GetTargetList())
	a.all(s.GetFromClause())
	a.walk(s.GetWhereClause())
	a.all(s.GetGroupClause())
	a.walk(s.GetHavingClause())
	a.all(s.GetWindowClause())
	a.all(s.GetValuesLists())
	a.all(s.GetSortClause())
	a.walk(s.GetLimitOffset())
	a.walk(s.GetLimitCount())
	a.scope, a.level = outer, around
}

// with collects the facts of a WITH clause and brings its names into sight; the caller restores the scope.
// Without RECURSIVE a query sees the ones before it, with RECURSIVE it sees all (manual section 7.8).
func (a *analysis) with(w *pg.WithClause) {
	outer := a.scope
	if w.GetRecursive() {
		a.scope = within(w, outer, a.level)
	}
	for _, n := range w.GetCtes() {
		cte := n.GetCommonTableExpr()
		a.walk(cte.GetCtequery())
		if cycle := cte.GetCycleClause(); cycle != nil {
			a.implied("=", "<>")
			a.walk(cycle.GetCycleMarkValue())
			a.walk(cycle.GetCycleMarkDefault())
		}
		if !w.GetRecursive() {
			a.scope = sight(n, a.scope, a.level)
		}
	}
}

// within returns the CTEs in sight in a query with this WITH clause.
func within(w *pg.WithClause, outer *scope, l *level) *scope {
	all := outer
	for _, n := range w.GetCtes() {
		all = sight(n, all, l)
	}
	if w.GetRecursive() {
		for s := all; s != outer; s = s.outer {
			s.within = all
		}
	}
	return all
}

// sight brings a CTE into sight that sees the ones before it.
func sight(n *pg.Node, outer *scope, l *level) *scope {
	cte := n.GetCommonTableExpr()
	return &scope{name: cte.GetCtename(), outer: outer, cte: cte, within: outer, level: l}
}

// fromItem collects the facts of an item of FROM; false when the node is none.
func (a *analysis) fromItem(n any) bool {
	switch n := n.(type) {
	case *pg.Node_RangeVar:
		a.read(n.RangeVar)
	case *pg.Node_JoinExpr:
		j := n.JoinExpr
		if j.GetIsNatural() || len(j.GetUsingClause()) > 0 {
			a.implied("=")
		}
		a.walk(j.GetLarg())
		a.walk(j.GetRarg())
		a.walk(j.GetQuals())
	case *pg.Node_RangeSubselect:
		around := a.level
		a.level = around.inside(n.RangeSubselect)
		a.walk(n.RangeSubselect.GetSubquery())
		a.level = around
	case *pg.Node_RangeFunction:
		for _, item := range n.RangeFunction.GetFunctions() { // lists of a call and its columns
			a.walk(item)
		}
		a.all(n.RangeFunction.GetColdeflist())
	case *pg.Node_ColumnDef: // f() AS (a int): the result is converted
		a.cast(n.ColumnDef.GetTypeName(), nil)
	case *pg.Node_RangeTableSample:
		a.command.TableSample = true
		a.walk(n.RangeTableSample.GetRelation())
		a.all(n.RangeTableSample.GetArgs())
		a.walk(n.RangeTableSample.GetRepeatable())
	default:
		return false
	}
	return true
}

// modify collects the facts of INSERT, UPDATE, DELETE and MERGE, wherever they stand. A CTE's name never
// hides the relation that is changed.
func (a *analysis) modify(n any) {
	outer := a.scope
	switch n := n.(type) {
	case *pg.Node_InsertStmt:
		s := n.InsertStmt
		a.with(s.GetWithClause())
		a.write(s.GetRelation(), OpInsert, false)
		a.all(s.GetCols())
		a.walk(s.GetSelectStmt())
		a.onConflict(s)
		a.all(s.GetReturningList())
	case *pg.Node_UpdateStmt:
		s := n.UpdateStmt
		a.with(s.GetWithClause())
		a.write(s.GetRelation(), OpUpdate, false)
		a.all(s.GetTargetList())
		a.all(s.GetFromClause())
		a.walk(s.GetWhereClause())
		a.all(s.GetReturningList())
	case *pg.Node_DeleteStmt:
		s := n.DeleteStmt
		a.with(s.GetWithClause())
		a.write(s.GetRelation(), OpDelete, false)
		a.all(s.GetUsingClause())
		a.walk(s.GetWhereClause())
		a.all(s.GetReturningList())
	case *pg.Node_MergeStmt:
		s := n.MergeStmt
		a.with(s.GetWithClause())
		a.write(s.GetRelation(), OpMerge, false)
		a.walk(s.GetSourceRelation())
		a.walk(s.GetJoinCondition())
		for _, when := range s.GetMergeWhenClauses() {
			w := when.GetMergeWhenClause()
			a.walk(w.GetCondition())
			a.all(w.GetTargetList())
			a.all(w.GetValues())
		}
		a.all(s.GetReturningList())
	}
	a.scope = outer
}

func (a *analysis) onConflict(s *pg.InsertStmt) {
	c := s.GetOnConflictClause()
	if c == nil {
		return
	}
	if c.GetAction() != pg.OnConflictAction_ONCONFLICT_NOTHING {
		a.write(s.GetRelation(), OpUpdate, false)
	}
	a.all(c.GetInfer().GetIndexElems())
	a.walk(c.GetInfer().GetWhereClause())
	a.all(c.GetTargetList())
	a.walk(c.GetWhereClause())
}
