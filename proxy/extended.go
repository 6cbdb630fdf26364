package proxy

import (
	"bytes"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// cycle is an extended-query cycle: the messages up to Sync (PostgreSQL documentation, "Extended Query"). While it is held, nothing
// of it has been sent upstream; it is then either answered here as a whole, or forwarded as a whole.
type cycle struct {
	open    bool
	holding bool
	held    []heldMessage
	length  int // bytes of held messages

	scratch *portal // for the first Bind, when it does not outlive the cycle

	flight *cache.Flight // led for the first result that was missing
	key    cache.Key
	ahead  ahead
}

// offset returns where the held messages begin in the inbox.
func (c *cycle) offset(in *inbox) int { return in.pos - c.length }

// portal returns a portal for a held Bind.
func (c *cycle) portal() *portal {
	for i := range c.held {
		if c.held[i].typ == wire.Bind {
			return &portal{} // scratch is taken
		}
	}
	if c.scratch == nil {
		c.scratch = &portal{}
	}
	return c.scratch
}

// heldMessage is a message of a held cycle that can be answered from the cache.
type heldMessage struct {
	typ      byte
	kind     byte // Describe, Close: 'S' or 'P'
	size     int
	prepared *prepared
	portal   *portal
	name     string // of the portal
	entry    *cache.Entry
}

// handleExtended handles a message of the extended query protocol at offset at of the inbox.
func (s *session) handleExtended(typ byte, at, size int) {
	f := &s.frontend
	if f.copyIn && (typ == wire.Sync || typ == wire.Flush) && s.copyEnded() {
		f.copyIn = false
	}
	if f.copyIn {
		if typ == wire.Sync || typ == wire.Flush {
			// The server ignores these during COPY (section "COPY Operations"), unless it has found an error just now; it
			// would then count one ReadyForQuery more than pgrecall.
			s.flushBefore()
			f.in.start = at + size
		}
		return
	}
	if !f.cycle.open {
		s.beginExtended()
		f.cycle.holding = s.srv.caching && !s.srv.shadow && s.holdable()
		f.cycle.held, f.cycle.length = f.cycle.held[:0], 0
	}
	if f.cycle.holding {
		if s.hold(typ, f.in.buf[at:at+size]) {
			f.cycle.length += size
			if typ == wire.Sync || typ == wire.Flush {
				s.endHeld(typ, size)
			}
			return
		}
		s.forwardHeld()
		f.at = at
	}
	s.forwardExtended(typ, f.in.buf[at:at+size])
}

// copyEnded tells whether the server has ended a COPY FROM STDIN with an error before the client did.
func (s *session) copyEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queue.front()
	return e == nil || e.kind != expectExecute
}

// endHeld answers the held cycle, whose last message is the one in hand, or forwards it after all.
func (s *session) endHeld(typ byte, size int) {
	f := &s.frontend
	f.in.pos += size // as if it had been handled: offsets count from there
	defer func() { f.in.pos -= size }()
	if !f.cycle.accepted() || s.srv.paused.Load() {
		s.forwardHeld() // nothing in the cache shows that the server accepts the statement, or nothing may be served any more
		return
	}
	s.answerHeld()
	f.dropped = true
	f.cycle.held, f.cycle.length = f.cycle.held[:0], 0
	f.cycle.open = typ == wire.Flush
	f.cycle.holding = f.cycle.open
	f.cycle.ahead.reset()
}

// beginExtended begins a cycle unless one is open.
func (s *session) beginExtended() {
	f := &s.frontend
	if !f.cycle.open {
		s.startCycle()
		f.cycle.open = true
	}
}

// forwardHeld gives up answering the held cycle here: everything in it goes upstream, and so does the rest up to Sync.
func (s *session) forwardHeld() {
	f := &s.frontend
	if !f.cycle.holding {
		return
	}
	at := f.cycle.offset(&f.in)
	f.cycle.ahead.reset()
	f.cycle.holding = false
	f.cycle.length = 0
	for i := range f.cycle.held {
		h := &f.cycle.held[i]
		f.at = at
		s.forwardExtended(h.typ, f.in.buf[at:at+h.size])
		at += h.size
		*h = heldMessage{}
	}
	f.cycle.held = f.cycle.held[:0]
}

// hold takes a message into the held cycle if it can be answered from the cache at this moment.
func (s *session) hold(typ byte, message []byte) bool {
	h := heldMessage{typ: typ, size: len(message)}
	scan := wire.Scan(message[wire.HeaderSize:])
	ok := false
	switch typ {
	case wire.Parse:
		ok = s.holdParse(&h, &scan, message)
	case wire.Bind:
		ok = s.holdBind(&h, &scan)
	case wire.Describe:
		ok = s.holdDescribe(&h, &scan)
	case wire.Execute:
		ok = s.holdExecute(&h, &scan)
	case wire.Close:
		ok = s.holdClose(&h, &scan)
	case wire.Sync, wire.Flush:
		ok = len(s.frontend.cycle.held) > 0
	}
	if ok {
		s.frontend.cycle.held = append(s.frontend.cycle.held, h)
	}
	return ok
}

