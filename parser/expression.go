package parser

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// all walks a list of nodes.
func (a *analysis) all(nodes []*pg.Node) {
	for _, n := range nodes {
		a.walk(n)
	}
}

// walk collects the facts of an expression, a FROM item or a query. It names every node that the raw grammar
// can put there; others are unsupported.
func (a *analysis) walk(n *pg.Node) {
	switch n := n.GetNode().(type) {
	case nil:
	case *pg.Node_AConst:
		if !n.AConst.GetIsnull() {
			a.command.Constants++
		}
		if s, ok := n.AConst.GetVal().(*pg.A_Const_Sval); ok && timeWord(s.Sval.GetSval()) {
			a.command.TimeLiteral = true
		}
	case *pg.Node_ColumnRef:
		a.columnRef(n.ColumnRef)
	case *pg.Node_ParamRef:
		a.command.MaxParam = max(a.command.MaxParam, int(n.ParamRef.GetNumber()))
	case *pg.Node_AExpr:
		a.expression(n.AExpr)
	case *pg.Node_FuncCall:
		a.call(n.FuncCall)
	case *pg.Node_TypeCast:
		a.cast(n.TypeCast.GetTypeName(), n.TypeCast.GetArg())
		a.walk(n.TypeCast.GetArg())
	case *pg.Node_BoolExpr:
		a.all(n.BoolExpr.GetArgs())
	case *pg.Node_NullTest:
		a.walk(n.NullTest.GetArg())
	case *pg.Node_BooleanTest:
		a.walk(n.BooleanTest.GetArg())
	case *pg.Node_SubLink:
		a.subLink(n.SubLink)
	case *pg.Node_CaseExpr:
		if n.CaseExpr.GetArg() != nil {
			a.implied("=")
		}
		a.walk(n.CaseExpr.GetArg())
		a.all(n.CaseExpr.GetArgs())
		a.walk(n.CaseExpr.GetDefresult())
	case *pg.Node_CaseWhen:
		a.walk(n.CaseWhen.GetExpr())
		a.walk(n.CaseWhen.GetResult())
	case *pg.Node_CoalesceExpr:
		a.all(n.CoalesceExpr.GetArgs())
	case *pg.Node_MinMaxExpr:
		a.all(n.MinMaxExpr.GetArgs())
	case *pg.Node_RowExpr:
		a.all(n.RowExpr.GetArgs())
	case *pg.Node_AArrayExpr:
		a.all(n.AArrayExpr.GetElements())
	case *pg.Node_AIndirection:
		a.walk(n.AIndirection.GetArg())
		a.indirection(n.AIndirection.GetIndirection())
	case *pg.Node_CollateClause:
		a.walk(n.CollateClause.GetArg())
	case *pg.Node_NamedArgExpr:
		a.walk(n.NamedArgExpr.GetArg())
	case *pg.Node_MultiAssignRef:
		a.walk(n.MultiAssignRef.GetSource())
	case *pg.Node_SqlvalueFunction:
		a.valueFunction(n.SqlvalueFunction.GetOp())
	case *pg.Node_GroupingFunc:
		a.all(n.GroupingFunc.GetArgs())
	case *pg.Node_GroupingSet:
		a.all(n.GroupingSet.GetContent())
	case *pg.Node_ResTarget:
		a.indirection(n.ResTarget.GetIndirection())
		a.walk(n.ResTarget.GetVal())
	case *pg.Node_SortBy:
		a.walk(n.SortBy.GetNode())
		if use := n.SortBy.GetUseOp(); len(use) > 0 {
			a.operator(use)
		}
	case *pg.Node_WindowDef:
		a.window(n.WindowDef)
	case *pg.Node_List:
		a.all(n.List.GetItems())
	case *pg.Node_IndexElem:
		a.walk(n.IndexElem.GetExpr())
	case *pg.Node_SetToDefault, *pg.Node_CurrentOfExpr, *pg.Node_MergeSupportFunc, *pg.Node_AStar,
		*pg.Node_Integer, *pg.Node_Float, *pg.Node_String_, *pg.Node_Boolean:
	case *pg.Node_SelectStmt:
		a.query(n.SelectStmt)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.modify(n)
	default:
		if !a.fromItem(n) && !a.special(n) {
			a.unsupported(nodeName(n))
		}
	}
}

