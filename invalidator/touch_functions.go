package invalidator

import (
	"strings"
	"sync"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// executes judges CALL, DO and what else runs something that the text does not tell.
func (c *closure) executes(command *parser.Command, p *path) {
	switch {
	case c.snapshot == nil || command.Unsupported:
		c.unknown(command.Tag)
	case command.Tag == "CALL":
		c.follows(command, p)
	case command.Tag == "DO":
		body := newClosure(c.snapshot, c.declared)
		body.function, body.trigger, body.inside = true, c.trigger, c.inside
		body.body(parser.AnalyzeBody(command.Language, command.Body), p.runtime())
		c.merge(body)
	default:
		c.unknown(command.Tag)
	}
}

// fires judges a trigger that a session with the path p fires.
func (c *closure) fires(t *catalog.Trigger, r *catalog.Relation, p *path) {
	outer := c.trigger
	c.trigger = "trigger " + t.Name + " on " + r.Schema + "." + r.Name
	defer func() { c.trigger = outer }()
	if declared := c.declared.Trigger(t, r); declared != nil {
		c.writesDeclared(declared.Writes, p.temporary)
		return
	}
	c.triggerCondition(t, p)
	if t.Deferrable { // it may fire at COMMIT, and who knows what the path is then
		p = c.anywhere(anyTemporary)
	}
	if len(t.Transitions) > 0 {
		p = p.withTransitions(t.Transitions)
	}
	c.functionOf(t.Function, p, "a function of the server")
}

func (c *closure) triggerCondition(t *catalog.Trigger, p *path) {
	if t.Condition != "" {
		c.body(c.snapshot.TriggerCondition(t), qualified(p))
	}
}

// writesDeclared follows writes that a declaration tells of.
func (c *closure) writesDeclared(patterns []string, temporary catalog.Temporary) {
	relations, ok := c.snapshot.Matching(patterns)
	if !ok {
		c.unknown("its declaration names a relation that isn't there")
	}
	main := c
	if c.trusts != nil {
		main = c.trusts
	}
	for _, r := range relations {
		main.change(r, inserted|updated|deleted|truncated, c.anywhere(temporary))
	}
}

// functionOf judges the function of an object when it is called under the path p.
func (c *closure) functionOf(oid uint32, p *path, object string) {
	f := c.snapshot.FunctionByOID(oid)
	if f == nil {
		c.unknown(object)
		return
	}
	if !f.Harmless {
		c.userFunction(f, p)
	}
}

// userFunction judges a function that a user made when it is called under the path p.
func (c *closure) userFunction(f *catalog.Function, p *path) {
	key := running{f.OID, p.key}
	if c.ran[key] { // a function that calls itself does nothing new
		return
	}
	c.ran[key] = true
	switch {
	case !c.function && c.trusts == nil:
		c.merge(effectsOf(c.snapshot, c.declared, f, p))
	case f.Volatility != 'v' && c.trusts == nil:
		if c.trusting == nil {
			c.trusting = newClosure(c.snapshot, c.declared)
			c.trusting.function, c.trusting.trusts = true, c
		}
		c.trusting.userFunction(f, p)
		c.touched.Settings = c.touched.Settings || c.trusting.touched.Settings
		c.touched.AllSettings = c.touched.AllSettings || c.trusting.touched.AllSettings
		c.touched.Reload = c.touched.Reload || c.trusting.touched.Reload
		c.touched.Locks = c.touched.Locks || c.trusting.touched.Locks
	default:
		outer := c.inside
		c.inside = f
		c.runsFunction(f, p)
		c.inside = outer
	}
}

// runsFunction judges what a function is made of.
func (c *closure) runsFunction(f *catalog.Function, p *path) {
	if declared := c.declared.Function(f); declared != nil {
		c.writesDeclared(declared.Writes, p.temporary)
		return
	}
	own := c.pathOf(f, p.runtime())
	if own != nil && len(p.transitions) > 0 {
		own = own.withTransitions(p.transitions)
	}
	if f.DefaultValues != "" {
		c.body(c.snapshot.DefaultsOf(f), qualified(p))
	}
	switch {
	case f.VolatileTypes:
		c.unknown("its arguments or result have a domain with a volatile function")
	case own == nil:
		c.unknown("it sets standard_conforming_strings")
	default:
		c.body(c.snapshot.Body(f), own)
	}
}

// body judges a body that is run under the path p.
func (c *closure) body(b *parser.Body, p *path) {
	if b.Err != nil {
		c.unknown(strings.TrimPrefix(b.Err.Error(), "parser: "))
		return
	}
	if b.Opens { // what a cursor calls is run when somebody fetches
		p = p.under(c.anywhere(anyTemporary))
	}
	// A session looks for variables' types when it runs the body for the first time, and remembers them.
	var anywhere *path
	if len(b.Types)+len(b.Rows) > 0 {
		anywhere = c.anywhere(p.temporary)
	}
	for _, t := range b.Types {
		c.conversion(t.Schema, t.Type, anywhere)
	}
	for _, name := range b.Rows {
		found := c.resolve(anywhere, name.Schema, name.Name)
		if found == nil {
			c.unknown("unknown relation " + name.Name)
		}
		for _, r := range found {
			c.defined(r, anywhere)
		}
	}
	for i := range b.Commands {
		c.bodyCommand(&b.Commands[i], p)
	}
}

// bodyCommand judges one of a body's commands.
func (c *closure) bodyCommand(command *parser.Command, p *path) {
	switch command.Kind {
	case parser.KindSelect, parser.KindWrite, parser.KindNeutral:
		c.runs(command, p)
	case parser.KindCommit, parser.KindRollback:
	case parser.KindSet:
		c.touched.Settings = c.touched.Settings || command.Tag != "SET CONSTRAINTS"
		switch command.Setting {
		case "search_path", "role", "session_authorization", "standard_conforming_strings":
			c.unknown("SET " + command.Setting)
		case "":
			if command.Tag == "RESET" {
				c.unknown("RESET ALL")
			}
		}
	case parser.KindUnknown:
		c.executes(command, p)
	default:
		c.unknown(command.Tag)
	}
}

// merge takes over what another closure found.
func (c *closure) merge(o *closure) {
	t := &c.touched
	if o.touched.Whole && !t.Whole && c.trusts == nil {
		t.Whole, t.Reason, t.Culprit = true, o.touched.Reason, o.touched.Culprit
		if c.trigger != "" && o.trigger == "" {
			t.Reason = c.trigger + ": " + t.Reason
		}
	}
	t.Definition = t.Definition || o.touched.Definition && c.trusts == nil
	t.Settings = t.Settings || o.touched.Settings
	t.AllSettings = t.AllSettings || o.touched.AllSettings
	t.Reload = t.Reload || o.touched.Reload
	t.Locks = t.Locks || o.touched.Locks
	changed := c.changed
	if c.trusts != nil {
		changed = c.trusts.changed
	}
	for oid := range o.changed {
		changed[oid] = true
	}
}

// effectsOf returns the closure of one function when it is called under the path p. It isn't changed any more.
func effectsOf(snapshot *catalog.Snapshot, declared *catalog.Declarations, f *catalog.Function, p *path) *closure {
	kept, _ := snapshot.Memo(effectsKey{declared}, func() any { return &effects{kept: make(map[running]*closure)} }).(*effects)
	key := running{f.OID, p.key}
	if e := kept.get(key); e != nil {
		return e
	}
	e := newClosure(snapshot, declared)
	e.function = true
	e.userFunction(f, p)
	kept.put(key, e)
	return e
}

type effectsKey struct{ declared *catalog.Declarations }

// effects keeps what functions touch, for one snapshot.
type effects struct {
	mu   sync.Mutex
	kept map[running]*closure
}

// maxEffects bounds how many functions are kept, each with each path that it was called under.
const maxEffects = 4096

func (e *effects) get(key running) *closure {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kept[key]
}

func (e *effects) put(key running, c *closure) {
	c.followed, c.read, c.ran, c.trusting = nil, nil, nil, nil
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= maxEffects {
		clear(e.kept)
	}
	e.kept[key] = c
}
