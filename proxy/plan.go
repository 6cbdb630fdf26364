package proxy

import (
	"slices"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// plan is what one statement means in one scope: whether it may come from the cache and what it touches.
// It is immutable and shared by sessions.
type plan struct {
	scope     *scope
	database  *database
	snapshot  *catalog.Snapshot
	policy    *policyEpoch
	statement *parser.Statement

	decision cachepolicy.Decision
	slots    []invalidator.Slot // what an answer depends on, the database's first
	source   *cache.Source

	touched    invalidator.Touched
	writeSlots []invalidator.Slot
	pure       bool // reads only, locks nothing, changes no setting
	ends       bool // may end a transaction block
	begins     bool // one BEGIN that leaves or asks for READ COMMITTED
	vacuums    bool // one VACUUM
	outcome    outcome
	use        *traffic.Use // nil for what is neither a read nor a write
	tables     []string     // likewise: that it reads, or writes
}

type planKey struct {
	statement *parser.Statement
	scope     *scope
	database  *database
}

// valid tells whether the plan still holds.
func (p *plan) valid(srv *Server, d *database, sc *scope) bool {
	return p != nil && p.scope == sc && p.database == d && p.policy == srv.policy.Load() && p.snapshot == d.snapshot()
}

// plan returns the plan for a statement in the session's scope.
func (s *session) plan(statement *parser.Statement) *plan {
	f := &s.frontend
	key := planKey{statement, f.scope, f.database}
	if p, ok := s.srv.plans.GetIfPresent(key); ok && p.valid(s.srv, f.database, f.scope) {
		return p
	}
	p := s.srv.newPlan(statement, f.scope, f.database)
	s.srv.plans.Set(key, p)
	return p
}

// newPlan decides. Without a scope the schemas are not known.
func (srv *Server) newPlan(statement *parser.Statement, sc *scope, d *database) *plan {
	p := &plan{scope: sc, database: d, snapshot: d.snapshot(), policy: srv.policy.Load(), statement: statement}
	var schemas []string
	temporary := catalog.Temporary{Exists: true}
	if sc != nil {
		schemas, temporary = sc.Schemas, catalog.Temporary{Exists: sc.Temporary, Names: sc.TemporaryNames}
	}
	p.touched = invalidator.Touches(statement, schemas, temporary, p.snapshot, p.policy.Declared)
	if p.snapshot == nil {
		p.touched.Definition = d.mayDefine(statement, schemas, temporary, p.policy.Declared)
	}
	p.writeSlots = srv.writeSlots(d, &p.touched)

	command := statement.Single()
	read := command != nil && command.Kind == parser.KindSelect
	p.pure = len(p.writeSlots) == 0 && !p.touched.Settings && !p.touched.Definition && !p.touched.Locks && !p.touched.AllSettings &&
		(statement.Err == nil && len(statement.Commands) == 0 || read && !command.Locking && !command.Into)
	p.begins = command != nil && command.Kind == parser.KindBegin &&
		(command.Isolation == "" || command.Isolation == "read committed" || command.Isolation == "read uncommitted")
	p.vacuums = command != nil && command.Tag == "VACUUM"
	p.ends = mayEndBlock(statement)
	switch {
	case read && p.snapshot == nil && !p.touched.Definition: // most likely nothing but a read: foresight is careful all the same
		p.outcome = outcomeBypass
	case p.touched.Whole || len(p.touched.Relations) > 0 || p.touched.Definition:
		p.outcome = outcomeWrite
	case readsOnly(statement):
		p.outcome = outcomeBypass
	default:
		p.outcome = outcomeOther
	}

	switch {
	case !srv.caching:
		p.decision.Reason = cachepolicy.ReasonCacheOff
	case p.snapshot == nil:
		p.decision.Reason = cachepolicy.ReasonNoCatalog
	case sc == nil:
		p.decision.Reason = cachepolicy.ReasonSettings
	case !p.pure:
		p.decision = cachepolicy.Decide(statement, &sc.Scope, p.snapshot, p.policy.Policy)
		p.decision.Verdict = cachepolicy.Bypass
		if p.decision.Reason == cachepolicy.ReasonNone {
			p.decision.Reason = cachepolicy.ReasonNotRead
		}
	default:
		p.decision = cachepolicy.Decide(statement, &sc.Scope, p.snapshot, p.policy.Policy)
	}
	if p.decision.Verdict == cachepolicy.Cache && srv.doubted(statement.Fingerprint) {
		p.decision.Verdict, p.decision.Reason = cachepolicy.Bypass, cachepolicy.ReasonDiffered
	}
	if p.decision.Verdict == cachepolicy.Cache && srv.judge.Stops(statement.Fingerprint, d.name) {
		p.decision.Verdict, p.decision.Reason = cachepolicy.Bypass, cachepolicy.ReasonNotWorth
	}
	if p.outcome == outcomeBypass && p.decision.Reason == cachepolicy.ReasonVolatile && read && len(command.Reads) == 0 {
		p.outcome = outcomeOther // SELECT nextval('s'), pg_notify('c', 'x'): called for what it does, it reads nothing
	}
	if len(p.decision.Settings) > 0 && p.decision.Verdict == cachepolicy.Cache {
		d.watch.dependent.Store(true)
		d.watch.add(p.decision.Settings)
	}
	if p.decision.Verdict == cachepolicy.Cache {
		p.slots = append(p.slots, d.slot)
		for _, oid := range p.decision.Relations {
			p.slots = append(p.slots, srv.slots.Relation(d.name, oid))
		}
		p.source = srv.newSource(p)
	}
	if p.outcome == outcomeBypass || p.outcome == outcomeWrite {
		description := p.description()
		p.tables, p.use = description.Tables, srv.traffic.Open(description)
		if p.source != nil {
			p.source.Uses = p.use
		}
	}
	return p
}

// description says what is counted of the plan.
func (p *plan) description() traffic.Description {
	d := traffic.Description{
		Statement: p.statement, Database: p.database.name, Secured: p.decision.RowSecurity,
		Whole: p.outcome == outcomeWrite && (p.touched.Whole || p.touched.Definition),
	}
	if r := p.decision.Rule; r != nil {
		d.Rule = r.Name
	}
	relations := p.decision.Relations
	if p.outcome == outcomeWrite {
		relations = p.touched.Relations
	}
	if p.snapshot != nil {
		for _, oid := range relations {
			if r := p.snapshot.ByOID(oid); r != nil {
				d.Tables = append(d.Tables, r.Schema+"."+r.Name)
			}
		}
	}
	return d
}

// readsOnly tells whether a text is made of reads and nothing else.
func readsOnly(statement *parser.Statement) bool {
	return statement.Err == nil && len(statement.Commands) > 0 &&
		!slices.ContainsFunc(statement.Commands, func(c parser.Command) bool { return c.Kind != parser.KindSelect })
}

// newSource describes where entries of the plan come from.
func (srv *Server) newSource(p *plan) *cache.Source {
	source := &cache.Source{Database: p.database.name, Relations: p.decision.Relations, Statement: p.statement}
	for _, oid := range p.decision.Relations {
		if r := p.snapshot.ByOID(oid); r != nil {
			source.Tables = append(source.Tables, r.Schema+"."+r.Name)
		}
	}
	source.SetRule(p.policy.number, p.rule())
	return source
}

// rule is what the decision says of entries.
func (p *plan) rule() cache.Rule {
	d := &p.decision
	return cache.Rule{TTL: d.TTL, AgeOnly: d.Consistency == cachepolicy.TTL, Revalidate: d.StaleWhileRevalidate, IfError: d.StaleIfError}
}

// writeSlots returns the slots of what a statement touches.
func (srv *Server) writeSlots(d *database, t *invalidator.Touched) []invalidator.Slot {
	var slots []invalidator.Slot
	if t.Whole || t.Definition {
		slots = append(slots, d.slot, d.defining)
	} else {
		for _, oid := range t.Relations {
			slots = append(slots, srv.slots.Relation(d.name, oid))
		}
	}
	return slots
}

// mayEndBlock tells whether a text may commit or roll back the open transaction block.
func mayEndBlock(statement *parser.Statement) bool {
	if statement.Err != nil {
		return true
	}
	for i := range statement.Commands {
		switch statement.Commands[i].Kind {
		case parser.KindSelect, parser.KindWrite, parser.KindDefinition, parser.KindTempDefinition, parser.KindSavepoint, parser.KindRollbackTo,
			parser.KindSet, parser.KindPrepare, parser.KindDeallocate, parser.KindNeutral, parser.KindDiscard:
		default:
			return true
		}
	}
	return false
}

// mayDefine tells whether a statement may change definitions, while the catalog is being loaded and nothing is served. Without an answer by
// the catalog as it was, every statement in that time would have to start the load anew, and it would never end under load. That a function or
// trigger became one that changes definitions a moment ago, and does so in this very time, is left to the watcher's next look.
func (d *database) mayDefine(statement *parser.Statement, schemas []string, temporary catalog.Temporary, declared *catalog.Declarations) bool {
	if d.watcher != nil {
		if latest := d.watcher.Latest(); latest != nil {
			return invalidator.Touches(statement, schemas, temporary, latest, declared).Definition
		}
	}
	for i := range statement.Commands {
		switch statement.Commands[i].Kind {
		case parser.KindUnknown, parser.KindDefinition, parser.KindExecute:
			return true
		default:
		}
	}
	return statement.Err != nil
}
