package invalidator

import (
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// TouchesOfWrite returns what a write of this kind to a relation may change, in a session with these current_schemas(true) and no
// temporary relations: the relation, and whatever follows from that.
func TouchesOfWrite(r *catalog.Relation, op parser.WriteOp, schemas []string, snapshot *catalog.Snapshot, declared *catalog.Declarations) Touched {
	c := newClosure(snapshot, declared)
	c.change(r, changeOf(parser.Write{Op: op}), newPath(withSystem(schemas), false, catalog.Temporary{}))
	return c.result()
}

// TouchesOfFunction is TouchesOfWrite for a call of a function.
func TouchesOfFunction(f *catalog.Function, schemas []string, snapshot *catalog.Snapshot, declared *catalog.Declarations) Touched {
	c := newClosure(snapshot, declared)
	c.calling(f, newPath(withSystem(schemas), false, catalog.Temporary{}))
	return c.result()
}

// TouchesOfTrigger is TouchesOfWrite for a trigger of a relation when it fires, without the write that fires it.
func TouchesOfTrigger(t *catalog.Trigger, on *catalog.Relation, schemas []string, snapshot *catalog.Snapshot, declared *catalog.Declarations) Touched {
	c := newClosure(snapshot, declared)
	c.fires(t, on, newPath(withSystem(schemas), false, catalog.Temporary{}))
	return c.result()
}
