package proxy

import (
	"cmp"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/wire"
)

// Bounds and rates of what is remembered of hot queries.
const (
	hotBytes    = 4 << 10          // that one counts for, at least: together they take no more than their number times as much
	hotLargest  = 64 << 10         // a larger one is not remembered
	hotSample   = 64               // one in so many hits is noted
	hotHalfLife = 30 * time.Minute // of the count of uses
)

// HotQuery is a query whose answer was cached, as its client sent it: what another pgrecall needs to fill its own cache. It holds parameters'
// values, which belong into no log.
type HotQuery struct {
	Text     string // canonical
	Extended bool   // protocol; the next four are of the extended one

	Types         []uint32 // OIDs that Parse declared
	Params        [][]byte // nil for NULL
	ParamFormats  []int16
	ResultFormats []int16

	Database, User, Role string            // Role is current_user
	Session              map[string]string // parameters of the session's start-up, without names and application_name
	Scope                string            // as notices show it
	Settings             []string          // custom settings that the answer depends on

	Fingerprint uint64
	Uses        float64 // estimated; those of half an hour ago count half
}

// hotKeys remembers the most used queries, bounded in number and bytes. Fills are noted when they are stored, hits are sampled. Its methods
// accept nil: nothing is remembered.
type hotKeys struct {
	queries *otter.Cache[cache.Key, *hotQuery]
}

// hotQuery is what is remembered of one key. All but uses is immutable.
type hotQuery struct {
	text     string
	scope    *scope
	startup  *wire.Startup
	settings []string
	extended bool
	types    []byte // of the Parse message, their number first; nil for none
	tail     []byte // of the Bind message, after the names

	mu   sync.Mutex
	uses float64
	last int64 // cache.Monotonic, when uses was counted
}

// newHotKeys remembers so many queries, nil for none.
func newHotKeys(n int) (*hotKeys, error) {
	if n <= 0 {
		return nil, nil
	}
	queries, err := otter.New(&otter.Options[cache.Key, *hotQuery]{
		MaximumWeight: uint64(n) * hotBytes,
		Weigher:       func(_ cache.Key, q *hotQuery) uint32 { return uint32(max(hotBytes, q.size())) },
	})
	if err != nil {
		return nil, err
	}
	return &hotKeys{queries}, nil
}

func (q *hotQuery) size() int { return 512 + len(q.text) + len(q.types) + len(q.tail) }

// count adds uses, and lets those of before fade.
func (q *hotQuery) count(uses float64, now int64) float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.uses = q.uses*math.Exp2(-float64(now-q.last)/float64(hotHalfLife)) + uses
	q.last = now
	return q.uses
}

// note counts uses of a key. The query is nil where it was remembered when the key was filled, or not at all.
func (h *hotKeys) note(key cache.Key, q *hotQuery, uses float64) {
	if h == nil {
		return
	}
	now := cache.Monotonic()
	if known, ok := h.queries.GetIfPresent(key); ok {
		known.count(uses, now)
		return
	}
	if q != nil && q.size() <= hotLargest && utf8.ValidString(q.text) {
		q.uses, q.last = uses, now
		h.queries.Set(key, q)
	}
}

// hotHit counts a hit, one of a held cycle with the messages that were bound in it.
func (s *session) hotHit(key cache.Key, entry *cache.Entry, po *portal, bound *sampledHit) {
	if s.frontend.untilHot--; s.frontend.untilHot <= 0 {
		s.hotSampled(key, entry, po, bound)
	}
}

// hotSampled notes the hit for all since the last one that was noted.
func (s *session) hotSampled(key cache.Key, entry *cache.Entry, po *portal, bound *sampledHit) {
	f := &s.frontend
	if s.srv.hot == nil {
		f.untilHot = math.MaxInt32
		return
	}
	first := f.untilHot < 0 // the session's first hit: the count has not been drawn yet
	f.untilHot = int(rand.ExpFloat64()*hotSample) + 1
	if first && rand.IntN(hotSample) != 0 || bound != nil && bound.bound != po {
		return
	}
	var q *hotQuery
	if _, known := s.srv.hot.queries.GetIfPresent(key); !known {
		var tail []byte
		if bound != nil {
			tail = append(tail, bound.boundTail()...)
		}
		q = s.hotQuery(s.plan(entry.Source.Statement), po, tail)
	}
	s.srv.hot.note(key, q, hotSample)
}

