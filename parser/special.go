package parser

import pg "github.com/pganalyze/pg_query_go/v6"

// special collects the facts of XML and SQL/JSON syntax; false when the node is none of it. All of it
// sets RangeTableFunc, because it converts values by functions that the tree does not name.
func (a *analysis) special(n any) bool {
	switch n := n.(type) {
	case *pg.Node_XmlExpr:
		a.all(n.XmlExpr.GetNamedArgs())
		a.all(n.XmlExpr.GetArgs())
	case *pg.Node_XmlSerialize:
		a.cast(n.XmlSerialize.GetTypeName(), n.XmlSerialize.GetExpr())
		a.walk(n.XmlSerialize.GetExpr())
	case *pg.Node_RangeTableFunc: // XMLTABLE
		a.walk(n.RangeTableFunc.GetDocexpr())
		a.walk(n.RangeTableFunc.GetRowexpr())
		a.all(n.RangeTableFunc.GetNamespaces())
		a.all(n.RangeTableFunc.GetColumns())
	case *pg.Node_RangeTableFuncCol:
		a.cast(n.RangeTableFuncCol.GetTypeName(), nil)
		a.walk(n.RangeTableFuncCol.GetColexpr())
		a.walk(n.RangeTableFuncCol.GetColdefexpr())
	case *pg.Node_JsonTable:
		a.jsonValue(n.JsonTable.GetContextItem())
		a.jsonPath(n.JsonTable.GetPathspec())
		a.all(n.JsonTable.GetPassing())
		a.all(n.JsonTable.GetColumns())
		a.walk(n.JsonTable.GetOnError().GetExpr())
	case *pg.Node_JsonTableColumn:
		a.cast(n.JsonTableColumn.GetTypeName(), nil)
		a.jsonPath(n.JsonTableColumn.GetPathspec())
		a.all(n.JsonTableColumn.GetColumns())
		a.walk(n.JsonTableColumn.GetOnEmpty().GetExpr())
		a.walk(n.JsonTableColumn.GetOnError().GetExpr())
	case *pg.Node_JsonFuncExpr:
		a.jsonValue(n.JsonFuncExpr.GetContextItem())
		a.walk(n.JsonFuncExpr.GetPathspec())
		a.all(n.JsonFuncExpr.GetPassing())
		a.jsonOutput(n.JsonFuncExpr.GetOutput())
		a.walk(n.JsonFuncExpr.GetOnEmpty().GetExpr())
		a.walk(n.JsonFuncExpr.GetOnError().GetExpr())
	case *pg.Node_JsonArgument:
		a.jsonValue(n.JsonArgument.GetVal())
	case *pg.Node_JsonValueExpr:
		a.jsonValue(n.JsonValueExpr)
	case *pg.Node_JsonKeyValue:
		a.jsonKeyValue(n.JsonKeyValue)
	case *pg.Node_JsonObjectConstructor:
		a.all(n.JsonObjectConstructor.GetExprs())
		a.jsonOutput(n.JsonObjectConstructor.GetOutput())
	case *pg.Node_JsonArrayConstructor:
		a.all(n.JsonArrayConstructor.GetExprs())
		a.jsonOutput(n.JsonArrayConstructor.GetOutput())
	case *pg.Node_JsonArrayQueryConstructor:
		a.walk(n.JsonArrayQueryConstructor.GetQuery())
		a.jsonOutput(n.JsonArrayQueryConstructor.GetOutput())
	case *pg.Node_JsonObjectAgg:
		a.jsonKeyValue(n.JsonObjectAgg.GetArg())
		a.jsonAggregate(n.JsonObjectAgg.GetConstructor())
	case *pg.Node_JsonArrayAgg:
		a.jsonValue(n.JsonArrayAgg.GetArg())
		a.jsonAggregate(n.JsonArrayAgg.GetConstructor())
	case *pg.Node_JsonParseExpr:
		a.jsonValue(n.JsonParseExpr.GetExpr())
		a.jsonOutput(n.JsonParseExpr.GetOutput())
	case *pg.Node_JsonScalarExpr:
		a.walk(n.JsonScalarExpr.GetExpr())
		a.jsonOutput(n.JsonScalarExpr.GetOutput())
	case *pg.Node_JsonSerializeExpr:
		a.jsonValue(n.JsonSerializeExpr.GetExpr())
		a.jsonOutput(n.JsonSerializeExpr.GetOutput())
	case *pg.Node_JsonIsPredicate:
		a.walk(n.JsonIsPredicate.GetExpr())
	default:
		return false
	}
	a.command.RangeTableFunc = true
	return true
}

func (a *analysis) jsonValue(v *pg.JsonValueExpr) {
	a.walk(v.GetRawExpr())
	a.walk(v.GetFormattedExpr())
}

func (a *analysis) jsonKeyValue(kv *pg.JsonKeyValue) {
	a.walk(kv.GetKey())
	a.jsonValue(kv.GetValue())
}

func (a *analysis) jsonAggregate(c *pg.JsonAggConstructor) {
	a.jsonOutput(c.GetOutput())
	a.walk(c.GetAggFilter())
	a.all(c.GetAggOrder())
	a.window(c.GetOver())
}

func (a *analysis) jsonOutput(o *pg.JsonOutput) { a.cast(o.GetTypeName(), nil) }

func (a *analysis) jsonPath(p *pg.JsonTablePathSpec) { a.walk(p.GetString_()) }
