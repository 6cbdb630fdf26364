package test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// readyTimeout bounds the wait for a database's catalog, on a busy machine.
const readyTimeout = 30 * time.Second

// Proxy is pgrecall in this process with its own default configuration.
type Proxy struct {
	tb      testing.TB
	server  *proxy.Server
	address string

	mu      sync.Mutex
	watched map[string]bool
}

// Proxied starts pgrecall in front of the server, with an empty cache, for the time of the test.
func Proxied(tb testing.TB, server *pgtest.Server) *Proxy {
	tb.Helper()
	defaults := config.Defaults()
	if err := defaults.Policy.Compile(); err != nil {
		tb.Fatal(err)
	}
	upstream, err := pgx.ParseConfig(server.DSN("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	upstream.DefaultQueryExecMode = pgx.QueryExecModeExec
	l1, err := memory.New(memory.Options{LimitBytes: defaults.L1Size})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l1.Close)
	p := &Proxy{tb: tb, watched: map[string]bool{}}
	p.server, err = proxy.NewServer(proxy.Options{
		Upstream: upstream, HasAccount: true, L1: l1, Statements: parser.NewCache(defaults.StatementCache),
		Policy: defaults.Policy, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		CacheMode: defaults.Cache, CatalogInterval: defaults.CatalogInterval,
		Limits: proxy.Limits{HeldBytes: int(defaults.MaxHeldMessage), FlightWait: defaults.FlightWait},
	})
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(listener) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // sessions that are still open are cut off
		_ = p.server.Shutdown(ctx)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			tb.Errorf("pgrecall: %v", err)
		}
	})
	return p
}

// Address implements Target. The first call for a database waits until its catalog is known,
// so that a test's hits do not depend on that.
func (p *Proxy) Address(database string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watched[database] {
		return p.address
	}
	p.watched[database] = true
	p.server.Watch(database)
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(time.Millisecond) {
		err := p.server.Ready()
		if err == nil {
			return p.address
		}
		if time.Now().After(deadline) {
			p.tb.Errorf("pgrecall is not ready: %v", err)
			return p.address
		}
	}
}

// Hits implements HitCounter.
func (p *Proxy) Hits() uint64 {
	return uint64(p.server.Status().Outcomes["hit_l1"])
}
