package proxy

import (
	"context"
	"crypto/sha256"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/invalidator"
)

// Shared is the second tier: results that this and other pgrecalls put where all of them find them.
type Shared struct {
	Store     cache.Remote // fit for the path of a statement (remote.Guard); the caller closes it after Shutdown
	Codec     *codec.Codec
	Namespace string // tells upstream servers apart; without a Fleet it must be this process's alone
}

// shared is the second tier at work. Its methods accept nil: there is none.
type shared struct {
	Shared
	srv     *Server
	private *private // nil in a fleet
	started time.Time
	queue   chan *offer

	hits, misses, stale, dropped atomic.Uint64
	leases, waits                atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64 // by codec.Reason
}

// offer is a result for the store.
type offer struct {
	key      cache.Key
	entry    *cache.Entry
	position invalidator.Position // when its query was sent upstream
	plan     *plan
	tenant   string
	lease    string // ends this lease, or removes this result; the other fields are not used then
}

// offers bounds how many results wait to be encoded; more are dropped, which costs hits.
const offers = 1024

// largestShared is the size in bytes of the largest value that goes to the store, encoded: fetching a larger one keeps the store busy for as long as
// many small ones, and looks like a store that hangs on a slow network (remote.Options.Hang). L1 keeps what the policy allows.
const largestShared = 1 << 20

func newShared(srv *Server, options *Shared) *shared {
	if options == nil {
		return nil
	}
	sh := &shared{Shared: *options, srv: srv, started: time.Now(), queue: make(chan *offer, offers), refused: make(map[string]uint64)}
	if srv.fleet == nil {
		sh.private = newPrivate()
	}
	srv.work.Go(sh.run)
	return sh
}

// position returns the place in the log that says how new the answer to a query is that is sent from now on.
func (sh *shared) position() (p invalidator.Position) {
	if sh != nil && sh.private == nil {
		p, _ = sh.srv.fleet.Position()
	}
	return p
}

// mark returns what says in an entry how new it is, given the place in the log and the stamp from before its query was sent.
func (sh *shared) mark(p invalidator.Position, stamp invalidator.Stamp) invalidator.Position {
	if sh.private != nil {
		return sh.private.position(stamp, sh.srv.flushes.epoch.Load()) // where a flush came since the query was sent, fill.store stops it
	}
	return p
}

// proved tells whether an entry with this mark is as new as one that is made now would be, given the stamp and the number of flushes of now.
func (s *session) proved(p *plan, mark invalidator.Position, stamp invalidator.Stamp, flushes uint64) bool {
	if private := s.srv.shared.private; private != nil {
		return mark == private.position(stamp, flushes)
	}
	return s.srv.fleet.Fresh(mark, s.provable(p))
}

// now is the wall clock. A process that shares with nobody has one that nobody sets: the clock's steps would change the age of its entries.
func (sh *shared) now() time.Time {
	if sh.private != nil {
		return sh.started.Add(time.Since(sh.started))
	}
	return time.Now()
}

// name returns a result's name in the store.
func (sh *shared) name(p *plan, tenant string, key cache.Key) string {
	return cache.RemoteName(sh.Namespace+"."+p.database.name, tenant, p.statement.Fingerprint(), p.sharedKey(key))
}

// sharedKey is what a result is bound to in the store: its key, and the definitions, the rights and the run of the server that it came under. Whoever
// knows others asks for another key, so that no plan judges what it does not know the meaning of.
func (p *plan) sharedKey(key cache.Key) cache.Key {
	var b [len(key) + len(p.snapshot.Under)]byte
	copy(b[:], key[:])
	copy(b[len(key):], p.snapshot.Under[:])
	return sha256.Sum256(b[:])
}

// fetch looks for a result that another process has filled, or is about to. The caller leads the key's flight and goes upstream when it
// gets nil.
func (s *session) fetch(p *plan, key cache.Key, flight *cache.Flight) *cache.Entry {
	sh := s.srv.shared
	if sh == nil || s.shadowed() || p.decision.Verdict != cachepolicy.Cache {
		return nil
	}
	tenant, known := s.tenant()
	if !known {
		return nil
	}
	name := sh.name(p, tenant, key)
	entry, found := s.take(p, key, name, anyAge)
	sh.count(found)
	if entry == nil && found != notAsked {
		entry = s.lease(p, key, name, flight)
	}
	if entry != nil {
		s.frontend.fetched = append(s.frontend.fetched, entry)
	}
	return entry
}

// finding is what came of a look into the store.
type finding byte

const (
	notAsked finding = iota // nothing from there could be served now, or it is down
	taken
	nothing
	refused // it was no entry; counted by its reason
	outdated
)

func (sh *shared) count(f finding) {
	switch f {
	case taken:
		sh.hits.Add(1)
	case outdated:
		sh.stale.Add(1)
	case notAsked, nothing:
		sh.misses.Add(1)
	}
}

// anyAge is before every entry was filled.
const anyAge = math.MinInt64

