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
	Reload      bool     // the server reads its configuration again, a moment later and whatever becomes of the transaction
	Temp        bool     // temporary relations of this session come or go
	Locks       bool     // rows or relations are locked by a function
	TempView    bool     // a temporary view was made: what its functions do is unknown, reading it may write
	Relations   []uint32 // OIDs of relations, sorted, once each; Whole makes them redundant
	Missing     bool     // Whole for nothing but names of relations that the catalog does not have
	Reason      string   // why Whole, for logs; it names objects, never values
	Culprit     string   // the function whose doings are not certain, as schema.name, where that is why: it can be declared
}

// Nothing tells whether no cached answer can be affected.
func (t Touched) Nothing() bool {
	return !t.Whole && !t.Cluster && len(t.Relations) == 0
}

// Touches returns what stmt may change when a session with these current_schemas(true) executes it (DESIGN section
// 4, the write closure) and these temporary relations; nil schemas are not known. Without a snapshot all that names a relation or calls
// anything touches the whole database.
//
// Transactions are the caller's: what is touched takes effect at COMMIT, or not at all.
//
// Functions and triggers in SQL and PL/pgSQL are followed where it is certain what they run. One thing is believed: a function that a
// user declares STABLE or IMMUTABLE writes no more than is certain, as the manual demands of it (section 38.7). PostgreSQL
// stops it from writing itself, not from calling a function that writes. What is declared of a function or trigger counts more than its text.
func Touches(stmt *parser.Statement, schemas []string, temporary catalog.Temporary, snapshot *catalog.Snapshot, declared *catalog.Declarations) Touched {
	if stmt.Err != nil {
		return Touched{Whole: true, Definition: true, Settings: true, Temp: true, Reason: "not parsed"}
	}
	c := newClosure(snapshot, declared)
	p := c.anywhere(temporary)
	if schemas != nil {
		p = newPath(withSystem(schemas), false, temporary)
	}
	for i := range stmt.Commands {
		c.command(&stmt.Commands[i], p)
		if c.touched.Settings || c.touched.Definition || stmt.Commands[i].Kind == parser.KindCommit || stmt.Commands[i].Kind == parser.KindRollback ||
			stmt.Commands[i].Kind == parser.KindRollbackTo { // what follows may be run under another search path
			p = c.anywhere(anyTemporary)
		}
	}
	return c.result()
}

// AtLogin returns what the event triggers of logins may change. Nobody fences that: logins come past pgrecall, too.
func AtLogin(snapshot *catalog.Snapshot, declared *catalog.Declarations) Touched {
	touched, _ := snapshot.Memo(loginKey{declared}, func() any {
		c := newClosure(snapshot, declared)
		for _, oid := range snapshot.LoginTriggers {
			c.functionOf(oid, c.anywhere(anyTemporary), "a function of the server")
		}
		return c.result()
	}).(Touched)
	return touched
}

type loginKey struct{ declared *catalog.Declarations }

// withSystem puts pg_catalog in front of a path that doesn't name it, as PostgreSQL does.
func withSystem(schemas []string) []string {
	if slices.Contains(schemas, "pg_catalog") {
		return schemas
	}
	return append([]string{"pg_catalog"}, schemas...)
}

// closure collects what the commands of a statement, or a function, touch.
type closure struct {
	snapshot *catalog.Snapshot
	declared *catalog.Declarations

	touched  Touched
	changed  map[uint32]bool      // relations
	followed map[following]change // changes that were followed
	read     map[reading]bool     // views that were judged
	ran      map[running]bool     // functions that were judged, or are being judged

	// trigger and inside are what is being followed, for Touched.Reason and Touched.Culprit: "" and nil for the statement itself.
	trigger string
	inside  *catalog.Function

	// function is true of a closure that belongs to one function: it is kept for other statements.
	function bool
	// trusting follows functions that are declared not to write, nil until there is one: see closure.trusts.
	trusting *closure
	// trusts is the closure on whose behalf this one follows such functions: what they certainly write goes there, and nothing else.
	trusts *closure
}

// What is done once for each path.
type (
	following struct {
		relation uint32
		path     string
	}
	reading struct {
		view uint32
		path string
	}
	running struct {
		function uint32
		path     string
	}
)

func newClosure(snapshot *catalog.Snapshot, declared *catalog.Declarations) *closure {
	return &closure{
		snapshot: snapshot, declared: declared, changed: make(map[uint32]bool), followed: make(map[following]change),
		read: make(map[reading]bool), ran: make(map[running]bool),
	}
}

func (c *closure) result() Touched {
	for oid := range c.changed {
		c.touched.Relations = append(c.touched.Relations, oid)
	}
	slices.Sort(c.touched.Relations)
	return c.touched
}

// whole notes that anything may have changed; the first reason is kept.
func (c *closure) whole(reason string) {
	if c.trusts != nil || c.touched.Whole && !c.touched.Missing {
		return
	}
	c.touched.Whole, c.touched.Missing, c.touched.Reason, c.touched.Culprit = true, false, reason, ""
	c.blame()
}

