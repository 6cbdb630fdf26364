package proxy

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// Fleet is how the Server shares its invalidations with other pgrecalls in front of the same upstream server.
type Fleet struct {
	// Bus are the options of the log; Slots, Applier, Census and Strict are the Server's to fill in.
	Bus bus.Options
	// Strict makes writes wait for the others, and hits for the certainty that they do.
	Strict bool
}

// joinFleet makes the Server a part of the fleet. It is called once, before the first session.
func (srv *Server) joinFleet(f *Fleet) error {
	o := f.Bus
	o.Slots, o.Applier, o.Strict = srv.slots, applier{srv}, f.Strict
	census := &census{named: make(chan struct{})}
	o.Census = census
	b, err := bus.Join(o)
	if err != nil {
		return fmt.Errorf("join the fleet: %w", err)
	}
	presence := catalog.NewPresence(srv.Upstream, uint32(b.Process()))
	census.presence.Store(presence)
	close(census.named)
	srv.fleet, srv.presence, srv.strict = b, presence, f.Strict
	return nil
}

// AwaitFleet waits until it is certain what the others do, or until the context ends; false then. Before, reads that have to be strict go
// to the server, and strict writes wait. It returns at once where there is no fleet.
func (srv *Server) AwaitFleet(ctx context.Context) bool {
	return srv.fleet == nil || srv.fleet.AwaitStart(ctx)
}

// leaveTimeout is the least time that there is to tell the others: sessions may have used all of Shutdown's.
const leaveTimeout = 500 * time.Millisecond

// leaveFleet ends the membership after the last session.
func (srv *Server) leaveFleet(ctx context.Context) {
	if srv.fleet == nil {
		return
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
	}
	if err := srv.fleet.Leave(ctx); err != nil {
		srv.Logger.Warn("the other pgrecalls were not told that this one leaves; they find out by themselves", "error", err)
	}
	srv.presence.Close()
}

// applier does what other proxies' events ask for and slots can't. The bus calls it with its lock held.
type applier struct{ srv *Server }

// Invalidated implements bus.Applier.
func (a applier) Invalidated(t bus.Tags) {
	a.srv.invalidated(traffic.Bus, t.Database, t.Whole || t.Definition, t.Cluster, t.Relations)
}

// Changed implements bus.Applier.
func (a applier) Changed(t bus.Tags) {
	a.srv.settingsEpoch.Add(1)
	if !t.Definition && !t.Cluster {
		return
	}
	for _, d := range a.srv.allDatabases() {
		if d.watcher != nil && (t.Cluster || d.name == t.Database) {
			d.watcher.Invalidate()
		}
	}
}

// Everything implements bus.Applier.
func (a applier) Everything() {
	a.srv.settingsEpoch.Add(1)
	a.srv.slots.WidenAll() // definitions may have changed
	for _, d := range a.srv.allDatabases() {
		a.srv.slots.Bump(d.slot)
		if d.watcher != nil {
			d.watcher.Invalidate()
		}
	}
}

// announced is a fence of this process in the fleet's log.
type announced struct {
	session *session
	token   *bus.Token
}

// Release implements invalidator.Announcement.
func (a announced) Release(changed bool) { a.session.srv.fleet.Release(a.token, changed) }

// Widen implements invalidator.Announcement. Where the session ends before the others know, its client is told nothing any more.
func (a announced) Widen() invalidator.Announcement {
	s := a.session
	ctx, _, end := s.beginWait()
	defer end()
	token, ok := s.srv.fleet.Fence(ctx, bus.Tags{Database: s.databaseName, Whole: true, Backend: s.backendPID}, s.srv.strict)
	if !ok {
		s.kill()
	}
	return announced{s, token}
}

// announce tells the fleet of a fence that is up here, and waits until the write can be sent. An error tells that it must not be: a cancel request came, or
// the session has ended, or is to end.
func (s *session) announce(fence *invalidator.Fence) error {
	if s.srv.fleet == nil {
		return nil
	}
	ctx, cancel, end := s.beginWait()
	defer end()
	s.wait.Store(&cancel)
	defer s.wait.Store(nil)
	s.announceUntil(ctx, fence)
	return context.Cause(ctx)
}

// announceUntil returns when the others know of a fence, false when the context has ended before.
func (s *session) announceUntil(ctx context.Context, fence *invalidator.Fence) bool {
	tags := bus.Tags{
		Database: s.databaseName, Relations: fence.Relations, Whole: fence.Whole,
		Definition: fence.Definition, Cluster: fence.Cluster, Settings: fence.Settings, Backend: s.backendPID,
	}
	token, ok := s.srv.fleet.Fence(ctx, tags, s.srv.strict)
	fence.Announced(announced{s, token})
	return ok
}

// tell invalidates, in the fleet as here, what is in a database: something changed that no fence was up for.
func (srv *Server) tell(database string) {
	if srv.fleet != nil {
		srv.fleet.Bump(bus.Tags{Database: database, Whole: true})
	}
}

// census is what PostgreSQL tells the bus of the fleet's processes.
type census struct {
	named    chan struct{}                    // closed when the process's number is known, and with it the presence
	presence atomic.Pointer[catalog.Presence] // nil before
}

// Connect implements bus.Census.
func (c *census) Connect(ctx context.Context) error {
	select {
	case <-c.named:
		return c.presence.Load().Connect(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Living implements bus.Census.
func (c *census) Living(ctx context.Context) ([]bus.Process, error) {
	keys, err := c.presence.Load().Present(ctx)
	if err != nil {
		return nil, err
	}
	living := make([]bus.Process, len(keys))
	for i, key := range keys {
		living[i] = bus.Process(key)
	}
	return living, nil
}

// Open implements bus.Census.
func (c *census) Open(ctx context.Context, within time.Duration) (func(context.Context) (bool, error), error) {
	open, err := c.presence.Load().Transactions(ctx, within)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, error) {
		for len(open) > 0 {
			gone, err := c.presence.Load().TransactionGone(ctx, open[0])
			if err != nil || !gone {
				return false, err
			}
			open = open[1:]
		}
		return true, nil
	}, nil
}

// BackendGone implements bus.Census.
func (c *census) BackendGone(ctx context.Context, _ string, backend uint32, announced time.Time) (bool, error) {
	return c.presence.Load().BackendGone(ctx, backend, announced)
}