// nodeName is the name of a node's type, for logs.
func nodeName(n any) string { return fmt.Sprintf("%T", n) }

func (a *analysis) columnRef(c *pg.ColumnRef) {
	fields := c.GetFields()
	if len(fields) == 0 {
		return
	}
	last := fields[len(fields)-1].GetString_()
	switch {
	case last == nil: // *
	case len(fields) == 1:
		a.column(last.GetSval())
	default:
		a.attribute(last.GetSval())
	}
}

func (a *analysis) indirection(list []*pg.Node) {
	for _, n := range list {
		switch n := n.GetNode().(type) {
		case *pg.Node_String_:
			a.attribute(n.String_.GetSval())
		case *pg.Node_AIndices:
			a.walk(n.AIndices.GetLidx())
			a.walk(n.AIndices.GetUidx())
		case *pg.Node_AStar:
		default:
			a.unsupported(nodeName(n))
		}
	}
}

// expression notes an operator expression. LIKE and the like carry their operator's name.
func (a *analysis) expression(e *pg.A_Expr) {
	switch e.GetKind() {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL, pg.A_Expr_Kind_AEXPR_DISTINCT,
		pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF, pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_LIKE,
		pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		a.operator(e.GetName())
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM:
		a.implied(">=", "<=")
	case pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		a.implied("<", ">")
	default:
		a.unsupported("expression " + e.GetKind().String())
	}
	a.walk(e.GetLexpr())
	a.walk(e.GetRexpr())
}

func (a *analysis) call(f *pg.FuncCall) {
	schema, name, ok := qualified(f.GetFuncname())
	if !ok {
		a.unsupported("function without a name")
		return
	}
	call := Function{Schema: schema, Name: name, Args: len(f.GetArgs()), Variadic: f.GetFuncVariadic()}
	if f.GetAggWithinGroup() {
		call.Args += len(f.GetAggOrder())
	}
	for _, arg := range f.GetArgs() {
		call.Named = call.Named || arg.GetNamedArgExpr() != nil
	}
	switch name {
	case "date", "time", "timestamp", "timestamptz":
		if call.Cast = foldSystem(schema) == "" && call.Args == 1 && !call.Named && !call.Variadic; call.Cast {
			a.conversions(Cast{Type: name, Call: true}, f.GetArgs()[0])
		}
	}
	a.command.Functions = add(a.command.Functions, &a.functions, call)
	if name == "current_setting" {
		a.readsSetting(f)
	}
	a.all(f.GetArgs())
	a.all(f.GetAggOrder())
	a.walk(f.GetAggFilter())
	a.window(f.GetOver())
}

func (a *analysis) window(w *pg.WindowDef) {
	a.all(w.GetPartitionClause())
	a.all(w.GetOrderClause())
	a.walk(w.GetStartOffset())
	a.walk(w.GetEndOffset())
}

func (a *analysis) subLink(s *pg.SubLink) {
	switch s.GetSubLinkType() {
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK, pg.SubLinkType_ROWCOMPARE_SUBLINK:
		if len(s.GetOperName()) == 0 { // IN
			a.implied("=")
		} else {
			a.operator(s.GetOperName())
		}
	case pg.SubLinkType_EXISTS_SUBLINK, pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
	default:
		a.unsupported("sublink " + s.GetSubLinkType().String())
	}
	a.walk(s.GetTestexpr())
	a.walk(s.GetSubselect())
}

func (a *analysis) valueFunction(op pg.SQLValueFunctionOp) {
	switch op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER, pg.SQLValueFunctionOp_SVFOP_USER,
		pg.SQLValueFunctionOp_SVFOP_SESSION_USER, pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG,
		pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		a.command.SessionIdentity = true
	default: // all others are of time; one that is new is taken for one, too
		a.command.CurrentTime = true
	}
}
