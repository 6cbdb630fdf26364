package proxy

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// A refresh fills an entry anew after a client got its answer from it. It is a miss like any other, but that nobody waits for it: it runs
// over the session's own upstream connection, so that role, settings and rights are the session's; its stamp is taken before it is sent; it
// leads the flight of its key, so that one runs in the process at a time; in a fleet it first looks whether another process was quicker. What it
// brings is not for the client, errors and notices included. The session's next statement waits behind it if it goes upstream, and not if it is answered from the cache.

// refreshReason is why an entry is filled anew: the label of pgrecall_refreshes_total.
type refreshReason uint8

const (
	refreshEarly refreshReason = iota // it would have expired soon
	refreshStale                      // it has expired: stale_while_revalidate
	refreshReasons
)

var refreshNames = [...]string{refreshEarly: "early", refreshStale: "stale"}

// earlyOrigin is the longest time that an upstream may have taken for an entry that is refreshed before its end: about so long a client
// may have to wait that would not have had to.
const earlyOrigin = 100 * time.Millisecond

// earlyReach is how many times its origin an entry may have left before it is worth a draw: beyond it one in three thousand would win.
const earlyReach = 8

// early is when entries are refreshed before their end.
type early struct {
	beta  atomic.Uint64 // bits of a float64
	reach atomic.Int64  // earlyReach times beta, rounded up: the hit path compares with nothing else
}

// SetEarlyRefresh sets how early entries are refreshed before their end: 1 is optimal, 2 is twice as early, 0 is never.
func (srv *Server) SetEarlyRefresh(beta float64) {
	srv.early.beta.Store(math.Float64bits(beta))
	srv.early.reach.Store(int64(math.Ceil(beta * earlyReach)))
}

// due is an entry that has been found good for an answer and should be filled anew.
type due struct {
	entry  *cache.Entry // nil for none
	key    cache.Key
	reason refreshReason
}

// nearEnd tells whether an entry whose lifetime is nearly over, or over, may answer, and notes when it should be filled anew. All else that
// hits need has been found to hold. Left is as Entry.Left tells it.
func (s *session) nearEnd(key cache.Key, entry *cache.Entry, rule *cache.Rule, directive parser.Directive, left int64) bool {
	if left > 0 {
		if entry.Origin <= int64(earlyOrigin) && len(entry.Data) > 0 && entry.Early(left, math.Float64frombits(s.srv.early.beta.Load())) {
			s.frontend.due = due{entry, key, refreshEarly}
		}
		return true
	}
	// A statement that says how old its answer may be means it, and in a transaction block nothing can be filled anew.
	if left+int64(rule.Revalidate) <= 0 || directive.TTL != "" || len(entry.Data) == 0 || s.shadowed() ||
		byte(s.status.Load()) != wire.StatusIdle || !s.srv.stillHolds(entry, s.ageOnly(rule.AgeOnly)) {
		return false
	}
	s.frontend.due = due{entry, key, refreshStale}
	return true
}

// stillHolds tells whether an entry past its lifetime may answer: as before, and never while rights may have been revoked that
// this process has not heard of, whatever the consistency.
func (srv *Server) stillHolds(entry *cache.Entry, ageOnly bool) bool {
	if srv.fleet != nil && (!srv.fleet.Listening() || srv.strict && !srv.fleet.Live()) {
		return false
	}
	return srv.holds(entry, ageOnly)
}

// staleness returns why the entry answers past its lifetime, "" where it does not.
func (s *session) staleness(entry *cache.Entry) string {
	if d := &s.frontend.due; d.entry == entry && d.reason == refreshStale {
		return staleNames[staleRevalidate]
	}
	return ""
}

// rerun is how a statement that the client sent is run once more.
type rerun struct {
	parse     []byte // the Parse message that makes the statement, nil where the upstream has it
	statement string
	tail      []byte // of the Bind message, after the names
}

// rerunQuery is for a simple query.
func rerunQuery(text []byte) *rerun {
	b, at := wire.Begin(nil, wire.Parse)
	b = append(append(wire.AppendString(b, probeName), text...), 0)
	return &rerun{wire.End(append(b, 0, 0), at), probeName, []byte{0, 0, 0, 0, 0, 0}}
}

