package proxy

import (
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/wire"
)

// answered notes that a message of the client has got its answer; it counts once the answer is written.
func (s *session) answered(e expectation) {
	if e.swallow {
		// Nobody waits for it but the frontend side, which knows by the probe; there may be nothing to write.
		s.clientMutex.Lock()
		if e.background {
			s.background.Add(-1)
		}
		s.pending.Add(-1)
		s.clientMutex.Unlock()
		return
	}
	s.backend.delivered++
}

// pop takes the oldest expectation off. It wakes the frontend side when there is room enough again, whatever the answer was: a pipeline may
// be longer than the queue and have one Sync at its end.
func (s *session) pop() expectation {
	e := s.queue.pop()
	if s.queue.n == queueLimit/2 {
		s.notFull.Broadcast()
	}
	return e
}

// frontFill returns the fill of the message that is being answered.
func (s *session) frontFill() *fill {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.queue.front(); e != nil {
		return e.fill
	}
	return nil
}

// backendMessage follows one message of the upstream. Message is nil when the body has not arrived whole. It reports
// whether the client must not see it, or what it gets in its place.
func (s *session) backendMessage(typ byte, message []byte) (swallow bool, replace []byte, err error) {
	b := &s.backend
	switch typ { // what may come at any time
	case wire.NotificationResponse:
		return false, nil, nil
	case wire.ParameterStatus:
		name := s.parameterStatus(message)
		if b.ready && !s.expectedStatus(name) {
			s.settingsDirty.Store(true)
		}
		if b.ready {
			s.spoilFill()
		}
		return false, nil, nil
	case wire.NoticeResponse:
		return s.spoilFill(), nil, nil
	case wire.ErrorResponse:
		s.srv.metrics.upstreamFails[upstreamFailureOf(message)].Inc()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queue.front()
	if e == nil {
		switch typ {
		case wire.ErrorResponse: // the server shuts down, or ends an idle session
			b.saidFatal = true
		default:
			s.confuse(typ, "nothing is expected")
		}
		return false, nil, nil
	}
	if e.kind == expectStartup {
		return s.startupMessage(typ, message)
	}
	swallow = e.swallow
	traced := e.aside != nil && e.aside.notice != nil
	replace = e.noticed(typ, message)
	switch typ {
	case wire.DataRow:
		if e.aside != nil {
			e.aside.verification.rows(message)
			e.aside.change.answered(typ, message)
			e.aside.standIn.rows()
		}
		switch {
		case e.probe != nil:
			e.probe.row(message)
		case e.fill != nil && message != nil:
			e.fill.rows(message)
		}
	case wire.ReadyForQuery:
		swallow = s.readyForQuery(message)
	case wire.CommandComplete:
		e.fill.complete(message)
		if e.aside != nil {
			e.aside.verification.rows(message)
			e.aside.standIn.rows()
			if e.aside.change != nil {
				e.aside.change.answered(typ, message)
				b.change = e.aside.change
			}
		}
		if len(e.ending) > 0 && message != nil && dropsStatements(message[wire.HeaderSize:]) {
			for _, p := range e.ending {
				p.gone.Store(true)
			}
		}
		switch e.kind {
		case expectExecute:
			s.popExecute()
		case expectQuery:
		default:
			s.confuse(typ, "no statement is executed")
		}
	case wire.ErrorResponse:
		b.saidFatal = b.saidFatal || message != nil && wire.IsFatal(message[wire.HeaderSize:])
		b.failed = true
		if b.change != nil {
			b.change.failed = true
		}
		answer := s.standsIn(e, message, traced)
		if answer != nil {
			replace = answer
		}
		if s.srv.Observer != nil {
			b.ending.failed(e, message, answer != nil)
		}
		s.refuted(e, message)
		if e.aside != nil && e.aside.canceled && message != nil && !b.saidFatal {
			replace = canceledMessage
		}
		swallow = s.errorResponse() && !b.saidFatal
	case wire.ParseComplete:
		swallow = s.popKind(typ, expectParse)
	case wire.BindComplete:
		swallow = s.popKind(typ, expectBind)
	case wire.CloseComplete:
		swallow = s.popKind(typ, expectClose)
	case wire.ParameterDescription:
		e.fill.parameters(message)
	case wire.RowDescription, wire.NoData:
		s.described(typ, message, e)
	case wire.PortalSuspended, wire.EmptyQueryResponse:
		e.fill.abort()
		switch e.kind {
		case expectExecute:
			s.popExecute()
		case expectQuery:
		default:
			s.confuse(typ, "no statement is executed")
		}
	case wire.CopyInResponse, wire.CopyOutResponse, wire.CopyBothResponse:
		e.fill.abort()
		if typ == wire.CopyInResponse && e.kind == expectExecute {
			if e.copyGate == nil {
				s.confuse(typ, "COPY FROM STDIN that was not foreseen")
			} else {
				e.copyGate <- wire.CopyInResponse
				e.copyGate = nil
			}
		}
	case wire.CopyData, wire.CopyDone, wire.FunctionCallResponse:
	default:
		s.confuse(typ, "unknown message")
		e.fill.abort()
	}
	return swallow, replace, nil
}

// spoilFill gives up the fill of the message that is being answered, and tells whether that is one which nobody waits for.
func (s *session) spoilFill() (background bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queue.front()
	if e == nil {
		return false
	}
	e.fill.abort()
	return e.background
}

// described handles RowDescription and NoData: the answer to Describe, or the start of a simple query's result.
func (s *session) described(typ byte, message []byte, e *expectation) {
	if e.kind == expectQuery {
		e.fill.describe(message)
		if e.aside != nil {
			e.aside.standIn.described(message)
		}
		return
	}
	if e.kind != expectDescribe {
		s.confuse(typ, "no Describe is unanswered")
		return
	}
	if e.aside != nil {
		e.aside.verification.described(message)
	}
	if e.portal != nil && message != nil {
		e.portal.row = append([]byte(nil), message...)
	}
	if e.fill != nil {
		e.fill.describe(message)
		e.fill.store(s)
	}
	s.answered(s.pop())
}

// popKind takes the expectation off that the message answers.
func (s *session) popKind(typ byte, kind expectKind) (swallow bool) {
	e := s.queue.front()
	if e.kind != kind {
		s.confuse(typ, "another answer is expected")
		return false
	}
	swallow = e.swallow
	if e.prepared != nil {
		if kind == expectParse {
			e.prepared.parsed.Store(true)
		} else {
			e.prepared.gone.Store(true)
		}
	}
	s.answered(s.pop())
	return swallow
}

func (s *session) popExecute() {
	e := s.pop()
	if e.copyGate != nil {
		e.copyGate <- wire.CommandComplete
	}
	s.tell(&e)
	s.observe(&e)
	if e.fill != nil {
		e.fill.store(s)
	}
	s.answered(e)
}

// errorResponse handles an error: in the extended protocol the server skips all up to the next Sync
// (section "Extended Query"). It reports whether the client must not see it.
func (s *session) errorResponse() (swallow bool) {
	e := s.queue.front()
	e.fill.abort()
	if e.kind == expectQuery || e.kind == expectFunctionCall {
		return false
	}
	swallow = e.swallow && (e.probe != nil || e.quiet || e.aside != nil) // else an injected Parse or Bind that fails is the client's error, too
	if s.srv.Observer != nil {
		s.tellRefused(e)
	}
	for first := true; e != nil && !e.kind.endsCycle(); e, first = s.queue.front(), false {
		dropped := s.pop()
		if !first && dropped.kind == expectParse && !dropped.swallow && dropped.prepared != nil {
			dropped.prepared.skipped.Store(true)
		}
		if dropped.kind == expectExecute {
			s.tell(&dropped)
		}
		dropped.abandon()
		s.answered(dropped)
	}
	s.skipping = s.queue.n == 0
	return swallow
}

// readyForQuery ends a cycle: fences of what has now an outcome come down before the client can know of it.
func (s *session) readyForQuery(message []byte) (swallow bool) {
	b := &s.backend
	for e := s.queue.front(); e != nil && !e.kind.endsCycle(); e = s.queue.front() {
		s.confuse(wire.ReadyForQuery, "answers are missing")
		dropped := s.pop()
		dropped.abandon()
		s.answered(dropped)
	}
	if s.queue.n == 0 || len(message) != wire.HeaderSize+1 {
		s.confuse(wire.ReadyForQuery, "nothing is expected")
		return false
	}
	e := s.pop()
	b.status = message[wire.HeaderSize]
	b.ready = true
	b.change = nil
	s.release(e.fence, b.status)
	if e.kind == expectQuery || e.kind == expectFunctionCall {
		s.tell(&e)
	}
	b.ending = ending{}
	if e.kind == expectQuery {
		s.observe(&e)
		if e.fill != nil {
			e.fill.status(b.status)
			e.fill.store(s)
		}
	}
	if e.aside != nil {
		e.aside.verification.synced()
	}
	if e.probe != nil {
		s.status.Store(uint32(b.status))
		s.answered(e)
		e.probe.finish(e.probe.result)
		return true
	}
	s.answered(e)
	return e.swallow
}

// confuse notes that the upstream's messages are not those that pgrecall expects. It has lost count, so this session only relays from now
// on, and nothing of its database is served, by any process, until it ends: what it writes can no longer be told. In a fleet it waits until the others
// know, before the client sees the message. The caller holds mu.
func (s *session) confuse(typ byte, why string) {
	if s.confused.Swap(true) {
		return
	}
	s.srv.metrics.confused.Inc()
	s.srv.Logger.Error("unexpected message from the upstream; this session is relayed without the cache from now on",
		"type", string(rune(typ)), "why", why)
	f := &invalidator.Fence{Whole: true, MayDefine: true}
	slot := s.srv.slots.Database(s.databaseName)
	f.Add(s.srv.slots, slot, s.srv.slots.Definitions(s.databaseName))
	f.Raise(s.srv.slots, slot)
	if s.srv.fleet != nil {
		ctx, _, end := s.beginWait()
		if !s.announceUntil(ctx, f) {
			s.kill() // the client sees nothing any more, and the fence goes to the orphans
		}
		end()
	}
	if s.backend.heldFence == nil {
		s.backend.heldFence = &invalidator.Fence{}
	}
	s.backend.heldFence.Merge(s.srv.slots, f)
}
