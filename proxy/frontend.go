package proxy

import (
	"bytes"
	"errors"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// errUnknownStatement marks the statement that stands for texts which can't be read.
var errUnknownStatement = errors.New("statement is not understood")

// maxAuthentication bounds messages before the client is authenticated (PG_MAX_AUTH_TOKEN_LENGTH).
const maxAuthentication = 65535

// inbox holds the client's bytes: buf[start:pos] are handled but not sent upstream, buf[pos:end] are
// not handled.
type inbox struct {
	buf             []byte
	start, pos, end int
}

// room returns space to read into.
func (in *inbox) room(wanted int) []byte {
	if in.start == in.end {
		in.start, in.pos, in.end = 0, 0, 0
		if len(in.buf) > smallBuffer && wanted <= smallBuffer {
			in.buf = nil
		}
	}
	if in.buf == nil {
		in.buf = make([]byte, smallBuffer)
	}
	if in.end == len(in.buf) || len(in.buf)-in.pos < wanted {
		size := len(in.buf)
		for size < in.end-in.start+max(wanted, 1) || size-(in.pos-in.start) < wanted {
			size *= 2
		}
		buf := in.buf
		if size > len(in.buf) {
			buf = make([]byte, size)
		}
		n := copy(buf, in.buf[in.start:in.end])
		in.buf, in.pos, in.start, in.end = buf, in.pos-in.start, 0, n
	}
	return in.buf[in.end:]
}

// frontendLoop reads the client until it leaves.
func (s *session) frontendLoop() {
	in := &s.frontend.in
	wanted := 0
	for {
		n, err := s.client.Read(in.room(wanted))
		in.end += n
		if n > 0 {
			more, stop := s.frontendBytes()
			if stop {
				return
			}
			wanted = more
		}
		if err != nil {
			s.finishFlight()
			return
		}
	}
}

// frontendBytes handles the messages that have arrived. It returns how many bytes the next one needs, or that the session ends.
func (s *session) frontendBytes() (wanted int, stop bool) {
	f := &s.frontend
	in := &f.in
	f.received = cache.Monotonic()
	for in.pos < in.end {
		if f.skipBytes > 0 {
			n := min(f.skipBytes, in.end-in.pos)
			f.skipBytes -= n
			in.pos += n
			continue
		}
		typ, size, ok := wire.Header(in.buf[in.pos:in.end])
		if !ok {
			break
		}
		if size < wire.HeaderSize || size > maxMessage && wire.IsFrontend(typ) {
			s.violation()
			return 0, true
		}
		have := in.end - in.pos
		if have < size && wire.IsFrontend(typ) { // the server refuses other types as soon as it sees them
			if size <= s.srv.Limits.HeldBytes {
				if f.cycle.holding && in.pos-in.start+size > s.srv.Limits.HeldBytes {
					s.forwardHeld()
				}
				wanted = size
				break
			}
			if have < min(size, oversizedHead) {
				wanted = oversizedHead
				break
			}
		}
		if !s.authenticated(typ, size) {
			return 0, true
		}
		if have < size {
			s.oversized(typ, in.buf[in.pos:in.end])
			f.skipBytes = size
			continue
		}
		if s.frontendMessage(typ, size) {
			_ = s.flush()
			return 0, true
		}
		in.pos += size
		if f.dropped { // answered here: the upstream must not see it
			f.dropped = false
			in.start = in.pos
		}
	}
	if f.cycle.holding && f.cycle.length > s.srv.Limits.HeldBytes {
		s.forwardHeld()
	}
	return wanted, s.flush() != nil
}

// violation leaves the answer to a message that can't be framed until all before it have got theirs: see upstreamGone.
func (s *session) violation() {
	s.forwardHeld()
	_ = s.flush()
	s.violated.Store(true)
}

// maxMessage is the greatest size of a message that PostgreSQL reads (PQ_LARGE_MESSAGE_LIMIT), its type included.
const maxMessage = 1<<30 - 1

// oversizedHead is how much of a message longer than the limit has to be there before it is passed on: the names in a Bind
// message lie within.
const oversizedHead = 4 << 10

// authenticated waits until the upstream has accepted the client before anything but authentication is looked at.
func (s *session) authenticated(typ byte, size int) bool {
	select {
	case <-s.authOK:
		return true
	default:
	}
	if typ == wire.Password {
		if size > maxAuthentication {
			s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeProtocolViolation, Message: "pgrecall: authentication message too long"})
			return false
		}
		return true
	}
	patience := time.NewTimer(s.srv.Limits.StartupTimeout)
	defer patience.Stop()
	select {
	case <-s.authOK:
		return true
	case <-s.life.Done():
	case <-patience.C: // the server waits for a password, the client for an answer
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeProtocolViolation, Message: "pgrecall: expected a password response"})
	}
	return false
}

