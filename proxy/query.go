package proxy

import (
	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// handleQuery handles a simple query: an answer from the cache, or foresight and forwarding
// (PostgreSQL documentation, "Simple Query").
func (s *session) handleQuery(message []byte) {
	f := &s.frontend
	s.startCycle()
	f.unsynced = false
	if !s.srv.caching {
		s.push(expectation{kind: expectQuery, outcome: outcomeOther, sent: s.now()})
		return
	}
	var text []byte
	if n := len(message); n > wire.HeaderSize && message[n-1] == 0 {
		text = message[wire.HeaderSize : n-1]
	}
	statement, canonical, directive := s.read(text)
	if text == nil {
		statement, canonical = unknownStatement, nil
	}
	if s.srv.Observer != nil {
		f.parent = traceContext(text, directive)
	}
	if s.replication && isReplicationCommand(canonical) {
		s.push(expectation{kind: expectQuery, outcome: outcomeOther, sent: s.now()})
		return
	}
	holdable := statement == nil && !directive.Off && s.holdable()
	if po := f.portals[""]; po != nil && po.sent { // the server has to destroy it
		holdable = false
	}
	if holdable && s.servable() && s.hitQuery(text, canonical, directive) {
		return
	}
	if statement == nil {
		statement = s.srv.Statements.Analyze(canonical)
	}
	p := s.executes(s.plan(statement))
	// While the catalog is not loaded nothing is cached, and a write touches everything: the scope is of no use.
	if s.unlearnt(p) && f.known && p.snapshot != nil && !p.touched.Settings && byte(s.status.Load()) == wire.StatusIdle {
		if s.learnScope(p); f.scope != nil {
			if holdable = holdable && s.holdable(); holdable && s.servable() && s.hitQuery(text, canonical, directive) {
				return
			}
			p = s.executes(s.plan(statement))
		}
	}
	var fl *fill
	var in *standIn
	outcome, reason := p.outcome, p.decision.Reason
	if p.decision.Verdict == cachepolicy.Cache {
		if reason = s.whyNot(holdable, directive); reason == cachepolicy.ReasonNone && s.digestFor(p) == nil {
			reason = cachepolicy.ReasonSettings
		}
		if reason == cachepolicy.ReasonNone {
			var answered bool
			if fl, answered = s.missQuery(p, canonical, directive); answered {
				s.refreshQuery(text)
				return
			}
			outcome, reason = fl.outcome()
			in = s.standIn(p, fl, directive, nil)
		}
	}
	e := expectation{kind: expectQuery, outcome: outcome, fill: fl}
	s.judged(&e, p, reason)
	e.aside = e.aside.with(in)
	s.foresee(p)
	if f.inQuery && f.injected { // an error in what was sent before must not make the server skip the query
		s.push(expectation{kind: expectSync, swallow: true, outcome: outcomeProbe})
		_ = s.sendUpstream([]byte(wire.SyncMessage))
	}
	f.forgetUnnamed(true)
	fl.remember(s, p, nil)
	if fl != nil && s.shadowed() {
		s.keepFill(filled{fill: fl, text: append([]byte(nil), text...)})
	}
	e.fence, e.ending, e.aside, e.sent = f.takeFence(), f.takeEnding(), s.attach(e.aside), s.now()
	fl.boarded(s, e.sent)
	if f.takeCanceled() {
		e.aside = e.aside.unsent()
		s.push(e)
		s.sendInstead(len(message), unsentQuery)
		return
	}
	s.push(e)
}

// judged counts what becomes of a statement that is forwarded, and notes what operators and the client want to be told of it.
func (s *session) judged(e *expectation, p *plan, reason cachepolicy.Reason) {
	if reason == cachepolicy.ReasonSettings {
		reason = s.whyNoScope()
	}
	e.plan, e.reason, e.noted = p, reason, s.note()
	if e.outcome == outcomeBypass {
		s.srv.metrics.bypass(reason)
	}
	s.countStatement(e.outcome)
	if sc := s.frontend.scope; sc != nil && sc.trace {
		e.aside = &aside{notice: traceForwarded(p, e.outcome, reason)}
	}
}

// whyNoScope says why the session's settings are not known.
func (s *session) whyNoScope() cachepolicy.Reason {
	switch {
	case s.replication:
		return cachepolicy.ReasonReplication
	case s.confused.Load():
		return cachepolicy.ReasonProtocol
	case !s.frontend.known && !s.frontend.settingsInFlight:
		return cachepolicy.ReasonPipeline
	}
	return cachepolicy.ReasonSettings
}

// whyNot says what about the session keeps a cacheable statement from the cache.
func (s *session) whyNot(holdable bool, directive parser.Directive) cachepolicy.Reason {
	f := &s.frontend
	status := byte(s.status.Load())
	switch {
	case directive.Off:
		return cachepolicy.ReasonDirective
	case s.replication:
		return cachepolicy.ReasonReplication
	case s.srv.paused.Load():
		return cachepolicy.ReasonPaused
	case s.confused.Load() || f.copyIn:
		return cachepolicy.ReasonProtocol
	case !s.decodable.Load():
		return cachepolicy.ReasonEncoding
	case !f.known:
		return cachepolicy.ReasonPipeline
	case f.isolated && status == wire.StatusInTransaction:
		return cachepolicy.ReasonIsolation
	case !f.clean || status == wire.StatusFailed:
		return cachepolicy.ReasonTransaction
	case f.scope == nil:
		return cachepolicy.ReasonSettings
	case f.scope.mode == modeOff:
		return cachepolicy.ReasonSessionOff
	case status == wire.StatusIdle && !f.scope.readCommitted:
		return cachepolicy.ReasonIsolation
	case f.database.snapshot() == nil:
		return cachepolicy.ReasonNoCatalog
	case !s.srv.answers():
		return cachepolicy.ReasonAudit
	case !holdable:
		return cachepolicy.ReasonProtocol
	}
	return cachepolicy.ReasonNone
}

// hitQuery answers a simple query from the cache, if it can.
func (s *session) hitQuery(text, canonical []byte, directive parser.Directive) bool {
	f := &s.frontend
	key := cache.SimpleKey(&f.scope.Digest, canonical)
	entry := s.lookup(key, directive)
	if entry == nil && f.customs != nil && f.database.watch.dependent.Load() && f.customs.of == f.database.watch.current() {
		key = cache.SimpleKey(f.keyed(), canonical)
		entry = s.lookup(key, directive)
	}
	if entry == nil || entry.Row == nil {
		return false
	}
	s.answerQuery(entry)
	if s.refreshQuery(text); s.sampled() && s.verifiable() {
		s.verifyQuery(key, entry, text)
	}
	s.hotHit(key, entry, nil, nil)
	return true
}

func (s *session) answerQuery(entry *cache.Entry) {
	f := &s.frontend
	f.dropped = true
	if f.due.entry != entry {
		f.due.entry = nil
	}
	f.forgetUnnamed(false)
	_ = s.flush()
	s.countHit(entry)
	out := f.out[:0]
	if f.scope.trace {
		s.answer(s.traceHit(entry, s.staleness(entry)))
	}
	if len(entry.Row)+len(entry.Data) <= copyLimit {
		out = append(append(out, entry.Row...), entry.Data...)
		out = wire.AppendReadyForQuery(out, byte(s.status.Load()))
		s.answer(out)
	} else {
		out = wire.AppendReadyForQuery(out, byte(s.status.Load()))
		s.answerParts(entry.Row, entry.Data, out)
	}
	f.out = out[:0]
	s.observeHits(1)
}

// missQuery leads the flight for a result, or waits for the one who does. It returns the fill to forward with, nil where the result can't
// be kept, and whether the client has its answer already.
func (s *session) missQuery(p *plan, canonical []byte, directive parser.Directive) (f *fill, answered bool) {
	digest := s.digestFor(p)
	key := cache.SimpleKey(digest, canonical)
	if s.shadowed() {
		if f = s.newFill(p, key, nil); f != nil {
			f.simple = true
			s.compare(f, directive)
		}
		return f, false
	}
	flight, entry := s.board(p, key, directive)
	if entry != nil && entry.Row != nil {
		s.answerQuery(entry)
		return nil, true
	}
	if s.cancelled() {
		s.frontend.dropped = true
		_ = s.flush()
		s.answer(wire.AppendReadyForQuery(wire.AppendError(nil, canceledFields), byte(s.status.Load())))
		return nil, true
	}
	f = s.newFill(p, key, flight)
	if f != nil {
		f.simple = true
	}
	return f, false
}

// newFill takes the stamp for a result that is about to be asked for. It returns nil, and lets the flight go, while a write to what it
// depends on is under way.
func (s *session) newFill(p *plan, key cache.Key, flight *cache.Flight) *fill {
	flushes, position := s.srv.flushes.epoch.Load(), s.srv.shared.position()
	stamp, free := s.srv.slots.Stamp(p.slots)
	if !free || s.outdated() {
		stamp = nil
	}
	f := s.newStampedFill(p, key, flight, stamp, position)
	if f != nil {
		f.flushes = flushes
	}
	return f
}

// newPortalFill is newFill for the rows of a portal, which are as old as its Bind message.
func (s *session) newPortalFill(p *plan, po *portal) *fill {
	stamp := po.stamp
	if po.plan != p {
		stamp = nil
	}
	f := s.newStampedFill(p, po.key, s.frontend.cycle.takeFlight(po.key), stamp, po.position)
	if f != nil {
		f.portal, f.asked, f.flushes = po, po.bound, po.flushes
	}
	return f
}

func (s *session) newStampedFill(p *plan, key cache.Key, flight *cache.Flight, stamp invalidator.Stamp, position invalidator.Position) *fill {
	if stamp == nil || p.snapshot != s.frontend.database.snapshot() {
		if flight != nil {
			flight.Finish(nil)
		}
		return nil
	}
	limit := p.decision.MaxResult
	if limit <= 0 || limit > s.srv.Limits.MaxResult {
		limit = s.srv.Limits.MaxResult
	}
	now := s.now()
	f := &fill{key: key, flight: flight, stamp: stamp, source: p.source, max: limit, started: now, asked: now, block: byte(s.status.Load())}
	f.use, f.tenant = p.use, s.tenantMark(p)
	if tenant, known := s.tenant(); known && s.srv.shared != nil {
		f.offer = &offer{key: key, position: s.srv.shared.mark(position, stamp), plan: p, tenant: tenant}
	}
	return f
}

// board joins the flight for a key. As a leader it returns the flight; as a follower it waits for the result and returns that, if it
// can be served; as a leader it looks in L2 first. Both are nil when the session should go upstream by itself.
func (s *session) board(p *plan, key cache.Key, directive parser.Directive) (*cache.Flight, *cache.Entry) {
	select {
	case <-s.interrupt: // meant for an earlier wait
	default:
	}
	s.wasCancelled.Store(false)
	s.frontend.boarded = s.now()
	for range 2 {
		flight, leader := s.srv.flights.Join(key)
		if leader {
			if entry := s.fetch(p, key, flight); entry != nil && s.fresh(key, entry, directive) {
				flight.Finish(entry)
				return nil, entry
			}
			if s.wasCancelled.Load() { // while it waited for another process
				flight.Finish(nil)
				return nil, nil
			}
			return flight, nil
		}
		if flight == nil {
			return nil, nil
		}
		s.waiting.Store(true)
		entry, ok := flight.Wait(s.interrupt, s.srv.Limits.FlightWait)
		s.waiting.Store(false)
		if !ok {
			return nil, nil
		}
		if entry != nil {
			if s.fresh(key, entry, directive) {
				return nil, entry
			}
			return nil, nil
		}
	}
	return nil, nil
}

// cancelled tells, once, that a cancel request came while the session waited for another one's result.
func (s *session) cancelled() bool { return s.wasCancelled.Swap(false) }

var canceledFields = wire.Fields{Severity: wire.SeverityError, Code: codeQueryCanceled, Message: "canceling statement due to user request"}

// replicationCommands are the first words of what a walsender understands besides SQL (section "Streaming Replication Protocol").
var replicationCommands = []string{"identify_system", "start_replication", "create_replication_slot", "alter_replication_slot",
	"drop_replication_slot", "read_replication_slot", "timeline_history", "base_backup", "upload_manifest"}

func isReplicationCommand(canonical []byte) bool {
	for _, word := range replicationCommands {
		if len(canonical) >= len(word) && string(canonical[:len(word)]) == word {
			return true
		}
	}
	return false
}