// remember lets what is filled be noted when it is stored. A nil portal is that of a simple query.
func (f *fill) remember(s *session, p *plan, po *portal) {
	if f == nil || s.srv.hot == nil {
		return
	}
	var tail []byte
	if po != nil {
		tail = po.tail
	}
	f.hot = s.hotQuery(p, po, tail)
}

// hotQuery describes a simple query in the session's scope, or with a portal what it runs, nil where that is not known.
func (s *session) hotQuery(p *plan, po *portal, tail []byte) *hotQuery {
	if s.frontend.scope == nil || po != nil && tail == nil {
		return nil
	}
	q := &hotQuery{text: p.statement.Canonical, scope: s.frontend.scope, startup: s.startup, settings: p.decision.Settings}
	if po != nil {
		q.extended, q.types, q.tail = true, po.prepared.declares(), tail
	}
	return q
}

// declares returns the parameter types of the Parse message as it has them.
func (p *prepared) declares() []byte {
	if p.message == nil {
		return p.declared
	}
	scan := wire.Scan(p.message[wire.HeaderSize:])
	scan.Name()
	_ = scan.String()
	return append([]byte(nil), scan.Rest()...)
}

// Hot returns the n most used queries whose answers were cached, the most used first. None are remembered unless Options.HotKeys says how many.
func (srv *Server) Hot(n int) []HotQuery {
	if srv.hot == nil {
		return nil
	}
	type used struct {
		*hotQuery
		uses float64
	}
	var all []used
	now := cache.Monotonic()
	for q := range srv.hot.queries.Values() {
		all = append(all, used{q, q.count(0, now)})
	}
	slices.SortFunc(all, func(a, b used) int {
		return cmp.Or(cmp.Compare(b.uses, a.uses), cmp.Compare(a.text, b.text), slices.Compare(a.tail, b.tail))
	})
	list := make([]HotQuery, 0, min(n, len(all)))
	for _, q := range all {
		if len(list) == n {
			break
		}
		if hot, ok := q.export(); ok {
			hot.Uses, hot.Fingerprint = q.uses, srv.Statements.Analyze([]byte(q.text)).Fingerprint()
			list = append(list, hot)
		}
	}
	return list
}

// export takes the messages apart; false where they can't be read.
func (q *hotQuery) export() (HotQuery, bool) {
	hot := HotQuery{
		Text: q.text, Extended: q.extended, Database: q.scope.Database, User: q.scope.SessionUser, Role: q.scope.CurrentUser,
		Scope: hex.EncodeToString(q.scope.Digest[:8]), Settings: q.settings, Session: map[string]string{},
	}
	for _, p := range q.startup.Parameters {
		switch {
		case p.Name == "user", p.Name == "database", p.Name == "replication", p.Name == "application_name", strings.HasPrefix(p.Name, "_pq_."):
		default:
			hot.Session[p.Name] = p.Value
		}
	}
	if !q.extended {
		return hot, true
	}
	if len(q.types) > 0 {
		scan := wire.Scan(q.types)
		for range scan.Int16() {
			hot.Types = append(hot.Types, uint32(scan.Int32()))
		}
		if !scan.Ok() {
			return hot, false
		}
	}
	scan := wire.Scan(q.tail)
	for range scan.Int16() {
		hot.ParamFormats = append(hot.ParamFormats, int16(scan.Int16()))
	}
	for range scan.Int16() {
		var value []byte
		if size := scan.Int32(); size >= 0 {
			value = append([]byte{}, scan.Bytes(int(size))...)
		}
		hot.Params = append(hot.Params, value)
	}
	for range scan.Int16() {
		hot.ResultFormats = append(hot.ResultFormats, int16(scan.Int16()))
	}
	return hot, scan.Ok() && len(scan.Rest()) == 0
}
