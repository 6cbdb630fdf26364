package proxy

import (
	"context"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// orphans are fences of sessions that ended before the outcome of their writes was known. Their backend may still be
// committing: the fences stay up until pg_stat_activity does not show it any more.
type orphans struct{ server *Server }

// Times between looks at pg_stat_activity.
const (
	orphanFirst = 20 * time.Millisecond
	orphanMost  = time.Second
)

// adopt takes the fence over. Session has ended.
func (o *orphans) adopt(s *session, fence *invalidator.Fence) {
	srv, d, pid, diedAt := o.server, s.frontend.database, s.backendPID, time.Now()
	if d == nil || d.watcher == nil { // nothing of this database is cached
		fence.Release(srv.slots, true)
		return
	}
	srv.metrics.orphans.Add(1)
	srv.Logger.Warn("a session ended while the outcome of its writes was unknown; what they touch is not cached until its backend is gone",
		"pid", pid, "database", s.databaseName)
	srv.work.Go(func() {
		defer srv.metrics.orphans.Add(-1)
		wait := orphanFirst
		for {
			ctx, cancel := context.WithTimeout(srv.ctx, connectTimeout)
			gone, err := d.watcher.BackendGone(ctx, pid, diedAt)
			cancel()
			if err == nil && gone {
				srv.releaseFence(d, fence)
				return
			}
			select {
			case <-time.After(wait):
			case <-srv.ctx.Done(): // the process ends, and its cache with it
				return
			}
			wait = min(2*wait, orphanMost)
		}
	})
}
