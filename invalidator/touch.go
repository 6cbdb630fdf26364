package invalidator

import (
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// Touched is what a statement may change.
type Touched struct {
	Whole       bool     // anything in the database
	Definition  bool     // definitions: the catalog must be loaded anew
	Cluster     bool     // every database of the server (roles, databases)
	Settings    bool     // settings of this session
	AllSettings bool     // settings of every session: configuration reload, ALTER SYSTEM, ALTER ROLE ... SET
	Temp        bool     // temporary relations of this session come or go
	Relations   []uint32 // OIDs, sorted, once each; Whole makes them redundant
	Reason      string   // why Whole, for logs
}

// Nothing tells whether no cached answer can be affected.
func (t Touched) Nothing() bool {
	return !t.Whole && !t.Cluster && len(t.Relations) == 0
}

// Touches returns what stmt may change when a session with these current_schemas(true) executes it; temporary tells that the
// session may have temporary relations. A nil snapshot makes every write touch the whole database.
func Touches(stmt *parser.Statement, schemas []string, temporary bool, snapshot *catalog.Snapshot) Touched {
	return Touched{Whole: true, Reason: "not implemented"}
}
