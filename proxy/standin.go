package proxy

import (
	"bytes"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// standIn is an entry past its lifetime that answers a read which fails (stale_if_error). The frontend side makes it when the read is
// forwarded; from then on it belongs to the backend side. All methods accept nil.
type standIn struct {
	fill    *fill // of the read
	entry   *cache.Entry
	ageOnly bool
	plan    *plan

	portal *portal // extended protocol: has the row description that the client got
	row    []byte  // simple protocol: likewise
	late   bool    // the client has got rows, or what can't be told
}

// standIn returns what may answer in place of an error for a read that is about to be forwarded with a fill, nil for nothing.
func (s *session) standIn(p *plan, f *fill, directive parser.Directive, po *portal) *standIn {
	if p.decision.StaleIfError <= 0 || f == nil || directive.TTL != "" || s.shadowed() || byte(s.status.Load()) != wire.StatusIdle || !s.frontend.clean {
		return nil
	}
	entry := s.srv.L1.Get(f.key)
	if entry == nil || len(entry.Data) == 0 || po == nil && entry.Row == nil {
		return nil
	}
	in := &standIn{fill: f, entry: entry, ageOnly: s.ageOnly(p.decision.Consistency == cachepolicy.TTL), plan: p, portal: po}
	if !in.good(s.srv) {
		return nil
	}
	return in
}

// with adds what may stand in for the answer.
func (a *aside) with(in *standIn) *aside {
	if in == nil {
		return a
	}
	if a == nil {
		a = &aside{}
	}
	a.standIn = in
	return a
}

// good tells whether the entry may stand in at this moment.
func (in *standIn) good(srv *Server) bool {
	left := in.entry.Left(in.fill.key, cache.Monotonic(), in.plan.decision.TTL)
	return left+int64(in.plan.decision.StaleIfError) > 0 && srv.stillHolds(in.entry, in.ageOnly)
}

// rows notes that the client gets a part of the answer.
func (in *standIn) rows() {
	if in != nil {
		in.late = true
	}
}

// described takes the row description of a simple query's answer, nil for one that is too long.
func (in *standIn) described(message []byte) {
	if in == nil {
		return
	}
	in.late = in.late || message == nil || !bytes.Equal(message, in.entry.Row)
	in.row = in.entry.Row
}

// standsIn returns what the client gets in place of an ErrorResponse, nil when it gets the error. The caller holds mu.
func (s *session) standsIn(e *expectation, message []byte, traced bool) []byte {
	if e.aside == nil || e.aside.standIn == nil || message == nil || s.confused.Load() {
		return nil
	}
	in := e.aside.standIn
	switch {
	case in.late || !passing(message[wire.HeaderSize:]):
		return nil
	case e.kind == expectExecute:
		// What comes before Sync would have been skipped, and the client may go by that.
		if next := s.queue.second(); next == nil || next.kind != expectSync || next.swallow {
			return nil
		}
		if row := in.portal.row; row != nil && in.entry.Row != nil && !bytes.Equal(row, in.entry.Row) {
			return nil
		}
	case e.kind != expectQuery:
		return nil
	}
	if !in.good(s.srv) || !s.srv.answers() {
		return nil
	}
	s.srv.metrics.stale[staleError].Add(1)
	var b []byte
	if e.kind == expectQuery && in.row == nil {
		b = append(b, in.entry.Row...)
	}
	if traced {
		b = append(b, s.traceHit(in.entry, staleNames[staleError])...)
	}
	return append(b, in.entry.Data...)
}

// refuted drops the entry that a refresh, or a read that it might have stood in for, has an error for: the server has something to say about the
// statement that pgrecall does not know of, such as a right that was revoked past it.
func (s *session) refuted(e *expectation, message []byte) {
	if e.aside == nil || message != nil && (passing(message[wire.HeaderSize:]) || string(wire.ErrorField(message[wire.HeaderSize:], 'C')) == codeQueryCanceled) {
		return
	}
	for _, f := range []*fill{e.aside.renewal, e.aside.standIn.filled()} {
		if f != nil {
			s.srv.L1.Delete(f.key)
			s.srv.shared.forget(f.offer)
		}
	}
}

// filled returns the fill of the read that the entry may stand in for.
func (in *standIn) filled() *fill {
	if in == nil {
		return nil
	}
	return in.fill
}

// passing tells whether the body of an ErrorResponse speaks of the server's state, not of the statement: out of resources, an error
// of the system, a timeout.
func passing(body []byte) bool {
	code := string(wire.ErrorField(body, 'C'))
	switch {
	case string(wire.ErrorField(body, 'V')) != wire.SeverityError || len(code) != 5:
		return false
	case code[:2] == "53" || code[:2] == "58":
		return true
	}
	// A cancel request has the same code. Only the text tells the two apart, in English: in another language the error goes through.
	return code == codeQueryCanceled && string(wire.ErrorField(body, 'M')) == "canceling statement due to statement timeout"
}
