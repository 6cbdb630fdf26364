package proxy

import (
	"context"
	"errors"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// A backend reads the configuration files again before a command, and tells nobody of most settings. Until pgrecall notices, what its session
// reads is kept under the settings of before, where sessions that do have these settings find it. So whoever notices a reload has sessions read
// their settings again, first, and then invalidates everything, here and in the fleet: what is kept after that was asked for by sessions that
// have read their settings after it, see session.outdated.

// settingsChanged notes that settings of sessions of a database may have changed without their doing.
func (srv *Server) settingsChanged(d *database) {
	srv.settingsEpoch.Add(1)
	if srv.fleet != nil {
		srv.fleet.Bump(bus.Tags{Database: d.name, Whole: true, Settings: true})
	}
	srv.slots.Bump(d.slot)
	srv.invalidated(traffic.DDL, d.name, true, false, nil)
}

// outdated tells whether settings may have changed since those in the session's scope were read. Asked after a stamp was taken, or found to hold, it
// tells that the stamp may be of other settings.
func (s *session) outdated() bool { return s.frontend.epoch != s.srv.settingsEpoch.Load() }

// awaitReload keeps a fence up until all backends know of the reload that a statement of this database asked for: pg_reload_conf() signals the
// postmaster and returns.
func (srv *Server) awaitReload(d *database, fence *invalidator.Fence) {
	for wait := orphanFirst; d.watcher != nil; wait = min(2*wait, orphanMost) {
		err := srv.bounded(func(ctx context.Context) error { return d.watcher.AwaitReload(ctx) })
		if err == nil || errors.Is(err, catalog.ErrPooler) { // that of a pooler is as one that comes past pgrecall
			break
		}
		if !srv.rest(wait) {
			return
		}
	}
	srv.settingsEpoch.Add(1) // before those are counted that have come since the fence went up
	for _, of := range srv.allDatabases() {
		fence.Add(srv.slots, of.slot, of.defining)
	}
	srv.releaseFence(d, fence)
}
