package proxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/invalidator/bus"
)

// Status is a view of the server for people and dashboards.
type Status struct {
	Outcomes     map[string]int64 `json:"outcomes"`
	Bypasses     map[string]int64 `json:"bypasses"`
	HitRate      float64          `json:"hit_rate"` // hits among hits and misses and bypassed reads, 0 to 1
	SavedSeconds float64          `json:"saved_seconds"`
	// Verifications counts comparisons with the server by result: same, different, inconclusive.
	Verifications map[string]int64 `json:"verifications"`
	// Refreshes counts entries that were asked for anew in the background, by reason: early, stale.
	Refreshes map[string]int64 `json:"refreshes"`
	// StaleAnswers counts answers given past their lifetime, by reason: revalidate, error.
	StaleAnswers map[string]int64 `json:"stale_answers"`
	Doubts       []Doubt          `json:"doubts,omitempty"` // shapes that are not cached because they differed
	Clients      int64            `json:"clients"`
	Upstreams    int64            `json:"upstreams"`
	L1           cache.Stats      `json:"l1"`
	L2           *SharedStatus    `json:"l2,omitempty"`    // nil without L2
	Fleet        *bus.Stats       `json:"fleet,omitempty"` // nil where this is the only pgrecall
	Databases    []DatabaseStatus `json:"databases"`
}

// DatabaseStatus is the state of one database's catalog.
type DatabaseStatus struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// Status returns the figures of this moment.
func (srv *Server) Status() Status {
	m := srv.metrics
	st := Status{
		Outcomes: map[string]int64{}, Bypasses: map[string]int64{}, SavedSeconds: float64(m.saved.Load()) / 1e9,
		Verifications: map[string]int64{}, Refreshes: map[string]int64{}, StaleAnswers: map[string]int64{}, Doubts: srv.Doubts(),
		Clients: m.clients.Load(), Upstreams: m.upstreams.Load(), L1: srv.L1.Stats(),
	}
	if srv.fleet != nil {
		stats := srv.fleet.Stats()
		st.Fleet = &stats
	}
	st.L2 = srv.shared.status()
	for o, name := range outcomeNames {
		if name != "" {
			st.Outcomes[name] = m.counts[o].Load()
		}
	}
	for v, name := range verdictNames {
		st.Verifications[name] = m.verdictCounts[v].Load()
	}
	for reason, name := range refreshNames {
		st.Refreshes[name] = m.refreshes[reason].Load()
	}
	for reason, name := range staleNames {
		st.StaleAnswers[name] = m.stale[reason].Load()
	}
	for reason, n := range m.bypassCounts {
		if v := n.Load(); v > 0 {
			st.Bypasses[string(reason)] = v
		}
	}
	hits := st.Outcomes["hit_l1"] + st.Outcomes["hit_l2"]
	if reads := hits + st.Outcomes["miss"] + st.Outcomes["bypass"]; reads > 0 {
		st.HitRate = float64(hits) / float64(reads)
	}
	for _, d := range srv.allDatabases() {
		ds := DatabaseStatus{Name: d.name, Ready: d.snapshot() != nil && d.settled.Load()}
		if d.watcher != nil {
			if err := d.watcher.Err(); err != nil {
				ds.Error = err.Error()
			}
		}
		st.Databases = append(st.Databases, ds)
	}
	slices.SortFunc(st.Databases, func(a, b DatabaseStatus) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return st
}

// Errors of Ready.
var (
	errNoAccount = errors.New("no account of pgrecall's own in --upstream: everything is passed through and nothing is cached")
	errNoCatalog = errors.New("catalog is not loaded")
)

// Ready tells whether the upstream can be reached and the catalogs of the databases in use are loaded.
func (srv *Server) Ready() error {
	if !srv.caching {
		return nil
	}
	if !srv.HasAccount {
		return errNoAccount
	}
	for _, d := range srv.allDatabases() {
		if !d.awaited.Load() {
			continue // a client's mistake, or one without rights for pgrecall's account, must not keep all clients away
		}
		if d.watcher != nil && d.snapshot() == nil {
			if err := d.watcher.Err(); err != nil {
				return fmt.Errorf("database %q: %w", d.name, err)
			}
			return fmt.Errorf("database %q: %w", d.name, errNoCatalog)
		}
		if d.watcher != nil && !d.settled.Load() {
			return fmt.Errorf("database %q: %w", d.name, errPredecessors)
		}
	}
	return nil
}

// Watch starts to load the catalog of a database before its first client comes. Ready waits for those that were watched.
func (srv *Server) Watch(database string) { srv.database(database).awaited.Store(true) }