// flush sends upstream what has been handled and is not held.
func (s *session) flush() error {
	in := &s.frontend.in
	to := in.pos
	if s.frontend.cycle.holding {
		to = s.frontend.cycle.offset(in)
	}
	return s.flushTo(to)
}

// flushTo sends upstream what lies before an offset of the inbox.
func (s *session) flushTo(to int) error {
	in := &s.frontend.in
	if to <= in.start {
		return nil
	}
	err := s.sendUpstream(in.buf[in.start:to])
	in.start = to
	return err
}

// sendUpstream writes to the upstream. An upstream that is gone ends the session from the other side.
func (s *session) sendUpstream(b []byte) error {
	_, err := s.upstream.Write(b)
	return err
}

// frontendMessage handles the message of this size at in.pos. It reports that the session ends.
func (s *session) frontendMessage(typ byte, size int) (stop bool) {
	f := &s.frontend
	at := f.in.pos
	f.at = at
	message := f.in.buf[at : at+size]
	switch typ {
	case wire.Query:
		s.forwardHeld()
		f.inQuery, f.injected = !f.cycle.open, false
		f.cycle.open = false
		f.at = at
		s.handleQuery(message)
		f.inQuery = false
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Sync, wire.Flush:
		s.handleExtended(typ, at, size)
	case wire.CopyData:
	case wire.CopyDone, wire.CopyFail:
		f.copyIn = false
	case wire.FunctionCall:
		s.forwardHeld()
		s.startCycle()
		s.foresee(nil)
		f.unsynced = false
		s.push(expectation{kind: expectFunctionCall, fence: f.takeFence(), outcome: outcomeWrite, sent: s.now()})
		s.countStatement(outcomeWrite)
	case wire.Password:
		return s.handlePassword(message)
	case wire.Terminate:
		s.forwardHeld()
		f.in.pos += size
		s.leaving.Store(true) // before the server can hear of it
		return true
	default:
		// PostgreSQL answers with a fatal error; what it might do before is not known.
		s.forwardHeld()
		s.startCycle()
		s.foresee(nil)
	}
	if f.canceled {
		s.revoke()
	}
	return f.canceled
}

// oversized handles the head of a message that is too long to be held: it is passed on as it comes.
func (s *session) oversized(typ byte, head []byte) {
	f := &s.frontend
	s.forwardHeld()
	f.at = f.in.pos
	switch typ {
	case wire.Query:
		s.startCycle()
		f.unsynced = false
		s.foresee(nil)
		f.forgetUnnamed(true)
		s.push(expectation{kind: expectQuery, fence: f.takeFence(), outcome: outcomeWrite, sent: s.now()})
		s.countStatement(outcomeWrite)
	case wire.Parse:
		s.beginExtended()
		scan := wire.Scan(head[wire.HeaderSize:])
		p := &prepared{name: string(scan.Name()), sent: true}
		if scan.Ok() { // else its name is not known, and it is found under none
			s.notePrepared(p)
		}
		s.push(expectation{kind: expectParse, prepared: p})
	case wire.Bind:
		s.beginExtended()
		scan := wire.Scan(head[wire.HeaderSize:])
		scan.String()
		if scan.String(); !scan.Ok() { // which portal is not known
			for _, p := range f.portals {
				s.bindUpstream(p)
			}
			clear(f.portals)
		}
		s.forwardBind(head, false)
	case wire.CopyData:
	default:
		s.foresee(nil)
	}
	if f.canceled {
		s.revoke()
	}
}