// blame adds what is being followed to a reason.
func (c *closure) blame() {
	if c.inside != nil {
		c.touched.Culprit = c.inside.Schema + "." + c.inside.Name
		c.touched.Reason = "function " + c.touched.Culprit + ": " + c.touched.Reason
	}
	if c.trigger != "" {
		c.touched.Reason = c.trigger + ": " + c.touched.Reason
	}
}

// missing notes a relation that the catalog does not have: most likely there is none, and the statement fails.
func (c *closure) missing(relation string) {
	if c.trusts == nil && !c.touched.Whole {
		c.touched.Whole, c.touched.Missing, c.touched.Reason = true, true, "unknown relation "+relation
		c.blame()
	}
}

// unknown notes that something runs of which nothing is known: it may even define things.
func (c *closure) unknown(reason string) {
	c.whole(reason)
	c.touched.Definition = c.touched.Definition || c.trusts == nil
}

func (c *closure) command(command *parser.Command, p *path) {
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
		if c.snapshot != nil && c.snapshot.EventTriggers {
			c.unknown("event trigger")
		}
		t.TempView = t.TempView || command.Tag == "CREATE VIEW"
	case parser.KindSelect, parser.KindWrite, parser.KindNeutral:
	case parser.KindUnknown:
		if c.executes(command, p); t.Definition {
			t.Settings, t.Temp = true, true
		}
		return
	default: // KindExecute
		c.unknown(command.Tag)
		t.Settings, t.Temp = true, true
		return
	}
	c.runs(command, p)
}

// runs judges a command that reads, writes and calls.
func (c *closure) runs(command *parser.Command, p *path) {
	if command.Unsupported || command.ExecutesUnknown {
		c.unknown("unsupported syntax " + command.UnsupportedWhat)
		return
	}
	c.follows(command, p)
}

// follows judges what a command reads, writes and calls.
func (c *closure) follows(command *parser.Command, p *path) {
	if c.snapshot == nil {
		if len(command.Reads)+len(command.Writes)+len(command.Functions)+len(command.Operators)+len(command.Casts) > 0 ||
			command.RangeTableFunc {
			c.whole("no catalog")
		}
		c.settings(command)
		return
	}
	if command.Tag == "DECLARE CURSOR" { // what it calls is run by a later FETCH
		p = p.under(c.anywhere(anyTemporary))
	}
	if c.function && (command.Locking || command.Tag == "LOCK TABLE") {
		c.touched.Locks = true
	}
	c.calls(command, p)
	for _, name := range command.Reads {
		c.reads(name, p)
	}
	for _, w := range command.Writes {
		c.writes(w, p)
	}
}

// settings notes set_config where no catalog tells what a name means.
func (c *closure) settings(command *parser.Command) {
	for _, f := range command.Functions {
		c.setting(f.Name)
	}
}

// reads judges a relation that is read: a view runs what it is made of.
func (c *closure) reads(name parser.Relation, p *path) {
	if temporarySchema(name.Schema) || name.Schema == "" && p.temporary.Shadows(name.Name) {
		c.readsTemporary(name.Name, p.temporary)
		if temporarySchema(name.Schema) {
			return
		}
	}
	found := c.resolve(p, name.Schema, name.Name)
	for _, r := range found {
		c.readsRelation(r, p)
	}
	switch {
	case found != nil:
	case name.Schema == "" && (slices.Contains(p.transitions, name.Name) || p.temporary.Shadows(name.Name)):
	default:
		c.missing(name.Name)
	}
}

// readsTemporary judges a temporary relation that is read: a view may run anything. Where nobody knows what it is see
// Touched.TempView.
func (c *closure) readsTemporary(name string, temporary catalog.Temporary) {
	if _, known := temporary.Names[name]; known && !temporary.Plain(name) {
		c.unknown("temporary relation " + name)
	}
}

// readsRelation judges a relation of the catalog. What its definition calls runs under the path p.
func (c *closure) readsRelation(r *catalog.Relation, p *path) {
	key := reading{r.OID, p.key}
	if c.read[key] || system(r) {
		return
	}
	c.read[key] = true
	if r.RowSecurity {
		c.defined(r, p)
	}
	c.runsPolicies(r, p)
	if r.Kind == 'v' {
		c.runsDefinition(r, p)
	}
}

// defined judges the functions that a relation's definition calls.
func (c *closure) defined(r *catalog.Relation, p *path) {
	for _, oid := range r.VolatileFunctions {
		c.functionOf(oid, p.runtime(), "volatile function in the definition of "+r.Name)
	}
}

// runsDefinition judges the query of a view or materialized view. It was deparsed with an empty search path.
func (c *closure) runsDefinition(r *catalog.Relation, p *path) {
	definition := c.snapshot.ViewStatement(r, parser.Analyze).Single()
	if definition == nil || definition.Kind != parser.KindSelect {
		c.unknown("definition of " + r.Name)
		return
	}
	c.runs(definition, qualified(p))
}

// runsPolicies judges the policies of row security, for reading and writing alike.
func (c *closure) runsPolicies(r *catalog.Relation, p *path) {
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
			c.runs(command, qualified(p))
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
