package invalidator

import (
	"maps"
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
)

// path says how the names of a text are looked up.
type path struct {
	schemas []string // current_schemas(true)
	// doubtful is true where nobody knows which of the schemas counts: a name may mean what it names in any of them.
	doubtful  bool
	temporary catalog.Temporary
	// session is the path of the session that runs the text, where that is another one: the functions that the text calls run under it.
	session *path
	// transitions are the names of a trigger's transition tables.
	transitions []string
	key         string
}

// anyTemporary stands for temporary relations of which nothing is known.
var anyTemporary = catalog.Temporary{Exists: true} //nolint:gochecknoglobals // constant

func newPath(schemas []string, doubtful bool, temporary catalog.Temporary) *path {
	p := &path{schemas: schemas, doubtful: doubtful, temporary: temporary, key: temporaryKey(temporary) + strings.Join(schemas, "\x00")}
	if doubtful {
		p.key = "?" + p.key
	}
	return p
}

// temporaryKey tells apart what is known of temporary relations.
func temporaryKey(t catalog.Temporary) string {
	switch {
	case !t.Exists:
		return ""
	case t.Names == nil:
		return "!\x00"
	}
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Names)) {
		key.WriteString("!" + name + "\x00")
		if t.Names[name] {
			key.WriteString("\x00")
		}
	}
	return key.String()
}

// runtime is the path that functions are called under.
func (p *path) runtime() *path {
	if p.session != nil {
		return p.session
	}
	return p
}

// under returns the path with another one for the functions that are called.
func (p *path) under(session *path) *path {
	q := *p
	q.session = session
	q.key += "\x00@" + session.key
	return &q
}

// withTransitions returns the path with names of transition tables, which the functions that are called do not see.
func (p *path) withTransitions(names []string) *path {
	q := *p
	q.session, q.transitions = p.runtime(), names
	q.key += "\x00+" + strings.Join(names, "\x00")
	return &q
}

// qualified is the path of a text that the server wrote with an empty search path, when a session runs it under p.
func qualified(p *path) *path {
	return newPath([]string{"pg_catalog"}, false, catalog.Temporary{}).under(p.runtime())
}

// anywhere is the path of texts of which nobody knows under which settings they are run.
func (c *closure) anywhere(temporary catalog.Temporary) *path {
	p := &path{doubtful: true, temporary: temporary, key: "*" + temporaryKey(temporary)}
	if c.snapshot != nil {
		p.schemas = c.snapshot.Schemas()
	}
	return p
}

// pathOf is the path of a function's body when the function is called under another; nil where the server reads the body in another
// way than the parser does.
func (c *closure) pathOf(f *catalog.Function, caller *path) *path {
	search, ok := c.snapshot.PathIn(f, catalog.SearchPath{Schemas: caller.schemas, Doubtful: caller.doubtful})
	if !ok {
		return nil
	}
	own := caller
	switch {
	case search.Doubtful && len(search.Schemas) == len(c.snapshot.Schemas()):
		own = c.anywhere(caller.temporary)
	case search.Doubtful != caller.doubtful, !slices.Equal(search.Schemas, caller.schemas):
		own = newPath(search.Schemas, search.Doubtful, caller.temporary)
	}
	if f.Standard {
		return qualified(own)
	}
	return own
}

// resolve returns the relations that a name may mean, nil when there is none.
func (c *closure) resolve(p *path, schema, name string) []*catalog.Relation {
	if schema != "" || !p.doubtful {
		if r, found := c.snapshot.Resolve(p.schemas, schema, name); found {
			return []*catalog.Relation{r}
		}
		return nil
	}
	var found, views []*catalog.Relation
	for _, candidate := range p.schemas {
		switch r := c.snapshot.Relation(candidate, name); {
		case r == nil:
		case candidate == "information_schema": // seldom in anybody's path, and full of common names
			views = append(views, r)
		default:
			found = append(found, r)
		}
	}
	if found == nil {
		return views
	}
	return found
}

// types returns the types that a name may mean. The grammar's own names (int, timestamp) mean pg_catalog's.
func (c *closure) types(p *path, schema, name string) []*catalog.Type {
	if schema != "" || !p.doubtful {
		if t := c.snapshot.Type(p.schemas, schema, name); t != nil {
			return []*catalog.Type{t}
		}
		return nil
	}
	var found []*catalog.Type
	for _, candidate := range p.schemas {
		if t := c.snapshot.Type(nil, candidate, name); t != nil {
			found = append(found, t)
		}
	}
	return found
}
