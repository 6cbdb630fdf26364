package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/invalidator/bus"
)

// Selection says what is flushed: the results that all fields fit which are not empty; everything, where all are.
type Selection struct {
	Database    string
	Table       string // schema.name, or name in any schema
	Tenant      string // see Options.Tenant
	Fingerprint uint64
}

// Flushed is what came of a flush.
type Flushed struct {
	L1 int `json:"l1"` // entries removed here
	// L2 is how many results were removed there, negative where the store does not tell; nil without L2, or where it was not reached.
	L2      *int   `json:"l2,omitempty"`
	L2Error string `json:"l2_error,omitempty"` // what is left there is not served any more all the same, and expires
	// Others tells what the other pgrecalls know of it: "" where there are none, else one of the constants.
	Others string `json:"others,omitempty"`
}

// Values of Flushed.Others.
const (
	OthersApplied = "applied"     // nobody serves what was filled before
	OthersTold    = "told"        // it is in the log: each applies it when it reads it, in milliseconds
	OthersLater   = "unreachable" // Redis is: they invalidate everything when this process finds it again; under strict they serve nothing until then
	OthersUnknown = "unknown"     // the caller did not wait for it
)

// ErrNoTenants is the error of a flush by tenant where Options.Tenant names none.
var ErrNoTenants = errors.New("no tenants: cache.l2.tenant is none")

// Flush removes what was cached until now. When it returns nothing of it is served here, and, unless Flushed.Others says otherwise, by nobody
// else; what is asked for from then on is asked of the server. The context bounds how long others and L2 are waited for.
func (srv *Server) Flush(ctx context.Context, what Selection) (Flushed, error) {
	if what.Tenant != "" && srv.tenancy == (tenancy{}) {
		return Flushed{}, ErrNoTenants
	}
	srv.flushedBy(what)
	return srv.flush(ctx, what, true), nil
}

// flush is Flush. Where sweep is not set, what is in L2 already is served by nobody, as it is with it, but left there until it expires.
func (srv *Server) flush(ctx context.Context, what Selection, sweep bool) Flushed {
	var done Flushed
	if srv.fleet == nil {
		done.L1 = srv.flushes.begin(srv, what)
		if sweep && srv.shared != nil {
			srv.shared.flush(ctx, what, &done)
		}
		return done
	}
	tags := bus.Tags{Database: what.Database, Flush: &bus.Flush{Table: what.Table, Tenant: what.Tenant, Fingerprint: what.Fingerprint}}
	// From here on nothing older is taken over from L2.
	token, applied := srv.fleet.Fence(ctx, tags, srv.strict)
	done.L1 = srv.flushes.begin(srv, what)
	if sweep && srv.shared != nil {
		srv.shared.flush(ctx, what, &done)
	}
	srv.fleet.Release(token, true)
	switch logged := srv.fleet.Logged(token); {
	case !applied:
		done.Others = OthersUnknown
	case !logged:
		done.Others = OthersLater
	case srv.strict:
		done.Others = OthersApplied
	default:
		done.Others = OthersTold
	}
	return done
}

// flushTimeout bounds how long a flush that nobody waits for waits for others and for L2.
const flushTimeout = time.Minute

// flushAside flushes while the caller goes on. When it returns nothing of it is served out of L1 here; the rest follows.
func (srv *Server) flushAside(what Selection) {
	one := srv.flushes.note(what)
	srv.work.Go(func() { srv.flushes.end(srv, &one) })
	srv.work.Go(func() {
		ctx, cancel := context.WithTimeout(srv.ctx, flushTimeout)
		defer cancel()
		srv.flush(ctx, what, true) // begins anew behind the fence: until then something older may come from L2
	})
}

// flush removes from L2 what can be found by its name. That is for the memory's sake: what is left is not Fresh.
func (sh *shared) flush(ctx context.Context, what Selection, done *Flushed) {
	if what.Table != "" {
		done.L2Error = "results are not found by their tables there: they expire"
		return
	}
	n, err := sh.Store.Flush(ctx, cache.RemotePrefix(sh.Namespace, what.Database, what.Tenant, what.Fingerprint))
	if err != nil {
		done.L2Error = err.Error()
		return
	}
	done.L2 = &n
}

