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
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// catalogInterval makes pgrecall look at the catalog more often than its default, so that a run sees many looks.
const catalogInterval = 10 * time.Second

// pgrecall is a proxy with its own default configuration.
type pgrecall struct {
	*proxy.Server
	l1       *memory.Cache
	listener net.Listener
	served   chan error
}

// serve starts pgrecall on an address in front of an upstream.
func serve(address, upstream string, log io.Writer) (*pgrecall, error) {
	defaults := config.Defaults()
	if err := defaults.Policy.Compile(); err != nil {
		return nil, err
	}
	up, err := pgx.ParseConfig(upstream)
	if err != nil {
		return nil, err
	}
	l1, err := memory.New(memory.Options{LimitBytes: 64 << 20})
	if err != nil {
		return nil, err
	}
	server, err := proxy.NewServer(proxy.Options{
		Upstream: up, HasAccount: true, L1: l1, Statements: parser.NewCache(defaults.StatementCache), Policy: defaults.Policy,
		Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: prometheus.NewRegistry(), CacheMode: defaults.Cache, CatalogInterval: catalogInterval,
		Limits: proxy.Limits{HeldBytes: int(defaults.MaxHeldMessage), FlightWait: defaults.FlightWait},
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	p := &pgrecall{Server: server, l1: l1, listener: listener, served: make(chan error, 1)}
	server.Watch(up.Database)
	go func() { p.served <- server.Serve(listener) }()
	return p, nil
}

func (p *pgrecall) address() string { return p.listener.Addr().String() }

// close cuts off the clients that are left.
func (p *pgrecall) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.Shutdown(ctx)
	if err := <-p.served; !errors.Is(err, net.ErrClosed) {
		p.Logger.Error("serve", "error", err)
	}
	p.l1.Close()
}
