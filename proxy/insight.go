package proxy

import "github.com/pgrecall/pgrecall/proxy/traffic"

// Figures of package traffic.
type (
	// Shape is what became of the statements of one shape.
	Shape = traffic.Shape
	// Table is what became of the statements that read or write one table.
	Table = traffic.Table
	// Rule is what became of the statements that one rule decides.
	Rule = traffic.Rule
	// Totals are the sums in them.
	Totals = traffic.Totals
	// Worth says whether caching a shape pays.
	Worth = traffic.Worth
)

// Shapes returns what became of the statements of each shape, those first that took, or would have taken, the most time of the upstream; and of those
// that are not kept apart.
func (srv *Server) Shapes() ([]Shape, Totals) { return srv.traffic.Shapes() }

// Tables returns what became of the statements that read or write each table, those first with the most.
func (srv *Server) Tables() []Table { return srv.traffic.Tables() }

// Rules returns what became of the statements that each rule of the policy decides.
func (srv *Server) Rules() []Rule { return srv.traffic.Rules() }
