package parser

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// scalarOf reads a constant or a parameter, with one cast around it or none.
func scalarOf(n *pg.Node) (Value, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		name, ok := typeOf(cast.GetTypeName(), false)
		if !ok {
			return Value{}, false
		}
		return literalOf(cast.GetArg(), name)
	}
	return literalOf(n, "")
}

// literalOf reads a constant or a parameter that is cast to a type ("": not cast). Casts that convert one
// kind of constant to another, as 1.5::int does, are left out.
func literalOf(n *pg.Node, typeName string) (Value, bool) {
	v := Value{Type: typeName}
	switch n := n.GetNode().(type) {
	case *pg.Node_ParamRef:
		v.Kind, v.Param = ValueParam, int(n.ParamRef.GetNumber())
		return v, v.Param > 0
	case *pg.Node_AConst:
		switch c := n.AConst.GetVal().(type) {
		case *pg.A_Const_Ival:
			v.Kind, v.Text = ValueInteger, strconv.Itoa(int(c.Ival.GetIval()))
		case *pg.A_Const_Fval: // an integer beyond 32 bits is one (make_const in src/backend/parser/parse_node.c)
			i, err := strconv.ParseInt(c.Fval.GetFval(), 10, 64)
			if err != nil {
				return Value{}, false
			}
			v.Kind, v.Text = ValueInteger, strconv.FormatInt(i, 10)
		case *pg.A_Const_Boolval:
			v.Kind, v.Text = ValueBoolean, strconv.FormatBool(c.Boolval.GetBoolval())
			return v, typeName == "" || typeName == "bool"
		case *pg.A_Const_Sval:
			v.Kind, v.Text = ValueText, c.Sval.GetSval()
			return v, true
		default: // NULL, bit strings
			return Value{}, false
		}
		switch typeName {
		case "", "int2", "int4", "int8":
			return v, true
		}
	}
	return Value{}, false
}

// listOf reads a list of constants and parameters; each may have a cast of its own if the list has none.
func listOf(items []*pg.Node, typeName string) ([]Value, bool) {
	if len(items) == 0 || len(items) > maxValues {
		return nil, false
	}
	values := make([]Value, len(items))
	for i, item := range items {
		var ok bool
		if typeName == "" {
			values[i], ok = scalarOf(item)
		} else {
			values[i], ok = literalOf(item, typeName)
		}
		if !ok {
			return nil, false
		}
	}
	return values, true
}

// arrayOf reads what may stand in = ANY (...): $1, ARRAY[...] and '{...}', with one cast around it or none.
func arrayOf(n *pg.Node) ([]Value, bool) {
	element := ""
	if cast := n.GetTypeCast(); cast != nil {
		var ok bool
		if element, ok = typeOf(cast.GetTypeName(), true); !ok {
			return nil, false
		}
		n = cast.GetArg()
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_ParamRef:
		v, ok := literalOf(&pg.Node{Node: n}, element)
		v.Array = true
		return []Value{v}, ok
	case *pg.Node_AArrayExpr:
		return listOf(n.AArrayExpr.GetElements(), element)
	case *pg.Node_AConst:
		return elementsOf(n.AConst.GetSval().GetSval(), element)
	}
	return nil, false
}

// elementsOf reads the plainest form of an array (manual section 8.15.2): one dimension, nothing quoted, no
// white space, no NULL.
func elementsOf(text, typeName string) ([]Value, bool) {
	if len(text) < 3 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil, false
	}
	text = text[1 : len(text)-1]
	if strings.ContainsAny(text, "{}\"\\ \t\n\v\f\r") || strings.Count(text, ",") >= maxValues {
		return nil, false
	}
	parts := strings.Split(text, ",")
	values := make([]Value, len(parts))
	for i, part := range parts {
		if part == "" || strings.EqualFold(part, "null") {
			return nil, false
		}
		values[i] = Value{Kind: ValueText, Text: strings.Clone(part), Type: typeName}
	}
	return values, true
}

// typeOf is the name of a type, or of an array's elements, that a cast converts to. Types of another schema
// and types with a modifier, which may cut the value off, are left out.
func typeOf(t *pg.TypeName, array bool) (string, bool) {
	schema, name, ok := qualified(t.GetNames())
	return name, ok && (schema == "" || schema == "pg_catalog") && array == (len(t.GetArrayBounds()) > 0) &&
		len(t.GetTypmods()) == 0 && !t.GetPctType() && !t.GetSetof()
}
