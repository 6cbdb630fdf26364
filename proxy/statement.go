package proxy

import (
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// prepared is a prepared statement of the session. Everything but failed belongs to the frontend side.
type prepared struct {
	name      string
	statement *parser.Statement // nil when the text could not be read
	directive parser.Directive
	digest    [32]byte // of canonical text and parameter types
	types     []uint32 // parameter types that Parse declares
	declared  []byte   // as the Parse message has them, where it is not kept and Options.HotKeys asks for it
	// scope is the session's at Parse, nil when it was not known: literals become values then, under the settings of then.
	scope *scope
	// epoch is Server.settingsEpoch before Parse: it has grown when roles have changed since then (cachepolicy.Decision.RowSecurity).
	epoch   uint64
	message []byte      // the Parse message, where it was answered here; that of the unnamed statement always
	sent    bool        // the upstream has got the Parse message
	failed  atomic.Bool // the server refused it, or skipped it after an error
	lost    atomic.Bool // pgrecall sent it, and the server skipped it: it has to be sent again
	cached  *plan
	// body is what a statement of SQL's PREPARE executes, nil where that is not certain. A name that PREPARE was said for twice has none: one of
	// them has failed.
	body *parser.Statement
	odd  bool // with the plan cached: a declared type's values mean more than keys hold

	parent *parsedContext // that its text names, nil for none

	// before is what the name stood for until this statement, which the server may yet refuse or skip; cycle is that of the Parse message.
	before  *prepared
	cycle   uint64
	parsed  atomic.Bool // ParseComplete has come
	skipped atomic.Bool // the server did not look at the Parse message: the name stands for what it did
	gone    atomic.Bool // of one in doubt: the server has dropped the name
	certain bool        // of one in doubt: what is not gone is as it was
}

// declaredTypes reads the parameter types of a Parse message, as far as they are declared.
func declaredTypes(types []byte) (declared []uint32) {
	scan := wire.Scan(types)
	for range scan.Int16() {
		if oid := uint32(scan.Int32()); oid != 0 && oid != pgtype.UnknownOID && scan.Ok() {
			declared = append(declared, oid)
		}
	}
	return declared
}

// oddTypes tells whether values of one of these types depend on more than keys hold: 'users'::regclass on the search path, a timetz on
// the day, one with a user's cast on what that does.
func oddTypes(types []uint32, snapshot *catalog.Snapshot) bool {
	return snapshot != nil && slices.ContainsFunc(types, func(oid uint32) bool {
		t := snapshot.TypeByOID(oid)
		return t == nil || !t.Safe || t.Converts
	})
}

// portal is a portal of the session.
type portal struct {
	prepared *prepared // nil when the statement is not known
	key      cache.Key
	keyed    bool               // key is set: an answer could be cached
	reason   cachepolicy.Reason // why not
	message  []byte             // the Bind message, while the upstream has not got it
	sent     bool
	executed bool // answered here, to its end
	entry    *cache.Entry
	row      []byte // RowDescription; belongs to the backend side
	tail     []byte // of the Bind message, for a verification in shadow mode and for hot keys

	// plan and stamp are of the moment before the Bind message was sent upstream: the server takes the snapshot that the portal's rows
	// come from then, however late Execute comes. The stamp is nil where a write was under way.
	plan  *plan
	stamp invalidator.Stamp
	// position is the place in the fleet's log at that moment, flushes the number of flushes.
	position invalidator.Position
	bound    int64 // that moment, by the cache's clock
	flushes  uint64
}

// named returns the prepared statement of a name, nil when the session does not know one.
func (f *frontend) named(name []byte) *prepared {
	if len(name) == 0 {
		return f.unnamed
	}
	return f.statements[string(name)]
}

// forgetUnnamed notes that a simple query destroys the unnamed statement and portal (section "Simple Query"). Forwarded tells
// that the upstream's go, too.
func (f *frontend) forgetUnnamed(forwarded bool) {
	f.unnamed = nil
	if forwarded {
		f.upstreamUnnamed = false
	}
	if len(f.portals) > 0 {
		delete(f.portals, "")
	}
}

// notePrepared remembers a prepared statement.
func (s *session) notePrepared(p *prepared) {
	f := &s.frontend
	if old := f.named([]byte(p.name)); old != p {
		if old != nil && old.parsed.Load() {
			old.before = nil
		}
		p.before, p.cycle = old, f.cycles
	}
	if p.name == "" {
		f.unnamed = p
		f.upstreamUnnamed = f.upstreamUnnamed || p.sent
		return
	}
	if f.statements == nil {
		f.statements = map[string]*prepared{}
	}
	f.statements[p.name] = p
}

// prepare sends a statement upstream that was answered here so far. The client does not see the answer.
func (s *session) prepare(p *prepared) {
	if p == nil || p.sent && !p.lost.Swap(false) || p.message == nil {
		return
	}
	s.flushBefore()
	s.frontend.injected = true
	s.push(expectation{kind: expectParse, swallow: true, quiet: s.frontend.inQuery, prepared: p, outcome: outcomeProbe})
	_ = s.sendUpstream(p.message)
	p.sent = true
	if p.name == "" {
		s.frontend.upstreamUnnamed = true
	}
}

// flushBefore sends upstream what comes before the message in hand.
func (s *session) flushBefore() { _ = s.flushTo(s.frontend.at) }

// prepareAll sends all statements upstream that it has not got.
func (s *session) prepareAll() {
	f := &s.frontend
	s.prepare(f.unnamed)
	for _, p := range f.statements {
		s.prepare(p)
	}
}

// foreseeStatements follows what SQL does to prepared statements: they share their names with those of the protocol.
func (s *session) foreseeStatements(statement *parser.Statement) {
	f := &s.frontend
	single := len(statement.Commands) == 1
	f.cursors = f.cursors || statement.Err != nil
	for i := range statement.Commands {
		c := &statement.Commands[i]
		switch c.Kind {
		case parser.KindDeallocate, parser.KindDiscard:
			s.prepareAll()
			if c.StatementName != "" {
				f.endStatement(c.StatementName, single)
				continue
			}
			for name := range f.statements {
				f.endStatement(name, single)
			}
		case parser.KindPrepare:
			old := f.statements[c.StatementName]
			if s.prepare(old); old != nil && !old.failed.Load() {
				old.body = nil
				continue
			}
			s.notePrepared(&prepared{name: c.StatementName, sent: true, body: statement.Prepared()})
		case parser.KindUnknown, parser.KindExecute:
			f.cursors = true
		case parser.KindNeutral:
			f.cursors = f.cursors || c.Inner != parser.KindUnknown
		default:
		}
	}
}

// executes returns the plan of what EXECUTE runs, where that is certain: p itself else. Nothing of it is cached under the name.
func (s *session) executes(p *plan) *plan {
	c := p.statement.Single()
	if c == nil || c.Kind != parser.KindExecute || len(c.Functions)+len(c.Operators)+len(c.Casts) > 0 {
		return p
	}
	named := s.frontend.statements[c.StatementName]
	if named == nil || named.body == nil {
		return p
	}
	body := *s.plan(named.body)
	body.decision = cachepolicy.Decision{Reason: cachepolicy.ReasonNotRead}
	if body.outcome == outcomeBypass {
		body.outcome = outcomeOther
	}
	return &body
}

// bindUpstream sends a portal upstream that was bound here, with its statement, and to its end when it was executed.
func (s *session) bindUpstream(p *portal) {
	if p == nil || p.sent {
		return
	}
	s.flushBefore()
	s.prepare(p.prepared)
	s.stampPortal(p)
	s.frontend.injected = true
	s.push(expectation{kind: expectBind, swallow: true, quiet: s.frontend.inQuery, outcome: outcomeProbe})
	_ = s.sendUpstream(p.message)
	if p.executed {
		scan := wire.Scan(p.message[wire.HeaderSize:])
		name := scan.String()
		b, at := wire.Begin(nil, wire.Execute)
		b = append(wire.AppendString(b, string(name)), 0, 0, 0, 0)
		s.push(expectation{kind: expectExecute, swallow: true, outcome: outcomeProbe, sent: s.now()})
		_ = s.sendUpstream(wire.End(b, at))
	}
	p.sent, p.message = true, nil
}

// stampPortal takes the stamp for what the portal will return. Its Bind message is about to be sent upstream.
func (s *session) stampPortal(p *portal) {
	if !p.keyed || !s.frontend.clean || p.executed {
		return
	}
	plan := s.planOf(p.prepared)
	if plan.decision.Verdict != cachepolicy.Cache || plan.snapshot != s.frontend.database.snapshot() {
		return
	}
	flushes, position := s.srv.flushes.epoch.Load(), s.srv.shared.position()
	stamp, free := s.srv.slots.Stamp(plan.slots)
	late := plan.decision.RowSecurity && p.prepared.epoch != s.srv.settingsEpoch.Load()
	if free && !late && p.prepared.scope == s.frontend.scope && !s.outdated() {
		p.plan, p.stamp, p.position, p.bound, p.flushes = plan, stamp, position, s.now(), flushes
	}
}

// bindPortals sends the portals upstream that have not been executed: what comes next is not to be seen by them.
func (s *session) bindPortals() {
	for _, p := range s.frontend.portals {
		if !p.executed {
			s.bindUpstream(p)
		}
	}
}

// why says why an Execute of the portal, whose statement only reads, is not cached.
func (p *portal) why(plan *plan, limit int32) cachepolicy.Reason {
	switch {
	case plan.decision.Verdict != cachepolicy.Cache:
		return plan.decision.Reason
	case p == nil || limit != 0 || p.executed:
		return cachepolicy.ReasonPortal
	case p.reason != cachepolicy.ReasonNone:
		return p.reason
	}
	return cachepolicy.ReasonProtocol
}