// flushTime is for how long a flush is remembered: longer than an entry that was made before is on its way from L2 or a flight to who asked for it.
const flushTime = time.Minute

// mostFlushes bounds how many flushes are remembered one by one; more at a time flush everything.
const mostFlushes = 64

// flushes are the last flushes of L1. An entry that one of them covers answers nobody, whether it has been removed already or not.
type flushes struct {
	epoch atomic.Uint64
	last  atomic.Pointer[[]flushed]

	mu    sync.Mutex // of those who change last
	sweep sync.Mutex // one search of L1 at a time
}

type flushed struct {
	Selection
	mark   uint32 // of the tenant
	before int64  // what was filled until then, by cache.Monotonic
}

// covers tells whether an entry must not answer any more.
func (f *flushes) covers(entry *cache.Entry) bool {
	last := f.last.Load()
	return last != nil && slices.ContainsFunc(*last, func(one flushed) bool { return one.covers(entry) })
}

func (f *flushed) covers(entry *cache.Entry) bool {
	return entry.Filled <= f.before && (f.Database == "" || entry.Source.Database == f.Database) &&
		(f.Fingerprint == 0 || entry.Source.Statement.Fingerprint() == f.Fingerprint) &&
		(f.Tenant == "" || entry.Tenant == anyTenant || entry.Tenant == f.mark) &&
		(f.Table == "" || entry.Source.Names(f.Table))
}

// note makes a flush hold at once. Fills that began before don't enter the cache any more.
func (f *flushes) note(what Selection) flushed {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch.Add(1)
	one := flushed{Selection: what, mark: markOf(what.Tenant), before: cache.Monotonic()}
	var list []flushed
	if last := f.last.Load(); last != nil {
		for _, old := range *last {
			if one.before-old.before < int64(flushTime) {
				list = append(list, old)
			}
		}
	}
	if len(list) >= mostFlushes {
		one.Selection, list = Selection{}, nil
	}
	list = append(list, one)
	f.last.Store(&list)
	return one
}

// begin notes a flush and removes what it covers, now and once more when entries that were on their way have come; then it is forgotten. It
// returns how many entries were removed now.
func (f *flushes) begin(srv *Server, what Selection) int {
	one := f.note(what)
	n := f.remove(srv, &one)
	srv.work.Go(func() { f.end(srv, &one) })
	return n
}

func (f *flushes) remove(srv *Server, one *flushed) int {
	f.sweep.Lock()
	defer f.sweep.Unlock()
	return srv.L1.DeleteFunc(one.covers)
}

func (f *flushes) end(srv *Server, one *flushed) {
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-srv.ctx.Done():
		return
	}
	f.remove(srv, one)
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := f.last.Load(); last != nil {
		list := slices.DeleteFunc(slices.Clone(*last), func(other flushed) bool { return other == *one })
		if f.last.Store(&list); len(list) == 0 {
			f.last.Store(nil)
		}
	}
}

// Flushed implements bus.Applier.
func (a applier) Flushed(t bus.Tags) {
	what := Selection{Database: t.Database, Table: t.Flush.Table, Tenant: t.Flush.Tenant, Fingerprint: t.Flush.Fingerprint}
	one := a.srv.flushes.note(what)
	a.srv.work.Go(func() {
		a.srv.flushes.remove(a.srv, &one)
		a.srv.flushes.end(a.srv, &one)
	})
}

// provable returns the slots that have to be Fresh for a result in L2 to be as new as what the server would answer, and newer than all flushes.
func (s *session) provable(p *plan) []invalidator.Slot {
	tenant, _ := s.tenant()
	return append(bus.FlushSlots(s.srv.slots, p.source.Tables, tenant, p.statement.Fingerprint()), p.slots...)
}
