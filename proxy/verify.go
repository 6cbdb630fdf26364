package proxy

import (
	"bytes"
	"math"
	"math/rand/v2"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/wire"
)

// verification checks one hit after the client has got it: the same query is read from the server, the cache is looked up again, and the
// server is read once more. If the server said the same twice and the cache something else in between, the cache was wrong. It runs over
// the session's own upstream connection, so that role, settings and rights are the session's, and nobody but the session's next
// statement waits for it. The frontend side makes it; from then on it belongs to the backend side. All methods accept nil.
type verification struct {
	session *session
	key     cache.Key
	entry   *cache.Entry

	read    int // answers that are complete
	row     [2][]byte
	data    [2][]byte
	failed  bool
	current bool // the entry would still have been served between the two
	done    chan struct{}
}

// SetVerify sets the share of hits that are checked in the background, from 0 for none to 1 for all.
func (srv *Server) SetVerify(share float64) { srv.verify.Store(math.Float64bits(share)) }

// unverified is after how many hits a session looks again whether verification has been turned on.
const unverified = 1 << 12

// sampled tells whether the hit that was just counted is to be verified.
func (s *session) sampled() bool {
	f := &s.frontend
	if f.untilCheck--; f.untilCheck > 0 {
		return false
	}
	share := math.Float64frombits(s.srv.verify.Load())
	first := f.untilCheck < 0 // the session's first hit: the count has not been drawn yet
	if share <= 0 {
		f.untilCheck = unverified
		return false
	}
	f.untilCheck = int(min(rand.ExpFloat64()/share, 1<<30)) + 1
	if share >= 1 {
		f.untilCheck = 1
	}
	return !first || share >= 1 || rand.Float64() < share
}

// verifiable tells whether a query of pgrecall's own may run in the session now.
func (s *session) verifiable() bool {
	f := &s.frontend
	return byte(s.status.Load()) == wire.StatusIdle && s.pending.Load() == 0 && !f.unsynced && len(f.portals) == 0 && !s.confused.Load()
}

// verifyQuery begins the verification of a hit in the simple protocol.
func (s *session) verifyQuery(key cache.Key, entry *cache.Entry, text []byte) *verification {
	return s.verifyWith(key, entry, rerunQuery(text))
}

// verifyPortal begins the verification of a hit in the extended protocol. Tail is what follows the names in the Bind message.
func (s *session) verifyPortal(po *portal, entry *cache.Entry, tail []byte) *verification {
	return s.verifyWith(po.key, entry, s.rerunPortal(po, tail))
}

// filled is the latest fill of a session in shadow mode, with what it takes to read it again.
type filled struct {
	fill   *fill
	text   []byte  // simple protocol
	portal *portal // extended
	tail   []byte
}

// keepFill remembers a fill to be verified before the session's next statement: shadow mode has no hits to verify.
func (s *session) keepFill(f filled) {
	if f.fill != nil && f.fill.comparison == nil && s.shadowed() && s.sampled() {
		s.frontend.filled = f
	}
}

// verifyFill verifies what the session's last statement left in the cache, and waits for the outcome. The session is idle.
func (s *session) verifyFill() {
	last := s.frontend.filled
	if last.fill == nil {
		return
	}
	s.frontend.filled = filled{}
	if last.fill.entry == nil || !s.verifiable() || s.frontend.scope == nil || s.settingsDirty.Load() {
		return
	}
	var v *verification
	if last.portal != nil {
		v = s.verifyPortal(last.portal, last.fill.entry, last.tail)
	} else {
		v = s.verifyQuery(last.fill.key, last.fill.entry, last.text)
	}
	if v == nil {
		return
	}
	select {
	case <-v.done:
	case <-s.life.Done():
	}
}

// verifyWith reads twice.
func (s *session) verifyWith(key cache.Key, entry *cache.Entry, r *rerun) *verification {
	if r == nil || s.servedByAge(entry) {
		return nil
	}
	v := &verification{session: s, key: key, entry: entry, done: make(chan struct{})}
	e := errand{session: s, aside: &aside{verification: v}}
	if r.parse != nil {
		e.message(expectParse, r.parse, nil, nil)
	}
	for range 2 {
		e.read(r, entry.Row != nil, nil, nil)
	}
	if r.parse != nil {
		e.drop()
	}
	_ = s.sendUpstream(e.out)
	return v
}

func (v *verification) fail() {
	if v != nil {
		v.failed = true
	}
}

// described takes the row description.
func (v *verification) described(message []byte) {
	if v != nil && v.read < len(v.row) {
		v.row[v.read] = append([]byte(nil), message...)
	}
}

// rows takes a DataRow or CommandComplete message, nil for one that is too long.
func (v *verification) rows(message []byte) {
	if v == nil || v.failed || v.read >= len(v.data) {
		return
	}
	i := v.read
	if message == nil || len(v.data[i])+len(message) > len(v.entry.Data)+wordyEnough {
		v.data[i] = append(v.data[i], '!') // it is another answer, whatever follows
		return
	}
	v.data[i] = append(v.data[i], message...)
}

// wordyEnough is by how many bytes an answer may be longer than what is cached and still be kept whole. Longer ones differ anyway.
const wordyEnough = 64 << 10

// synced ends an answer, and judges after the second. The upstream has sent ReadyForQuery, or nothing will come any more.
func (v *verification) synced() {
	if v == nil {
		return
	}
	v.read++
	switch v.read {
	case 1:
		v.current = v.servable()
	case 2:
		v.judge()
		close(v.done)
	}
}

// servable tells whether another hit would get the entry at this moment.
func (v *verification) servable() bool {
	srv := v.session.srv
	rule := v.entry.Source.Rule(srv.policy.Load().number)
	return rule != nil && !rule.AgeOnly && srv.L1.Get(v.key) == v.entry && srv.slots.Valid(v.entry.Stamp) &&
		!v.entry.Expired(v.key, cache.Monotonic(), rule.TTL)
}

func (v *verification) judge() {
	srv := v.session.srv
	rowsAsCached := func(i int) bool { return bytes.Equal(v.row[i], v.entry.Row) && sameRows(v.data[i], v.entry.Data) }
	switch {
	case v.failed:
		srv.verified(inconclusive, nil, v.entry, nil)
	case rowsAsCached(0):
		srv.verified(same, nil, v.entry, nil)
	case !v.current || !bytes.Equal(v.row[0], v.row[1]) || !sameRows(v.data[0], v.data[1]):
		srv.verified(inconclusive, nil, v.entry, nil)
	default:
		srv.verified(different, &v.key, v.entry, [][]byte{nil, v.row[1], v.data[1]})
		srv.distrust(v.entry.Source)
	}
}
