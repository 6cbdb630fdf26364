package proxy

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// database is what the server knows of one database of the upstream.
type database struct {
	name     string
	slot     invalidator.Slot
	defining invalidator.Slot // fenced while definitions may change
	watcher  *catalog.Watcher // nil without an account
	watch    watchlist        // custom settings
	run      struct {         // of the server, as sessions see it
		sync.Mutex
		of string
	}
	suspicion suspicion
	settled   atomic.Bool // nothing of before the start is still running
	awaited   atomic.Bool // by Ready
}

// snapshot returns the catalog of the database, nil while none is valid.
func (d *database) snapshot() *catalog.Snapshot {
	if d == nil || d.watcher == nil {
		return nil
	}
	return d.watcher.Snapshot()
}

// database returns the state of a database; the first call starts its watcher.
func (srv *Server) database(name string) *database {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if d := srv.databases[name]; d != nil {
		return d
	}
	d := &database{name: name, slot: srv.slots.Database(name), defining: srv.slots.Definitions(name)}
	srv.databases[name] = d
	if srv.tenancy.setting != "" {
		d.watch.add([]string{srv.tenancy.setting})
	}
	if srv.closing || !srv.caching || !srv.HasAccount {
		return d
	}
	config := srv.Upstream.Copy()
	config.Database = name
	d.watcher = catalog.NewWatcher(catalog.Options{
		Config: config, Database: name, Interval: srv.CatalogInterval, Logger: srv.Logger.With("database", name),
		OnChange: func(last, now *catalog.Snapshot) {
			d.watch.add(now.CustomSettings)
			if last != nil {
				srv.tell(d.name)
			}
			srv.slots.Widen(d.slot) // writes that are under way may do what the last catalog did not tell
			srv.slots.Bump(d.slot)
			srv.invalidated(traffic.DDL, d.name, true, false, nil)
		},
		OnSettings: func() { srv.settingsChanged(d) },
	})
	srv.work.Go(func() { _ = d.watcher.Run(srv.ctx) }) // it ends with ctx alone
	fence := &invalidator.Fence{}
	fence.Add(srv.slots, d.slot, d.defining)
	fence.Raise(srv.slots, d.slot)
	srv.work.Go(func() { srv.awaitPredecessors(d, fence) })
	return d
}

// allDatabases returns the databases seen so far.
func (srv *Server) allDatabases() []*database {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	all := make([]*database, 0, len(srv.databases))
	for _, d := range srv.databases {
		all = append(all, d)
	}
	return all
}

// Snapshots returns the catalogs that are loaded, by the names of their databases.
func (srv *Server) Snapshots() []*catalog.Snapshot {
	var list []*catalog.Snapshot
	for _, d := range srv.allDatabases() {
		if snapshot := d.snapshot(); snapshot != nil {
			list = append(list, snapshot)
		}
	}
	slices.SortFunc(list, func(a, b *catalog.Snapshot) int { return strings.Compare(a.Database, b.Database) })
	return list
}
