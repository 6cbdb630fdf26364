package proxy

import (
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// A lease lets one of several processes that miss a key at once go upstream, as a flight does within one process. It is a name in L2 that
// ends by itself. Nothing right depends on it: at worst each process asks the server.

const (
	leaseSuffix = "~" // no entry's name ends with it

	// leaseFrom is from what cost on, in nanoseconds, a statement is worth the round trip that a lease takes.
	leaseFrom = int64(5 * time.Millisecond)

	// Pauses between two looks for the other process's result: Redis tells nobody that a value has come.
	leasePauseLeast = 2 * time.Millisecond
	leasePauseMost  = 50 * time.Millisecond
)

// lease makes the caller the one who goes upstream for a key, and then returns nil; or waits for another process's result. It waits as long
// as a flight's followers do, and not at all for what costs the server little or where there is no other process.
func (s *session) lease(p *plan, key cache.Key, name string, flight *cache.Flight) *cache.Entry {
	sh, bound := s.srv.shared, s.srv.Limits.FlightWait
	cost := p.source.Cost()
	if sh.private != nil || bound < leasePauseLeast || cost != 0 && cost < leaseFrom {
		return nil
	}
	pause := min(max(time.Duration(cost)/8, leasePauseLeast), leasePauseMost)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	waited := false
	for began := time.Now(); ; timer.Reset(pause) {
		claimed, err := sh.Store.Claim(s.srv.ctx, name+leaseSuffix, bound)
		if err != nil {
			return nil
		}
		if claimed {
			sh.leases.Add(1)
			flight.AtEnd(func() { sh.enqueue(&offer{lease: name + leaseSuffix}) })
			return nil
		}
		if !waited {
			waited = true
			sh.waits.Add(1)
		}
		select {
		case <-timer.C:
		case <-s.interrupt:
			return nil
		}
		entry, found := s.take(p, key, name, anyAge)
		if entry != nil {
			sh.count(taken)
			return entry
		}
		if found == notAsked || time.Since(began) > bound {
			return nil
		}
		pause = min(2*pause, leasePauseMost)
	}
}

// refreshedBy is by how much a result in L2 has to be newer than the one in L1 to be another: how old one is, is told by two processes that
// do not count from the same moment.
const refreshedBy = 100 * time.Millisecond

// refreshedElsewhere tells whether a refresh is another process's: it has been made already, and was taken over, or it is under way. If not, the
// caller, who leads the key's flight, has the lease where the statement is worth one.
func (s *session) refreshedElsewhere(p *plan, d *due, flight *cache.Flight) bool {
	sh := s.srv.shared
	if sh == nil || sh.private != nil || s.shadowed() {
		return false
	}
	tenant, known := s.tenant()
	if !known {
		return false
	}
	name := sh.name(p, tenant, d.key)
	entry, found := s.take(p, d.key, name, d.entry.Filled+int64(refreshedBy))
	if entry != nil {
		flight.Finish(entry)
		return true
	}
	if found == notAsked || p.source.Cost() < leaseFrom {
		return false
	}
	bound := max(s.srv.Limits.FlightWait, leasePauseLeast)
	claimed, err := sh.Store.Claim(s.srv.ctx, name+leaseSuffix, bound)
	switch {
	case err != nil:
		return false
	case !claimed:
		flight.Finish(nil)
		return true
	}
	sh.leases.Add(1)
	flight.AtEnd(func() { sh.enqueue(&offer{lease: name + leaseSuffix}) })
	return false
}
