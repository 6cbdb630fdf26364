package proxy

import (
	"bytes"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/proxy/traffic"
	"github.com/pgrecall/pgrecall/wire"
)

// fill collects the answer to one forwarded read, to enter the cache if nothing that it depends on has changed by then.
// The frontend side makes it; from then on it belongs to the backend side. All methods accept nil.
type fill struct {
	key     cache.Key
	flight  *cache.Flight // nil when nobody can wait for it
	stamp   invalidator.Stamp
	source  *cache.Source
	use     *traffic.Use
	portal  *portal // extended protocol: where Describe leaves the row description
	max     int
	started int64 // when the query, or for a portal its Execute, was sent
	asked   int64 // before the server took the snapshot: the answer is as old as that
	tenant  uint32
	flushes uint64 // before the query was sent upstream
	block   byte   // status that ReadyForQuery must show: nothing but this read has happened
	simple  bool
	// comparison is of shadow mode: what the cache would have answered, nil for nothing.
	comparison *comparison
	only       bool // a description: complete without rows

	parameter []byte
	row       []byte
	data      []byte
	finished  bool  // CommandComplete has come
	took      int64 // until the answer was complete, in nanoseconds
	aborted   bool
	stored    bool
	large     bool         // aborted because the answer is too large
	entry     *cache.Entry // once it is stored
	offer     *offer       // for L2, nil without one
	hot       *hotQuery    // nil where it is not remembered
}

// abort gives the fill up: its answer is not one that can be repeated.
func (f *fill) abort() {
	if f == nil || f.aborted || f.stored {
		return
	}
	f.aborted = true
	f.data, f.row = nil, nil
	f.comparison.abandon()
	if f.flight != nil {
		f.flight.Finish(nil)
	}
}

// outcome tells what a cacheable read that is forwarded counts as. A nil fill is one whose answer can't be kept.
func (f *fill) outcome() (outcome, cachepolicy.Reason) {
	switch {
	case f == nil:
		return outcomeBypass, cachepolicy.ReasonFenced
	case f.comparison != nil:
		return outcomeBypass, cachepolicy.ReasonShadow
	}
	return outcomeMiss, cachepolicy.ReasonNone
}

// boarded counts what caching has cost until a miss was sent.
func (f *fill) boarded(s *session, sent int64) {
	if began := s.frontend.boarded; f != nil && began != 0 {
		f.use.Overhead(sent - began)
	}
	s.frontend.boarded = 0
}

// describe takes a RowDescription or NoData message.
func (f *fill) describe(message []byte) {
	if f == nil || f.aborted {
		return
	}
	if f.row != nil || message == nil || (message[0] == wire.NoData && !f.only) { // a second result
		f.abort()
		return
	}
	f.row = append([]byte(nil), message...)
}

// parameters takes a ParameterDescription message.
func (f *fill) parameters(message []byte) {
	if f != nil && !f.aborted {
		f.parameter = append([]byte(nil), message...)
	}
}

// rows takes bytes of DataRow messages.
func (f *fill) rows(b []byte) {
	if f == nil || f.aborted {
		return
	}
	if f.finished || len(f.data)+len(b) > f.max {
		f.large = !f.finished
		f.abort()
		return
	}
	f.data = append(f.data, b...)
}

// complete takes the CommandComplete message.
func (f *fill) complete(message []byte) {
	if f == nil || f.aborted {
		return
	}
	f.rows(message)
	f.finished = true
}

// status takes the transaction status after a simple query.
func (f *fill) status(status byte) {
	if f != nil && status != f.block {
		f.abort()
	}
}

// store enters the result, if its stamp still holds, and hands it to those who wait for it.
func (f *fill) store(s *session) {
	if f == nil || f.aborted || f.stored {
		return
	}
	if !f.only && (!f.finished || (f.simple && f.row == nil)) || s.confused.Load() || s.srv.paused.Load() || !s.srv.slots.Valid(f.stamp) {
		f.abort()
		return
	}
	if f.portal != nil && f.row == nil {
		f.row = f.portal.row
	}
	began := s.now()
	if f.comparison != nil && f.comparison.settle(f) {
		f.stored = true
		return
	}
	// An answer from before a flush: what enters at this moment nevertheless is covered by it, since the query was sent before.
	if s.srv.flushes.epoch.Load() != f.flushes {
		f.abort()
		return
	}
	entry := cache.NewEntry(f.parameter, f.row, f.data, f.stamp, f.source, f.asked, began-f.started)
	if !f.only {
		f.source.SetCost(entry.Origin)
		entry.Tenant = f.tenant
		f.replaces(s.srv)
	}
	s.srv.L1.Put(f.key, entry)
	f.stored, f.entry = true, entry
	s.srv.shared.offer(f.offer, entry)
	if f.hot != nil {
		s.srv.hot.note(f.key, f.hot, 1)
	}
	f.data, f.row, f.parameter = nil, nil, nil
	if f.flight != nil {
		f.flight.Finish(entry)
	}
	if !f.only {
		f.use.Filled(entry.Size())
	}
	f.use.Overhead(s.now() - began)
}

// mostCompared bounds the results, in bytes, whose rows are looked for in another order while the client waits for the end of its answer.
const mostCompared = 16 << 10

// replaces counts why the result takes the place of another one, if it does. What shadow mode compared is counted already, and what takes long to
// compare is not counted.
func (f *fill) replaces(srv *Server) {
	if f.comparison != nil {
		return
	}
	switch old := srv.L1.Get(f.key); {
	case old == nil:
	case srv.flushes.covers(old) || !srv.slots.Valid(old.Stamp):
		f.use.Replaced(traffic.Invalidated)
	case len(f.data) == len(old.Data) && len(f.data) > mostCompared && !bytes.Equal(f.data, old.Data):
	case sameRows(f.data, old.Data):
		f.use.Replaced(traffic.Unchanged)
	default:
		f.use.Replaced(traffic.Changed)
	}
}
