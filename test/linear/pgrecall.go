package linear

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// catalogInterval makes pgrecall look at the catalog more often than its default, so that a run sees many looks.
const catalogInterval = 10 * time.Second

// settings are what the pgrecalls of the tests differ in; the rest is the default configuration.
type settings struct {
	Listen   string // host:port
	Upstream string // DSN
	Redis    string // URL, "" for none: no other pgrecall is in front of the upstream then
	Session  bool   // consistency: session, else strict
}

// pgrecall is a proxy in this process.
type pgrecall struct {
	*proxy.Server
	l1       *memory.Cache
	shares   *shares // nil without Redis
	listener net.Listener
	served   chan error
}

// serve starts pgrecall.
func serve(s settings, log io.Writer) (*pgrecall, error) {
	defaults := config.Defaults()
	if s.Session {
		defaults.Policy.Consistency = cachepolicy.Session
	}
	if err := defaults.Policy.Compile(); err != nil {
		return nil, err
	}
	up, err := pgx.ParseConfig(s.Upstream)
	if err != nil {
		return nil, err
	}
	l1, err := memory.New(memory.Options{LimitBytes: 64 << 20})
	if err != nil {
		return nil, err
	}
	options := proxy.Options{
		Upstream: up, HasAccount: true, L1: l1, Statements: parser.NewCache(defaults.StatementCache), Policy: defaults.Policy,
		Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: prometheus.NewRegistry(), CacheMode: defaults.Cache, CatalogInterval: catalogInterval,
		Limits: proxy.Limits{HeldBytes: int(defaults.MaxHeldMessage), FlightWait: defaults.FlightWait},
	}
	p := &pgrecall{l1: l1, served: make(chan error, 1)}
	if s.Redis != "" {
		if p.shares, err = share(&options, s); err != nil {
			return nil, err
		}
	}
	if p.Server, err = proxy.NewServer(options); err != nil {
		return nil, err
	}
	if p.listener, err = net.Listen("tcp", s.Listen); err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	p.Watch(up.Database)
	go func() { p.served <- p.Serve(p.listener) }()
	return p, nil
}

func (p *pgrecall) address() string { return p.listener.Addr().String() }

// close cuts off the clients that are left when the grace is over.
func (p *pgrecall) close(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = p.Shutdown(ctx)
	if err := <-p.served; !errors.Is(err, net.ErrClosed) {
		p.Logger.Error("serve", "error", err)
	}
	p.l1.Close()
	p.shares.close()
}