// handlePassword passes authentication on. Where TLS ends here on both sides, SCRAM's channel binding can't succeed: the client is told so
// instead of letting the server suspect an attack.
func (s *session) handlePassword(message []byte) (stop bool) {
	if s.encrypted && s.upstream.encrypted && !s.sharesCertificate() && bindsChannel(message[wire.HeaderSize:]) {
		s.fatal(wire.Fields{
			Severity: wire.SeverityFatal, Code: codeInvalidAuth,
			Message: "pgrecall: SCRAM channel binding cannot pass through a TLS end point",
			Detail:  "The client's TLS connection ends at pgrecall and another one leads to the server, so the channel that the client would bind to is not the server's.",
			Hint:    "Set channel_binding=disable in the client's connection string, give pgrecall the server's own certificate, or use TLS on one side of pgrecall only.",
		})
		return true
	}
	return false
}

// startCycle notes the state of the session before a statement, or the first message of an extended-query cycle, is looked at.
func (s *session) startCycle() {
	f := &s.frontend
	f.known = s.idle() && !f.unsynced
	f.due.entry = nil
	clear(f.fetched)
	f.fetched = f.fetched[:0]
	f.cycles++
	if s.srv.CatalogWait > 0 && f.known && f.database != nil && f.database.watcher != nil {
		f.database.watcher.Await(s.done, s.srv.CatalogWait)
	}
	if !f.known {
		return
	}
	f.settleNames()
	f.settingsInFlight = false
	status := byte(s.status.Load())
	s.settleChange(status)
	s.checkScope()
	if status == wire.StatusIdle {
		f.pureBlock, f.isolated = false, false
		if len(f.portals) > 0 {
			clear(f.portals)
		}
		s.verifyFill()
	}
	f.clean = status == wire.StatusIdle || status == wire.StatusInTransaction && f.pureBlock
}

// holdable tells whether an answer could come from the cache now, as far as the session's state goes. The
// scope may still have to be learnt.
func (s *session) holdable() bool {
	f := &s.frontend
	return s.srv.caching && f.known && f.clean && !f.copyIn && !s.replication && !s.confused.Load() && s.decodable.Load() && f.database.snapshot() != nil
}

// servable tells whether an answer may come from the cache now. Call holdable first.
func (s *session) servable() bool {
	f := &s.frontend
	s.checkScope()
	if f.scope == nil || f.scope.mode == modeOff || s.shadowed() || s.srv.paused.Load() {
		return false
	}
	return s.srv.answers() && (f.scope.readCommitted || byte(s.status.Load()) != wire.StatusIdle)
}

// readsAlike tells whether a text means the same under every client_encoding and under standard_conforming_strings on and off: it
// has neither a backslash nor a byte that could belong to another character.
func readsAlike(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 || c == '\\' {
			return false
		}
	}
	return true
}

// read makes the canonical text of a statement, valid until the next call. A text that can't be trusted to be read as the server does is the
// unknown statement; otherwise statement is nil and still to be analysed.
func (s *session) read(text []byte) (statement *parser.Statement, canonical []byte, directive parser.Directive) {
	f := &s.frontend
	if (!s.decodable.Load() || f.settingsInFlight) && !readsAlike(text) || bytes.IndexByte(text, 0) >= 0 {
		return unknownStatement, nil, directive
	}
	canonical, directive, ok := parser.Canonicalize(f.canonical[:0], text)
	if !ok {
		f.canonical = append(f.canonical[:0], text...)
		canonical = f.canonical
	}
	f.canonical = canonical
	if cap(f.canonical) > largeBuffer {
		f.canonical = nil
	}
	return nil, canonical, directive
}
