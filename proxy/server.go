package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/observe"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// Limits bound what clients can make the server hold. Zero values mean the defaults of package config.
type Limits struct {
	MaxConnections int           // clients at once
	HeldBytes      int           // bytes of one client's messages that are held back or buffered
	MaxResult      int           // bytes of the largest result that is cached
	StartupTimeout time.Duration // from accept to the first ReadyForQuery
	FlightWait     time.Duration // how long a miss waits for another session that asks the same
}

// Options of a Server. All pointers are required unless told otherwise.
type Options struct {
	Upstream        *pgx.ConnConfig // address and TLS of the upstream; user and password are pgrecall's own
	HasAccount      bool            // Upstream.User was given by the operator
	TLS             *tls.Config     // for clients; nil declines SSLRequest
	L1              cache.Tier
	Statements      *parser.Cache
	Policy          *cachepolicy.Policy
	Logger          *slog.Logger
	Registerer      prometheus.Registerer
	Limits          Limits
	CacheMode       string        // "on", "off" or "shadow"
	Verify          float64       // share of hits that are checked in the background, 0 to 1; see SetVerify
	EarlyRefresh    float64       // how early hot entries are refreshed; see SetEarlyRefresh
	CatalogInterval time.Duration // between checks for definitions that changed elsewhere
	CatalogWait     time.Duration // how long a statement waits for the catalog after definitions changed; 0: it is forwarded
	Tenant          string        // whose results can be flushed alone: "none", "user" or "setting:NAME"; "" is none
	Fleet           *Fleet        // nil: this is the only pgrecall in front of the upstream
	HotKeys         int           // how many queries are remembered for Hot, 0 for none
	Log             LogOptions    // what is logged of sessions and statements; see SetLogOptions
	Auto            bool          // shapes that lose by being cached are not; see SetAuto
	Series          int           // how many tables, and shapes of statements, have time series of their own
	Shared          *Shared       // L2, nil for none; without a Fleet it is for this process's own results
	Console         *Console      // nil: no database is taken for it

	// Observer is told of each statement; nil: nobody is.
	Observer observe.Observer
}

// planLimit is the number of plans (decisions for one statement in one scope) that are remembered.
const planLimit = 1 << 14

// transitionLimit is the number of remembered effects of SET.
const transitionLimit = 1 << 12

// Server accepts clients and answers them from the cache or the upstream.
type Server struct {
	Options
	slots   *invalidator.Slots
	flights *cache.Flights
	plans   *otter.Cache[planKey, *plan]

	transitions *otter.Cache[transition, transitionTo]
	scopes      scopes
	metrics     *metrics
	orphans     orphans
	caching     bool
	shadow      bool // nothing is served
	paused      atomic.Bool
	blind       blinding // of hashes in logs
	verify      atomic.Uint64
	early       early
	doubts      doubts

	traffic  *traffic.Registry
	sweeping sync.Once // of traffic
	judge    *traffic.Judge
	logging  atomic.Pointer[LogOptions]
	auto     atomic.Bool // see SetAuto
	uncached uncached
	hot      *hotKeys // nil: none are remembered

	fleet    *bus.Bus // nil: there are no others
	presence *catalog.Presence
	strict   bool // hits need the certainty of the fleet's log
	shared   *shared
	tenancy  tenancy
	flushes  flushes

	policy        atomic.Pointer[policyEpoch]
	settingsEpoch atomic.Uint64 // grows when sessions have to read their settings again

	ctx  context.Context // ends with Shutdown's last phase
	stop context.CancelFunc
	work sync.WaitGroup // sessions, watchers, orphans

	mu         sync.Mutex
	closing    bool
	listeners  map[net.Listener]struct{}
	sessions   map[*session]struct{}
	databases  map[string]*database
	cancelKeys map[string]*session // by the body of BackendKeyData
}

// policyEpoch is a policy with the number of its installation.
type policyEpoch struct {
	*cachepolicy.Policy
	number uint64
}

