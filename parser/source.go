package parser

import pg "github.com/pganalyze/pg_query_go/v6"

// level is a SELECT around an expression, with the CTEs in sight in it.
type level struct {
	query *pg.SelectStmt
	ctes  *scope
	outer *level
	item  *pg.RangeSubselect // of the query's FROM, if the level is seen from inside it
}

// inside returns what a subquery in FROM sees of the level that it stands in: the other items if it is LATERAL.
func (l *level) inside(item *pg.RangeSubselect) *level {
	switch {
	case l == nil:
		return nil
	case !item.GetLateral():
		return l.outer
	}
	return &level{l.query, l.ctes, l.outer, item}
}

// sources finds what the type of an expression comes from. Each source is a cast of its own in the result; that the
// expression has the type of one of them, after PostgreSQL has unified them, is all that is said.
type sources struct {
	cast    Cast // the template
	found   []Cast
	unknown bool // there is another source that nobody knows
	steps   int
	inside  []visit // CTEs that are being looked at

	reference reference // the column reference that is being looked at
}

// reference is what is known of a column reference.
type reference struct {
	loose  []int // casts in found for columns of relations that it may mean
	strict bool  // it means a column of one relation
	sure   bool  // a subquery, CTE or function has such a column
}

type visit struct {
	cte    *pg.CommonTableExpr
	column string
	index  int
}

// maxSteps bounds the work for one expression.
const maxSteps = 200

// sourcesOf returns a cast for each source, or one with CastOther.
func sourcesOf(cast Cast, n *pg.Node, l *level) []Cast {
	s := sources{cast: cast}
	s.expression(n, l)
	if s.unknown || len(s.found) == 0 {
		cast.Source = CastOther
		return []Cast{cast}
	}
	return s.found
}

// add notes a source.
func (s *sources) add(source CastSource, set func(*Cast)) {
	c := s.cast
	c.Source = source
	if set != nil {
		set(&c)
	}
	s.found = append(s.found, c)
}

// expression finds the sources of an expression's type.
func (s *sources) expression(n *pg.Node, l *level) {
	if s.steps++; s.steps > maxSteps {
		s.unknown = true
	}
	if s.unknown {
		return
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst:
		s.add(CastConstant, nil)
	case *pg.Node_ParamRef:
		s.add(CastParam, nil)
	case *pg.Node_ColumnRef:
		s.columnRef(n.ColumnRef, l)
	case *pg.Node_TypeCast:
		schema, name, ok := qualified(n.TypeCast.GetTypeName().GetNames())
		if !ok {
			s.unknown = true
			return
		}
		s.add(CastTyped, func(c *Cast) { c.FromSchema, c.FromType = foldSystem(schema), name })
	case *pg.Node_FuncCall:
		s.function(n.FuncCall, l)
	case *pg.Node_AExpr:
		s.operation(n.AExpr, l)
	case *pg.Node_CoalesceExpr:
		s.all(n.CoalesceExpr.GetArgs(), l)
	case *pg.Node_MinMaxExpr:
		s.all(n.MinMaxExpr.GetArgs(), l)
	case *pg.Node_AArrayExpr:
		s.all(n.AArrayExpr.GetElements(), l)
	case *pg.Node_CaseExpr:
		for _, when := range n.CaseExpr.GetArgs() {
			s.expression(when.GetCaseWhen().GetResult(), l)
		}
		if n.CaseExpr.GetDefresult() != nil {
			s.expression(n.CaseExpr.GetDefresult(), l)
		}
	case *pg.Node_AIndirection: // elements of an array
		for _, index := range n.AIndirection.GetIndirection() {
			s.unknown = s.unknown || index.GetAIndices() == nil
		}
		s.expression(n.AIndirection.GetArg(), l)
	case *pg.Node_SubLink:
		s.subLink(n.SubLink, l)
	default:
		s.unknown = true
	}
}

func (s *sources) all(nodes []*pg.Node, l *level) {
	for _, n := range nodes {
		s.expression(n, l)
	}
}

// function finds the source of a call: its result, or what it passes on of its arguments.
func (s *sources) function(f *pg.FuncCall, l *level) {
	schema, name, ok := qualified(f.GetFuncname())
	if !ok || foldSystem(schema) != "" {
		s.unknown = true
		return
	}
	args := f.GetArgs()
	source := CastFunction
	if passesOn(name) && len(args) > 0 {
		source = CastPassedOn
		s.expression(args[0], l)
		if len(args) > 2 { // the default of lag and lead
			s.expression(args[2], l)
		}
	}
	s.add(source, func(c *Cast) { c.Function = name })
}

// passesOn tells of functions of pg_catalog that return a value of their first argument, or an element of it.
func passesOn(function string) bool {
	switch function {
	case "min", "max", "any_value", "lag", "lead", "first_value", "last_value", "nth_value", "unnest", "array_agg":
		return true
	}
	return false
}

func (s *sources) operation(e *pg.A_Expr, l *level) {
	schema, name, ok := qualified(e.GetName())
	switch {
	case ok && e.GetKind() == pg.A_Expr_Kind_AEXPR_NULLIF:
		s.expression(e.GetLexpr(), l)
	case ok && e.GetKind() == pg.A_Expr_Kind_AEXPR_OP && (name == "+" || name == "-") && foldSystem(schema) == "":
		s.add(CastOperator, func(c *Cast) { c.Function = name })
	default:
		s.unknown = true
	}
}

func (s *sources) subLink(n *pg.SubLink, l *level) {
	query := n.GetSubselect().GetSelectStmt()
	switch n.GetSubLinkType() {
	case pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
		s.output(query, "", 0, ctesOf(l), l)
	default:
		s.unknown = true
	}
}

func ctesOf(l *level) *scope {
	if l == nil {
		return nil
	}
	return l.ctes
}

// foldSystem drops the schema that means nothing but PostgreSQL's own objects.
func foldSystem(schema string) string {
	if schema == "pg_catalog" {
		return ""
	}
	return schema
}
