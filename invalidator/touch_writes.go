package invalidator

import (
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// change is a set of ways in which a relation changes.
type change uint8

const (
	inserted change = 1 << iota
	updated
	deleted
	truncated
	cascaded  // TRUNCATE ... CASCADE
	refreshed // REFRESH MATERIALIZED VIEW
)

func changeOf(w parser.Write) change {
	switch w.Op {
	case parser.OpInsert, parser.OpCopy:
		return inserted
	case parser.OpUpdate:
		return updated
	case parser.OpDelete:
		return deleted
	case parser.OpTruncate:
		if w.Cascade {
			return truncated | cascaded
		}
		return truncated
	case parser.OpRefresh:
		return refreshed
	}
	return inserted | updated | deleted // MERGE, and whatever else there may be
}

// writes follows a write that the text names.
func (c *closure) writes(w parser.Write, p *path) {
	if c.trusts != nil {
		c.trusts.writes(w, p)
		return
	}
	qualified := temporarySchema(w.Schema)
	plain := p.temporary.Plain(w.Name) && (qualified || w.Schema == "")
	if qualified {
		if !plain { // it may be a view of a real table, or fire triggers
			c.whole("temporary relation " + w.Name)
		}
		return
	}
	if _, known := p.temporary.Names[w.Name]; known && w.Schema == "" && !plain {
		c.whole("temporary relation " + w.Name)
	}
	found := c.resolve(p, w.Schema, w.Name)
	if found == nil && !plain {
		// A session with temporary relations most likely means one of these. Nobody knows.
		c.missing(w.Name)
	}
	// Where a temporary relation shadows the name, the real one is invalidated in vain: it may be gone (ON COMMIT DROP).
	for _, r := range found {
		c.change(r, changeOf(w), p.runtime())
	}
}

// change follows a change of a relation to everything that changes with it. Triggers and functions run under the path p.
func (c *closure) change(r *catalog.Relation, ways change, p *path) {
	key := following{r.OID, p.key}
	done := c.followed[key]
	if ways&^done == 0 {
		return
	}
	c.followed[key] = done | ways
	c.changed[r.OID] = true
	switch {
	case system(r):
		c.unknown("system catalog " + r.Name)
		return
	case r.Rules:
		c.whole("rule on " + r.Name)
	}
	c.defined(r, p)
	c.fire(r, ways, p)
	c.runsPolicies(r, p)
	switch r.Kind {
	case 'r':
	case 'p':
		if ways&updated != 0 { // a row may move between partitions: it is deleted here and inserted there
			ways |= inserted | deleted
		}
	case 'v':
		c.changeView(r, ways, p)
		return
	case 'm': // REFRESH runs as the owner, from version 17 on with a search path of its own
		c.runsDefinition(r, c.anywhere(p.temporary))
		return
	default: // a foreign table's rows may be those of any relation
		c.whole("write to " + r.Name)
		return
	}
	c.family(r, ways, p)
	c.cascade(r, ways, p.temporary)
}

// family follows a change to inheriting tables and partitions, and notes the parents, whose rows are their children's,
// too. Parents need no following: the row triggers and foreign keys of a partitioned table are its partitions', too.
func (c *closure) family(r *catalog.Relation, ways change, p *path) {
	for _, oid := range r.Children {
		c.changeOID(oid, ways, p, "child of "+r.Name)
	}
	for _, oid := range r.Parents {
		c.above(oid, r)
	}
}

func (c *closure) above(oid uint32, of *catalog.Relation) {
	parent := c.snapshot.ByOID(oid)
	if parent == nil {
		c.whole("unknown parent of " + of.Name)
		return
	}
	c.changed[oid] = true
	for _, next := range parent.Parents {
		c.above(next, parent)
	}
}

func (c *closure) changeOID(oid uint32, ways change, p *path, what string) {
	r := c.snapshot.ByOID(oid)
	if r == nil {
		c.whole("unknown " + what)
		return
	}
	c.change(r, ways, p)
}

// cascade follows foreign keys that point at the relation (manual, section 5.5.5). The server changes the other relation as its owner, for
// whom names may mean something else.
func (c *closure) cascade(r *catalog.Relation, ways change, temporary catalog.Temporary) {
	if len(r.ReferencedBy) == 0 {
		return
	}
	p := c.anywhere(temporary)
	for _, key := range r.ReferencedBy {
		what := "relation that references " + r.Name
		if ways&deleted != 0 {
			switch key.OnDelete {
			case 'c':
				c.changeOID(key.Referencing, deleted, p, what)
			case 'n', 'd':
				c.changeOID(key.Referencing, updated, p, what)
			case 'a', 'r':
			default:
				c.whole("foreign key on " + r.Name)
			}
		}
		if ways&updated != 0 {
			switch key.OnUpdate {
			case 'c', 'n', 'd':
				c.changeOID(key.Referencing, updated, p, what)
			case 'a', 'r':
			default:
				c.whole("foreign key on " + r.Name)
			}
		}
		if ways&cascaded != 0 {
			c.changeOID(key.Referencing, truncated|cascaded, p, what)
		}
	}
}

// Trigger functions of pg_catalog that change the new row alone (pg_proc.dat). Those of foreign keys are not among
// them: CREATE CONSTRAINT TRIGGER may name one by hand.
const (
	suppressRedundantUpdates = 1291
	tsvectorUpdate           = 3752
	tsvectorUpdateColumn     = 3753
)

// fire judges the triggers that a change fires.
func (c *closure) fire(r *catalog.Relation, ways change, p *path) {
	for i := range r.Triggers {
		t := &r.Triggers[i]
		fires := t.Insert && ways&inserted != 0 || t.Update && ways&updated != 0 ||
			t.Delete && ways&deleted != 0 || t.Truncate && ways&truncated != 0
		switch {
		case !fires:
		case t.Function == suppressRedundantUpdates, t.Function == tsvectorUpdate, t.Function == tsvectorUpdateColumn:
			c.triggerCondition(t, p)
		default:
			c.fires(t, r, p)
		}
	}
}

// changeView follows a write to a view. Where no INSTEAD OF trigger takes it, PostgreSQL passes it on to the one base
// relation of a simple view (manual, CREATE VIEW, Updatable Views). The others that the view reads are
// invalidated in vain.
func (c *closure) changeView(r *catalog.Relation, ways change, p *path) {
	c.readsRelation(r, p)
	if len(r.ViewReads) == 0 {
		c.whole("write to view " + r.Name)
		return
	}
	for _, oid := range r.ViewReads {
		c.changeOID(oid, ways, p, "base of view "+r.Name)
	}
}