// NewServer returns a server that is not listening yet.
func NewServer(o Options) (*Server, error) {
	if o.Upstream == nil || o.L1 == nil || o.Statements == nil || o.Policy == nil || o.Logger == nil || o.Registerer == nil {
		return nil, errors.New("proxy: incomplete options")
	}
	setDefault(&o.Limits.MaxConnections, 1000)
	setDefault(&o.Limits.HeldBytes, 256<<10)
	setDefault(&o.Limits.MaxResult, 1<<20)
	setDefault(&o.Limits.StartupTimeout, time.Minute)
	setDefault(&o.Limits.FlightWait, 2*time.Second)
	setDefault(&o.CatalogInterval, 30*time.Second)
	plans, err := otter.New(&otter.Options[planKey, *plan]{MaximumSize: planLimit})
	if err != nil {
		return nil, fmt.Errorf("proxy: plans: %w", err)
	}
	transitions, err := otter.New(&otter.Options[transition, transitionTo]{MaximumSize: transitionLimit})
	if err != nil {
		return nil, fmt.Errorf("proxy: transitions: %w", err)
	}
	s := &Server{
		transitions: transitions,
		Options:     o, slots: invalidator.NewSlots(), flights: cache.NewFlights(o.Limits.MaxConnections), plans: plans, caching: o.CacheMode != "off", shadow: o.CacheMode == modeShadow, blind: newBlinding(),
		listeners: map[net.Listener]struct{}{}, sessions: map[*session]struct{}{},
		databases: map[string]*database{}, cancelKeys: map[string]*session{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.orphans.server, s.tenancy = s, newTenancy(o.Tenant)
	s.policy.Store(&policyEpoch{o.Policy, 1})
	s.SetVerify(o.Verify)
	s.SetEarlyRefresh(o.EarlyRefresh)
	if s.hot, err = newHotKeys(o.HotKeys); err != nil {
		return nil, fmt.Errorf("proxy: hot keys: %w", err)
	}
	s.uncached, s.traffic = newUncached(), traffic.NewRegistry(o.Series)
	s.judge = traffic.NewJudge(s.traffic)
	s.SetAuto(o.Auto)
	s.SetLogOptions(o.Log)
	s.metrics = newMetrics(o.Registerer, s)
	if o.Fleet != nil && s.caching {
		if err := s.joinFleet(o.Fleet); err != nil {
			return nil, err
		}
	}
	if s.caching {
		s.shared = newShared(s, o.Shared)
	}
	return s, nil
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Serve accepts clients of the listener until Shutdown closes it. The error then wraps net.ErrClosed.
func (srv *Server) Serve(l net.Listener) error {
	srv.mu.Lock()
	if srv.closing {
		srv.mu.Unlock()
		_ = l.Close()
		return net.ErrClosed
	}
	srv.listeners[l] = struct{}{}
	srv.sweeping.Do(func() {
		srv.work.Go(func() { srv.traffic.Run(srv.ctx) })
		srv.work.Go(srv.runJudge)
	})
	srv.mu.Unlock()
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) {
				// Out of descriptors: those that are open go on, new ones wait in the backlog.
				srv.Logger.Warn("cannot accept a client", "error", err)
				select {
				case <-time.After(50 * time.Millisecond):
					continue
				case <-srv.ctx.Done():
					return net.ErrClosed
				}
			}
			return fmt.Errorf("proxy: accept: %w", err)
		}
		srv.work.Go(func() { srv.serve(conn) })
	}
}

// serve runs one client connection from its first byte to its last.
func (srv *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
		_ = tcp.SetKeepAlive(true)
	}
	s := &session{srv: srv, raw: conn, client: conn, connected: time.Now(), done: make(chan struct{})}
	s.life, s.die = context.WithCancel(srv.ctx)
	defer s.die()
	if !srv.enter(s) {
		return
	}
	defer srv.leave(s)
	s.run()
}

func (srv *Server) enter(s *session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing {
		return false
	}
	srv.sessions[s] = struct{}{}
	s.overLimit = len(srv.sessions) > srv.Limits.MaxConnections
	return true
}

func (srv *Server) leave(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
	if s.cancelKey != "" && srv.cancelKeys[s.cancelKey] == s {
		delete(srv.cancelKeys, s.cancelKey)
	}
}

// SetPolicy installs another policy. It holds for what is cached already, too.
func (srv *Server) SetPolicy(p *cachepolicy.Policy) { srv.renewPolicy(p) }

// renewPolicy makes all decisions be made anew, by another policy unless it is nil.
func (srv *Server) renewPolicy(p *cachepolicy.Policy) {
	for {
		old := srv.policy.Load()
		renewed := &policyEpoch{p, old.number + 1}
		if p == nil {
			renewed.Policy = old.Policy
		}
		if srv.policy.CompareAndSwap(old, renewed) {
			return
		}
	}
}

// Shutdown stops accepting clients, lets running statements and open transactions end until ctx does, closes all connections and waits
// for every goroutine.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	srv.closing = true
	for l := range srv.listeners {
		_ = l.Close()
	}
	open := make([]*session, 0, len(srv.sessions))
	for s := range srv.sessions {
		open = append(open, s)
	}
	srv.mu.Unlock()
	for _, s := range open {
		s.closeWhenIdle()
	}

	gone := make(chan struct{})
	go func() {
		srv.waitSessions(ctx)
		srv.leaveFleet(ctx)
		srv.stop()
		srv.work.Wait()
		close(gone)
	}()
	<-gone
	return ctx.Err()
}

// waitSessions returns when no session is left; when ctx ends it kills those that are.
func (srv *Server) waitSessions(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := ctx.Done()
	for {
		srv.mu.Lock()
		n := len(srv.sessions)
		if ctx.Err() != nil {
			for s := range srv.sessions {
				s.kill()
			}
		}
		srv.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			over = nil // the ticks go on
		}
	}
}