// rerunPortal is for a portal, nil where its statement can't be run again.
func (s *session) rerunPortal(po *portal, tail []byte) *rerun {
	p := po.prepared
	if p.message == nil { // the server knows it by its name
		if p.sent && !p.failed.Load() && !p.lost.Load() && s.frontend.named([]byte(p.name)) == p {
			return &rerun{nil, p.name, tail}
		}
		return nil
	}
	scan := wire.Scan(p.message[wire.HeaderSize:])
	scan.Name()
	text, types := scan.String(), scan.Rest()
	b, at := wire.Begin(nil, wire.Parse)
	b = append(append(wire.AppendString(b, probeName), text...), 0)
	return &rerun{wire.End(append(b, types...), at), probeName, tail}
}

// errand is messages of pgrecall's own that are put together.
type errand struct {
	session *session
	aside   *aside // of all expectations
	out     []byte
}

// message adds a message.
func (e *errand) message(kind expectKind, b []byte, fill *fill, po *portal) {
	e.session.push(expectation{kind: kind, swallow: true, quiet: true, background: true, outcome: outcomeProbe, aside: e.aside, fill: fill, portal: po})
	e.out = append(e.out, b...)
}

// named adds a message that begins with the name of the portal or statement of pgrecall's own, after its kind where it has one.
func (e *errand) named(kind expectKind, typ byte, of string, rest []byte, fill *fill, po *portal) {
	b, at := wire.Begin(nil, typ)
	b = append(wire.AppendString(append(b, of...), probeName), rest...)
	e.message(kind, wire.End(b, at), fill, po)
}

// read adds a cycle that runs the statement.
func (e *errand) read(r *rerun, describe bool, fill *fill, po *portal) {
	e.named(expectBind, wire.Bind, "", append(wire.AppendString(nil, r.statement), r.tail...), fill, nil)
	if describe {
		e.named(expectDescribe, wire.Describe, "P", nil, nil, po)
	}
	e.named(expectExecute, wire.Execute, "", []byte{0, 0, 0, 0}, fill, nil)
	e.named(expectClose, wire.Close, "P", nil, nil, nil)
	e.message(expectSync, []byte(wire.SyncMessage), nil, nil)
}

// drop adds a cycle that drops the statement: an error in the one before must not leave it behind.
func (e *errand) drop() {
	e.named(expectClose, wire.Close, "S", nil, nil, nil)
	e.message(expectSync, []byte(wire.SyncMessage), nil, nil)
}

// refreshQuery fills anew what the simple query in hand has been answered with, if that is due.
func (s *session) refreshQuery(text []byte) {
	if entry := s.frontend.due.entry; entry != nil && s.refreshable() {
		s.refresh(s.plan(entry.Source.Statement), nil, rerunQuery(text))
	}
}

// refreshPortal is refreshQuery for a portal. Tail is what follows the names in its Bind message.
func (s *session) refreshPortal(po *portal, tail []byte) {
	if s.frontend.due.entry == nil || !s.refreshable() {
		return
	}
	if r := s.rerunPortal(po, tail); r != nil {
		s.refresh(s.planOf(po.prepared), po.prepared, r)
	}
}

// refreshable tells whether a refresh may run in the session now.
func (s *session) refreshable() bool { return s.verifiable() && s.frontend.scope != nil }

// refresh sends the read that fills the due entry anew, unless somebody is about it. The client has its answer.
func (s *session) refresh(p *plan, of *prepared, r *rerun) {
	f := &s.frontend
	d, sc := f.due, f.scope
	f.due = due{}
	if p.decision.Verdict != cachepolicy.Cache || p.scope != sc {
		return
	}
	flight := s.srv.flights.Lead(d.key)
	if flight == nil || s.refreshedElsewhere(p, &d, flight) {
		return
	}
	fl := s.newFill(p, d.key, flight)
	// What the key was made of, and the plan that the server may have kept, have to be those of the moment that the stamp is of.
	if s.checkScope(); f.scope != sc || of != nil && p.decision.RowSecurity && of.epoch != s.srv.settingsEpoch.Load() {
		fl.abort()
		return
	}
	if fl == nil { // a write is under way
		return
	}
	fl.portal = &portal{}
	s.srv.metrics.refreshes[d.reason].Add(1)
	e := errand{session: s, aside: &aside{renewal: fl}}
	if r.parse != nil {
		e.message(expectParse, r.parse, fl, nil)
	}
	e.read(r, d.entry.Row != nil, fl, fl.portal)
	if r.parse != nil {
		e.drop()
	}
	_ = s.sendUpstream(e.out)
}
