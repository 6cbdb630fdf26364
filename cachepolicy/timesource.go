package cachepolicy

import (
	"slices"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// timeSource tells whether what a cast to a date or time converts can't be a text that says 'now' or 'today'. Constants
// are judged by the parser (TimeLiteral), parameters by the proxy. all are the casts of the command.
func (c *calls) timeSource(cast *parser.Cast, all []parser.Cast) bool {
	switch cast.Source {
	case parser.CastConstant:
		return true
	case parser.CastParam:
		return !c.body
	case parser.CastFunction:
		return timeResults[cast.Function] && c.ownFunction(cast.Function, func(f *catalog.Function) bool { return f.Builtin })
	case parser.CastPassedOn: // citext has functions min and max of its own
		return c.ownFunction(cast.Function, func(f *catalog.Function) bool { return f.Builtin || f.Harmless })
	case parser.CastOperator: // no operator + or - of pg_catalog returns a text, none of the extensions here either
		candidates := c.snapshot.Operators(c.schemas, "", cast.Function)
		return len(candidates) > 0 && !slices.ContainsFunc(candidates, func(o *catalog.Operator) bool {
			return !o.Builtin && o.Extension != "hstore" && o.Extension != "intarray" && o.Extension != "vector"
		})
	case parser.CastTyped:
		t := c.snapshot.Type(c.schemas, cast.FromSchema, cast.FromType)
		return t != nil && c.timeType(t.Base)
	case parser.CastColumn:
		return c.timeColumn(cast, all)
	}
	return false
}

// ownFunction tells whether all functions that a name may mean are known to behave as pg_catalog's.
func (c *calls) ownFunction(name string, known func(*catalog.Function) bool) bool {
	candidates := c.snapshot.Functions(c.schemas, "", name)
	return len(candidates) > 0 && !slices.ContainsFunc(candidates, func(f *catalog.Function) bool { return !known(f) })
}

// timeType tells whether a base type (catalog.Type.Base) is one of pg_catalog's dates and times.
func (c *calls) timeType(base string) bool {
	t := c.snapshot.Type(nil, "pg_catalog", base)
	return t != nil && t.Time && t.Base == base
}

// timeColumn tells whether a column is a date or time, and exists. A loose one must exist in one of the relations that it may
// belong to.
func (c *calls) timeColumn(cast *parser.Cast, all []parser.Cast) bool {
	if cast.Relation.Name == "" || c.body { // a function's variable may have the name of a column
		return false
	}
	base, has := c.columnType(cast)
	if has {
		return c.timeType(base)
	}
	if cast.Optional {
		return true
	}
	return cast.Loose && slices.ContainsFunc(all, func(other parser.Cast) bool {
		if !other.Loose || other.Type != cast.Type || other.Schema != cast.Schema || other.Column != cast.Column {
			return false
		}
		_, has := c.columnType(&other)
		return has
	})
}

func (c *calls) columnType(cast *parser.Cast) (base string, has bool) {
	r, found := c.snapshot.Resolve(withSystem(c.schemas), cast.Relation.Schema, cast.Relation.Name)
	if !found {
		return "", false
	}
	base, has = r.ColumnTypes[cast.Column]
	return base, has
}