func (s *session) holdParse(h *heldMessage, scan *wire.Scanner, message []byte) bool {
	f := &s.frontend
	name, text := scan.Name(), scan.String()
	types := scan.Rest()
	if !scan.Ok() {
		return false
	}
	if len(name) == 0 && f.unnamed != nil && f.unnamed.scope != nil && !f.unnamed.failed.Load() && bytes.Equal(f.unnamed.message, message) {
		s.checkScope()
		if f.unnamed.scope == f.scope && s.planOf(f.unnamed).decision.Verdict == cachepolicy.Cache {
			h.prepared = f.unnamed // the same once more
			s.again(f.unnamed)
			return s.servable()
		}
	}
	if len(name) != 0 && (f.named(name) != nil || f.cycle.declares(name)) {
		return false // the server has to complain
	}
	p := s.newPrepared(name, text, types)
	if s.learnFor(p); !s.servable() || p.directive.Off || s.planOf(p).decision.Verdict != cachepolicy.Cache {
		return false
	}
	p.scope = f.scope
	p.message = append([]byte(nil), message...)
	h.prepared = p
	return true
}

// declares tells whether a held Parse makes a statement of this name.
func (c *cycle) declares(name []byte) bool {
	for i := range c.held {
		if h := &c.held[i]; h.typ == wire.Parse && h.prepared.name == string(name) {
			return true
		}
	}
	return false
}

func (s *session) holdBind(h *heldMessage, scan *wire.Scanner) bool {
	f := &s.frontend
	portalName, statementName := scan.Name(), scan.Name()
	tail := scan.Rest()
	if !scan.Ok() {
		return false
	}
	p := f.find(statementName)
	if p == nil || p.failed.Load() || len(portalName) != 0 && (f.cursors || f.findPortal(portalName) != nil) {
		return false
	}
	if s.learnFor(p); !s.servable() {
		return false
	}
	key, reason := s.bindKey(p, tail)
	if reason != cachepolicy.ReasonNone {
		return false
	}
	entry := s.lookup(key, p.directive)
	if entry == nil && f.cycle.flight == nil {
		f.cycle.ahead.looking = true
		f.cycle.flight, entry = s.board(s.planOf(p), key, p.directive)
		f.cycle.ahead.looking = false
		f.cycle.key = key
	}
	if entry == nil || len(entry.Data) == 0 {
		return false
	}
	h.entry, h.name, h.prepared = entry, string(portalName), p
	h.portal = f.cycle.portal()
	*h.portal = portal{prepared: p, key: key, keyed: true, entry: entry}
	return true
}

// bindKey returns the key for a prepared statement with the tail of a Bind message (formats, values, result formats), or why there is none.
func (s *session) bindKey(p *prepared, tail []byte) (cache.Key, cachepolicy.Reason) {
	f := &s.frontend
	if p == nil || p.statement == nil || f.scope == nil {
		return cache.Key{}, cachepolicy.ReasonSettings
	}
	if p.scope != f.scope {
		return cache.Key{}, cachepolicy.ReasonPrepared
	}
	if p.directive.Off {
		return cache.Key{}, cachepolicy.ReasonDirective
	}
	plan := s.planOf(p)
	if plan.decision.Verdict != cachepolicy.Cache {
		return cache.Key{}, plan.decision.Reason
	}
	if p.odd {
		return cache.Key{}, cachepolicy.ReasonUnknownType
	}
	if plan.decision.RowSecurity && p.epoch != s.srv.settingsEpoch.Load() {
		return cache.Key{}, cachepolicy.ReasonPrepared
	}
	if timely(tail) {
		return cache.Key{}, cachepolicy.ReasonParameter
	}
	digest := s.digestFor(plan)
	if digest == nil {
		return cache.Key{}, cachepolicy.ReasonSettings
	}
	return cache.ExtendedKey(digest, &p.digest, tail), cachepolicy.ReasonNone
}

// timely tells whether a parameter may stand for the present time ("now", "today"), or the message can't be read.
func timely(tail []byte) bool {
	scan := wire.Scan(tail)
	scan.Bytes(2 * scan.Int16())
	for range scan.Int16() {
		if n := scan.Int32(); n > 0 && parser.TimeWord(scan.Bytes(int(n))) {
			return true
		}
	}
	return !scan.Ok()
}

func (s *session) holdDescribe(h *heldMessage, scan *wire.Scanner) bool {
	f := &s.frontend
	h.kind = scan.Byte()
	name := scan.Name()
	if !scan.Ok() {
		return false
	}
	if h.kind == 'P' {
		p := f.findPortal(name)
		if p == nil || p.sent || p.entry == nil || p.entry.Row == nil {
			return false
		}
		h.entry = p.entry
		return true
	}
	p := f.find(name)
	if p == nil || p.failed.Load() || p.scope == nil || !s.servable() || p.scope != f.scope || s.planOf(p).decision.Verdict != cachepolicy.Cache {
		return false
	}
	h.prepared = p
	h.entry = s.lookup(cache.DescriptionKey(&f.scope.Digest, &p.digest), p.directive)
	return h.entry != nil && h.entry.Parameters != nil && h.entry.Row != nil
}

func (s *session) holdExecute(h *heldMessage, scan *wire.Scanner) bool {
	f := &s.frontend
	name := scan.Name()
	limit := scan.Int32()
	p := f.findPortal(name)
	if !scan.Ok() || limit != 0 || p == nil || p.sent || p.executed || p.entry == nil {
		return false
	}
	for i := range f.cycle.held {
		if o := &f.cycle.held[i]; o.typ == wire.Execute && o.portal == p {
			return false // a portal that is at its end
		}
	}
	h.portal, h.entry = p, p.entry
	return true
}

func (s *session) holdClose(h *heldMessage, scan *wire.Scanner) bool {
	f := &s.frontend
	h.kind = scan.Byte()
	name := scan.Name()
	if !scan.Ok() {
		return false
	}
	if h.kind == 'S' {
		h.prepared = f.find(name)
		return h.prepared != nil && !h.prepared.sent
	}
	p := f.findPortal(name)
	h.name = string(name)
	return p != nil && !p.sent
}
