package proxy

import (
	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// forwardExtended notes what a message will be answered with and what it may change; its bytes follow with the next flush.
func (s *session) forwardExtended(typ byte, message []byte) {
	f := &s.frontend
	scan := wire.Scan(message[wire.HeaderSize:])
	defer func() { f.unsynced = typ != wire.Sync }()
	switch typ {
	case wire.Parse:
		s.forwardParse(&scan, message)
	case wire.Bind:
		s.forwardBind(message, true)
	case wire.Describe:
		s.forwardDescribe(&scan)
	case wire.Execute:
		s.forwardExecute(&scan, len(message))
	case wire.Close:
		kind := scan.Byte()
		name := scan.Name()
		e := expectation{kind: expectClose}
		switch {
		case kind == 'P':
			delete(f.portals, string(name))
		case len(name) == 0:
			f.unnamed, f.upstreamUnnamed = nil, false
		default:
			e.prepared = f.doubt(string(name), true)
		}
		s.push(e)
	case wire.Sync:
		s.finishFlight()
		s.push(expectation{kind: expectSync, fence: f.takeFence()})
		f.cycle.open = false
	}
}

func (s *session) forwardParse(scan *wire.Scanner, message []byte) {
	f := &s.frontend
	name, text := scan.Name(), scan.String()
	types := scan.Rest()
	if !s.srv.caching {
		s.push(expectation{kind: expectParse})
		return
	}
	if len(name) != 0 {
		s.prepare(f.named(name)) // so that the server can complain of the second one
	}
	var p *prepared
	if scan.Ok() {
		p = s.newPrepared(name, text, types)
	} else {
		p = &prepared{name: string(name)}
	}
	// Also while the catalog is not loaded: what is prepared now may be executed for hours.
	if len(name) != 0 || f.database.snapshot() != nil {
		s.learnFirst(p)
	}
	if s.checkScope(); f.settingsInFlight {
		p.scope = nil
	} else {
		p.scope = f.scope
	}
	if len(name) == 0 {
		p.message = append([]byte(nil), message...)
	} else if s.srv.hot != nil && len(types) > 2 { // zeros count, too
		p.declared = append([]byte(nil), types...)
	}
	p.sent = true
	s.notePrepared(p)
	s.push(expectation{kind: expectParse, prepared: p, sent: s.now()})
}

// learnFirst is learnFor for the first message of a cycle that is forwarded.
func (s *session) learnFirst(p *prepared) {
	if s.frontend.known && !s.frontend.unsynced {
		s.flushBefore()
		s.learnFor(p)
		return
	}
	s.checkScope()
}

// forwardBind handles a Bind message, or the head of one when it is not whole.
func (s *session) forwardBind(message []byte, whole bool) {
	f := &s.frontend
	scan := wire.Scan(message[wire.HeaderSize:])
	portalName, statementName := scan.Name(), scan.Name()
	if !s.srv.caching {
		s.push(expectation{kind: expectBind})
		return
	}
	po := &portal{sent: true}
	if !whole {
		po.reason = cachepolicy.ReasonOversized
	}
	if scan.Ok() {
		p := f.named(statementName)
		switch {
		case p != nil:
			if f.database.snapshot() != nil {
				s.learnFirst(p)
			}
			s.prepare(p)
		case len(statementName) == 0 && f.upstreamUnnamed:
			s.closeUnnamed()
		}
		po.prepared = p
		if len(portalName) != 0 {
			s.bindUpstream(f.portals[string(portalName)]) // so that the server can complain
		}
		s.checkScope()
		if whole && p != nil && !p.failed.Load() {
			tail := scan.Rest()
			key, reason := s.bindKey(p, tail)
			po.key, po.keyed, po.reason = key, reason == cachepolicy.ReasonNone, reason
			if po.keyed && (s.shadowed() || s.srv.hot != nil) {
				po.tail = append([]byte(nil), tail...)
			}
			s.stampPortal(po)
		}
		s.notePortal(string(portalName), po)
		if len(portalName) != 0 { // FETCH can run it, without an Execute
			s.foresee(s.planOf(po.prepared))
		}
	}
	if whole && f.takeCanceled() {
		s.push(expectation{kind: expectBind, aside: (*aside)(nil).unsent()})
		s.sendInstead(len(message), unsentExtended)
		return
	}
	s.push(expectation{kind: expectBind})
}

// closeUnnamed closes the unnamed statement upstream that a simple query, answered here, should have destroyed.
func (s *session) closeUnnamed() {
	s.flushBefore()
	b, at := wire.Begin(nil, wire.Close)
	b = wire.End(append(b, 'S', 0), at)
	s.push(expectation{kind: expectClose, swallow: true, outcome: outcomeProbe})
	_ = s.sendUpstream(b)
	s.frontend.upstreamUnnamed = false
}

func (s *session) forwardDescribe(scan *wire.Scanner) {
	f := &s.frontend
	kind := scan.Byte()
	name := scan.Name()
	e := expectation{kind: expectDescribe}
	switch {
	case !s.srv.caching:
	case kind == 'P':
		e.portal = f.portals[string(name)]
		s.bindUpstream(e.portal)
	case kind == 'S':
		p := f.named(name)
		s.prepare(p)
		if p != nil && !p.failed.Load() && f.clean && f.scope != nil && p.scope == f.scope && !p.directive.Off {
			if plan := s.planOf(p); plan.decision.Verdict == cachepolicy.Cache {
				e.fill = s.newFill(plan, cache.DescriptionKey(&f.scope.Digest, &p.digest), nil)
				if e.fill != nil {
					e.fill.only = true
					s.compare(e.fill, p.directive)
				}
			}
		}
	}
	s.push(e)
}

func (s *session) forwardExecute(scan *wire.Scanner, size int) {
	f := &s.frontend
	name := scan.Name()
	limit := scan.Int32()
	if !s.srv.caching {
		s.push(expectation{kind: expectExecute, outcome: outcomeOther, sent: s.now()})
		return
	}
	po := f.portals[string(name)]
	s.bindUpstream(po)
	var p *plan
	e := expectation{kind: expectExecute}
	if po == nil || po.prepared == nil {
		p = s.unknownPlan()
	} else {
		p = s.executes(s.planOf(po.prepared))
	}
	e.outcome = p.outcome
	var reason cachepolicy.Reason
	var in *standIn
	switch {
	case po != nil && po.keyed && limit == 0 && !po.executed && p.decision.Verdict == cachepolicy.Cache:
		if reason = s.whyNot(s.holdable(), po.prepared.directive); reason == cachepolicy.ReasonNone {
			e.fill = s.newPortalFill(p, po)
			s.compare(e.fill, po.prepared.directive)
			e.outcome, reason = e.fill.outcome()
			in = s.standIn(p, e.fill, po.prepared.directive, po)
			s.keepFill(filled{fill: e.fill, portal: po, tail: po.tail})
			e.fill.remember(s, p, po)
		}
	case e.outcome == outcomeBypass:
		reason = po.why(p, limit)
	default:
		reason = p.decision.Reason
	}
	if po != nil {
		po.executed = true
		s.belongsTo(po.prepared)
	}
	s.judged(&e, p, reason)
	s.foresee(p)
	e.aside = s.attach(e.aside.with(in))
	e.ending = f.takeEnding()
	if f.takeCanceled() {
		e.aside, e.sent = e.aside.unsent(), s.now()
		s.push(e)
		s.sendInstead(size, unsentExtended)
		return
	}
	if c := p.statement.Single(); c != nil && c.CopyIn && c.Kind == parser.KindWrite {
		s.forwardCopyIn(e, size)
		return
	}
	e.sent = s.now()
	e.fill.boarded(s, e.sent)
	s.push(e)
}

// forwardCopyIn forwards the Execute of a COPY FROM STDIN and waits until the server asks for data: from then on it ignores Sync and
// Flush, and pgrecall has to know which of them.
func (s *session) forwardCopyIn(e expectation, size int) {
	f := &s.frontend
	gate := make(chan byte, 1)
	e.copyGate, e.sent = gate, s.now()
	s.push(e)
	if s.flushTo(f.at+size) != nil {
		return
	}
	select {
	case typ := <-gate:
		f.copyIn = typ == wire.CopyInResponse
	case <-s.life.Done():
	}
}
