package invalidator

import (
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// Touched is what a statement may change once it takes effect.
type Touched struct {
	Whole       bool     // anything in the database
	Definition  bool     // definitions: the catalog must be loaded anew
	Cluster     bool     // every database of the server (roles, databases)
	Settings    bool     // settings of this session, its search path's schemas counted in
	AllSettings bool     // the same of every session
	Temp        bool     // temporary relations of this session come or go
	TempView    bool     // a temporary view was made: what its functions do is unknown, reading it may write
	Relations   []uint32 // OIDs of relations, sorted, once each; Whole makes them redundant
	Reason      string   // why Whole, for logs; it names objects, never values
}

// Nothing tells whether no cached answer can be affected.
func (t Touched) Nothing() bool {
	return !t.Whole && !t.Cluster && len(t.Relations) == 0
}

// Touches returns what stmt may change when a session with these current_schemas(true) executes it (DESIGN section
// 4, the write closure) and these temporary relations. Without a snapshot all that names a relation or calls anything touches the whole database.
//
// Transactions are the caller's: what is touched takes effect at COMMIT, or not at all.
//
// One thing is believed: a function that a user declares STABLE or IMMUTABLE does not write, as the manual demands
// of it (section 38.7). PostgreSQL stops it from writing itself, not from calling a function that writes.
func Touches(stmt *parser.Statement, schemas []string, temporary catalog.Temporary, snapshot *catalog.Snapshot) Touched {
	if stmt.Err != nil {
		return Touched{Whole: true, Definition: true, Settings: true, Temp: true, Reason: "not parsed"}
	}
	c := closure{
		schemas: withSystem(schemas), temporary: temporary, snapshot: snapshot,
		changed: make(map[uint32]change), read: make(map[uint32]bool),
	}
	for i := range stmt.Commands {
		c.command(&stmt.Commands[i])
	}
	for oid := range c.changed {
		c.touched.Relations = append(c.touched.Relations, oid)
	}
	slices.Sort(c.touched.Relations)
	return c.touched
}

// withSystem puts pg_catalog in front of a path that doesn't name it, as PostgreSQL does.
func withSystem(schemas []string) []string {
	if slices.Contains(schemas, "pg_catalog") {
		return schemas
	}
	return append([]string{"pg_catalog"}, schemas...)
}

// closure collects what the commands of a statement touch.
type closure struct {
	schemas   []string
	temporary catalog.Temporary
	snapshot  *catalog.Snapshot

	touched Touched
	changed map[uint32]change // relations with the ways of changing them that were followed
	read    map[uint32]bool   // views that were judged
}

// whole notes that anything may have changed; the first reason is kept.
func (c *closure) whole(reason string) {
	if !c.touched.Whole {
		c.touched.Whole, c.touched.Reason = true, reason
	}
}

// unknown notes that something runs of which nothing is known: it may even define things.
func (c *closure) unknown(reason string) {
	c.whole(reason)
	c.touched.Definition = true
}

func (c *closure) command(command *parser.Command) {
	t := &c.touched
	switch command.Kind {
	case parser.KindBegin, parser.KindCommit, parser.KindRollback, parser.KindSavepoint, parser.KindRollbackTo,
		parser.KindPrepareTransaction, parser.KindDeallocate:
		return
	case parser.KindPrepare: // nothing runs before EXECUTE
		return
	case parser.KindSet:
		t.Settings = true
		return
	case parser.KindDiscard:
		t.Settings, t.Temp = true, true
		return
	case parser.KindFinishPrepared:
		c.unknown(command.Tag)
		t.AllSettings = true
		return
	case parser.KindDefinition:
		c.whole(command.Tag)
		// A schema that comes, goes or changes its rights changes current_schemas() of other sessions.
		t.Definition, t.AllSettings = true, true
		t.Cluster = t.Cluster || command.Cluster
		return
	case parser.KindTempDefinition:
		t.Temp, t.Settings = true, true
		t.TempView = t.TempView || command.Tag == "CREATE VIEW"
	case parser.KindSelect, parser.KindWrite, parser.KindNeutral:
	default: // KindUnknown, KindExecute
		c.unknown(command.Tag)
		t.Settings, t.Temp = true, true
		return
	}
	c.runs(command, c.schemas, c.temporary)
}

// runs judges a command that reads, writes and calls.
func (c *closure) runs(command *parser.Command, schemas []string, temporary catalog.Temporary) {
	if command.Unsupported || command.ExecutesUnknown {
		c.unknown("unsupported syntax " + command.UnsupportedWhat)
		return
	}
	if c.snapshot == nil {
		if len(command.Reads)+len(command.Writes)+len(command.Functions)+len(command.Operators)+len(command.Casts) > 0 ||
			command.RangeTableFunc {
			c.whole("no catalog")
		}
		c.settings(command)
		return
	}
	c.calls(command, schemas, temporary)
	for _, name := range command.Reads {
		c.reads(name, schemas, temporary)
	}
	for _, w := range command.Writes {
		c.writes(w, schemas, temporary)
	}
}

// settings notes set_config where no catalog tells what a name means.
func (c *closure) settings(command *parser.Command) {
	for _, f := range command.Functions {
		c.setting(f.Name)
	}
}

// reads judges a relation that is read: a view runs what it is made of.
func (c *closure) reads(name parser.Relation, schemas []string, temporary catalog.Temporary) {
	if temporarySchema(name.Schema) || name.Schema == "" && temporary.Shadows(name.Name) {
		c.readsTemporary(name.Name, temporary)
		if temporarySchema(name.Schema) {
			return
		}
	}
	r, found := c.snapshot.Resolve(schemas, name.Schema, name.Name)
	switch {
	case found:
		c.readsRelation(r)
	case name.Schema == "" && temporary.Shadows(name.Name):
	default:
		c.whole("unknown relation " + name.Name)
	}
}

// readsTemporary judges a temporary relation that is read: a view may run anything. Where nobody knows what it is see
// Touched.TempView.
func (c *closure) readsTemporary(name string, temporary catalog.Temporary) {
	if _, known := temporary.Names[name]; known && !temporary.Plain(name) {
		c.unknown("temporary relation " + name)
	}
}

// readsRelation judges a relation of the catalog.
func (c *closure) readsRelation(r *catalog.Relation) {
	if c.read[r.OID] || system(r) {
		return
	}
	c.read[r.OID] = true
	if r.RowSecurity && r.VolatileFunctions {
		c.whole("volatile function in a policy of " + r.Name)
	}
	c.runsPolicies(r)
	if r.Kind == 'v' {
		c.runsDefinition(r)
	}
}

// runsDefinition judges the query of a view or materialized view. It was deparsed with an empty search path.
func (c *closure) runsDefinition(r *catalog.Relation) {
	definition := c.snapshot.ViewStatement(r, parser.Analyze).Single()
	if definition == nil || definition.Kind != parser.KindSelect {
		c.unknown("definition of " + r.Name)
		return
	}
	c.runs(definition, []string{"pg_catalog"}, catalog.Temporary{})
}

// runsPolicies judges the policies of row security, for reading and writing alike.
func (c *closure) runsPolicies(r *catalog.Relation) {
	for i := range r.Policies {
		for _, expression := range []string{r.Policies[i].Using, r.Policies[i].Check} {
			if expression == "" {
				continue
			}
			command := c.snapshot.PolicyStatement(r, expression, parser.Analyze).Single()
			if command == nil || command.Kind != parser.KindSelect {
				c.unknown("policy of " + r.Name)
				return
			}
			c.runs(command, []string{"pg_catalog"}, catalog.Temporary{})
		}
	}
}

func system(r *catalog.Relation) bool {
	return r.OID < catalog.FirstNormalObjectID || r.Schema == "pg_catalog" || r.Schema == "information_schema"
}

// temporarySchema tells whether a schema's name stands for a session's temporary relations.
func temporarySchema(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_") || strings.HasPrefix(schema, "pg_toast_temp_")
}