// take looks under a name, proves that what is there is as new as what the server would answer, and takes it over into L1. What was not
// filled after that time, by cache.Monotonic, is as good as nothing.
func (s *session) take(p *plan, key cache.Key, name string, after int64) (*cache.Entry, finding) {
	sh, flushes := s.srv.shared, s.srv.flushes.epoch.Load()
	stamp, free := s.srv.slots.Stamp(p.slots)
	if !free || p.snapshot != s.frontend.database.snapshot() || s.srv.fleet != nil && s.needsCertainty() && !s.srv.fleet.Live() {
		return nil, notAsked
	}
	value, err := s.readShared(name)
	switch {
	case err != nil:
		return nil, notAsked
	case value.Bytes == nil:
		return nil, nothing
	}
	item, err := sh.Codec.Decode(p.sharedKey(key), value.Bytes)
	if err != nil {
		sh.refuse(err)
		return nil, refused
	}
	if !s.proved(p, item.Position, stamp, flushes) {
		return nil, outdated
	}
	filled := value.at - int64(age(item, value.Remaining, sh.now()))
	if filled <= after {
		return nil, nothing
	}
	entry := cache.NewEntry(item.Parameters, item.Row, item.Data, stamp, p.source, filled, int64(item.Origin))
	if len(entry.Data) > 0 { // not a description
		p.source.SetCost(entry.Origin)
		entry.Tenant = s.tenantMark(p)
	}
	if s.srv.flushes.epoch.Load() != flushes {
		return nil, outdated
	}
	s.srv.L1.Put(key, entry)
	if entry.Expired(key, cache.Monotonic(), p.decision.TTL+p.decision.StaleWhileRevalidate) {
		return nil, outdated // it may stand in for an error yet
	}
	return entry, taken
}

// refuse counts a value that is not an entry.
func (sh *shared) refuse(err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.refused[codec.Reason(err)]++
}

// offer hands a result over to be stored. It never waits.
func (sh *shared) offer(o *offer, entry *cache.Entry) {
	if sh == nil || o == nil || o.position == (invalidator.Position{}) {
		return
	}
	o.entry = entry
	sh.enqueue(o)
}

// forget has a result removed from the store. It never waits, and may be lost.
func (sh *shared) forget(o *offer) {
	if sh != nil && o != nil {
		sh.enqueue(&offer{lease: sh.name(o.plan, o.tenant, o.key)})
	}
}

func (sh *shared) enqueue(o *offer) {
	select {
	case sh.queue <- o:
	default:
		sh.dropped.Add(1)
	}
}

// run encodes and stores what is offered, until the server stops.
func (sh *shared) run() {
	for {
		select {
		case o := <-sh.queue:
			sh.put(o)
		case <-sh.srv.ctx.Done():
			return
		}
	}
}

func (sh *shared) put(o *offer) {
	if o.lease != "" {
		ctx, cancel := context.WithTimeout(sh.srv.ctx, connectTimeout)
		defer cancel()
		_ = sh.Store.Delete(ctx, o.lease)
		return
	}
	ttl, age := o.plan.decision.Kept(), time.Duration(cache.Monotonic()-o.entry.Filled)
	if ttl-age < time.Millisecond {
		return
	}
	value, err := sh.Codec.Encode(nil, o.plan.sharedKey(o.key), &codec.Item{
		Position: o.position, TTL: ttl, Created: sh.now().Add(-age).UnixNano(), Origin: time.Duration(o.entry.Origin),
		Parameters: o.entry.Parameters, Row: o.entry.Row, Data: o.entry.Data,
	})
	if err == nil && len(value) > largestShared {
		err = codec.ErrTooLarge
	}
	if err != nil {
		sh.refuse(err)
		return
	}
	ctx, cancel := context.WithTimeout(sh.srv.ctx, connectTimeout)
	defer cancel()
	_ = sh.Store.Put(ctx, sh.name(o.plan, o.tenant, o.key), value, ttl-age) // a Guard only queues it, and counts what it drops
}

// SharedStatus are the figures of L2 since the start.
type SharedStatus struct {
	Hits    uint64            `json:"hits"`    // results that were taken over
	Misses  uint64            `json:"misses"`  // lookups that found nothing, or were not made because the store is down
	Stale   uint64            `json:"stale"`   // results that could not be proved to be new enough
	Dropped uint64            `json:"dropped"` // results that were not stored because too many waited
	Leases  uint64            `json:"leases"`  // misses that kept other processes from asking the same
	Waits   uint64            `json:"waits"`   // misses that waited for another process
	Refused map[string]uint64 `json:"refused"` // values that are no entries, by codec.Reason
	Store   cache.RemoteStats `json:"store"`
}

func (sh *shared) status() *SharedStatus {
	if sh == nil {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return &SharedStatus{
		Hits: sh.hits.Load(), Misses: sh.misses.Load(), Stale: sh.stale.Load(), Dropped: sh.dropped.Load(),
		Leases: sh.leases.Load(), Waits: sh.waits.Load(),
		Refused: maps.Clone(sh.refused), Store: sh.Store.Stats(),
	}
}
