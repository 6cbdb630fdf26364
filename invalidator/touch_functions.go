package invalidator

import (
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
		body := newClosure(c.snapshot)
		body.function = true
		body.body(parser.AnalyzeBody(command.Language, command.Body), p.runtime(), "DO")
		c.merge(body)
	default:
		c.unknown(command.Tag)
	}
}

// trigger judges a trigger that is fired by a session with the path p.
func (c *closure) trigger(t *catalog.Trigger, r *catalog.Relation, p *path) {
	c.triggerCondition(t, r, p)
	if t.Deferrable { // it may fire at COMMIT, and who knows what the path is then
		p = c.anywhere(anyTemporary)
	}
	if len(t.Transitions) > 0 {
		p = p.withTransitions(t.Transitions)
	}
	c.functionOf(t.Function, p, "trigger "+t.Name+" on "+r.Name)
}

func (c *closure) triggerCondition(t *catalog.Trigger, r *catalog.Relation, p *path) {
	if t.Condition != "" {
		c.body(c.snapshot.TriggerCondition(t), qualified(p), "condition of trigger "+t.Name+" on "+r.Name)
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
		c.merge(effectsOf(c.snapshot, f, p))
	case f.Volatility != 'v' && c.trusts == nil:
		if c.trusting == nil {
			c.trusting = newClosure(c.snapshot)
			c.trusting.function, c.trusting.trusts = true, c
		}
		c.trusting.userFunction(f, p)
		c.touched.Settings = c.touched.Settings || c.trusting.touched.Settings
		c.touched.AllSettings = c.touched.AllSettings || c.trusting.touched.AllSettings
		c.touched.Locks = c.touched.Locks || c.trusting.touched.Locks
	default:
		c.runsFunction(f, p)
	}
}

// runsFunction judges what a function is made of.
func (c *closure) runsFunction(f *catalog.Function, p *path) {
	what := "function " + f.Schema + "." + f.Name
	own := c.pathOf(f, p.runtime())
	if own != nil && len(p.transitions) > 0 {
		own = own.withTransitions(p.transitions)
	}
	if f.DefaultValues != "" {
		c.body(c.snapshot.DefaultsOf(f), qualified(p), what+": defaults of its arguments")
	}
	switch {
	case f.VolatileTypes:
		c.unknown(what + ": a domain with a volatile function")
	case own == nil:
		c.unknown(what + ": its setting of standard_conforming_strings")
	default:
		c.body(c.snapshot.Body(f), own, what)
	}
}

// body judges a body that is run under the path p.
func (c *closure) body(b *parser.Body, p *path, what string) {
	if b.Err != nil {
		c.unknown(what + ": " + b.Err.Error())
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
			c.unknown(what + ": unknown relation " + name.Name)
		}
		for _, r := range found {
			c.defined(r, anywhere)
		}
	}
	for i := range b.Commands {
		c.bodyCommand(&b.Commands[i], p, what)
	}
}

// bodyCommand judges one of a body's commands.
func (c *closure) bodyCommand(command *parser.Command, p *path, what string) {
	switch command.Kind {
	case parser.KindSelect, parser.KindWrite, parser.KindNeutral:
		c.runs(command, p)
	case parser.KindCommit, parser.KindRollback:
	case parser.KindSet:
		c.touched.Settings = c.touched.Settings || command.Tag != "SET CONSTRAINTS"
		switch command.Setting {
		case "search_path", "role", "session_authorization", "standard_conforming_strings":
			c.unknown(what + ": SET " + command.Setting)
		case "":
			if command.Tag == "RESET" {
				c.unknown(what + ": RESET ALL")
			}
		}
	case parser.KindUnknown:
		c.executes(command, p)
	default:
		c.unknown(what + ": " + command.Tag)
	}
}

// merge takes over what another closure found.
func (c *closure) merge(o *closure) {
	t := &c.touched
	if o.touched.Whole {
		c.whole(o.touched.Reason)
	}
	t.Definition = t.Definition || o.touched.Definition
	t.Settings = t.Settings || o.touched.Settings
	t.AllSettings = t.AllSettings || o.touched.AllSettings
	t.Locks = t.Locks || o.touched.Locks
	for oid := range o.changed {
		c.changed[oid] = true
	}
}

// effectsOf returns the closure of one function when it is called under the path p. It isn't changed any more.
func effectsOf(snapshot *catalog.Snapshot, f *catalog.Function, p *path) *closure {
	kept, _ := snapshot.Memo(effectsKey{}, func() any { return &effects{kept: make(map[running]*closure)} }).(*effects)
	key := running{f.OID, p.key}
	if e := kept.get(key); e != nil {
		return e
	}
	e := newClosure(snapshot)
	e.function = true
	e.userFunction(f, p)
	kept.put(key, e)
	return e
}

type effectsKey struct{}

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
