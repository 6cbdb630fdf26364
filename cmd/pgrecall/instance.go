package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
)

// adminGrace is how long requests to the admin server may take at the end, such as a last scrape.
const adminGrace = 2 * time.Second

// fleetWait bounds how long clients wait at the start for certainty about other pgrecalls.
const fleetWait = 5 * time.Second

// instance is a running proxy with its admin server. serve has one, the demo has one.
type instance struct {
	config    *config.Config
	upstream  upstream
	logger    *slog.Logger
	registry  *prometheus.Registry
	l1        *memory.Cache
	fleet     *fleet // nil without L2
	observers *observers
	engine    engine
	cert      certificate
	listeners []net.Listener
	policy    atomic.Pointer[cachepolicy.Policy]
	current   atomic.Pointer[config.Config] // what the last reload brought, which holds for what can be reloaded
	reloader  atomic.Pointer[reloader]      // nil while nothing can be reloaded
	warmer    *warmer
	admin     *admin.Server // nil without
	adminAddr net.Addr
	started   time.Time

	work   sync.WaitGroup
	failed chan error // the first listener that broke
}

// start opens the addresses and serves them. When it returns without an error clients are accepted.
// The caller owns the instance and calls close. The context ends the wait for an upstream that has to be known first.
func start(ctx context.Context, c *config.Config, up upstream, logger *slog.Logger) (_ *instance, err error) {
	i := &instance{config: c, upstream: up, logger: logger, registry: prometheus.NewRegistry(),
		started: time.Now(), failed: make(chan error, len(c.Listen)+1)}
	clients, err := i.cert.load(c)
	if err != nil {
		return nil, err
	}
	i.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	if i.l1, err = newTier(c); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.l1.Close()
		}
	}()
	if i.observers, err = newObservers(c, up, i.registry, logger); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.observers.close()
		}
	}()
	if i.fleet, err = newFleet(ctx, c, up, logger); err != nil {
		return nil, err
	}
	i.policy.Store(c.Policy)
	i.current.Store(c)
	inSQL, err := newConsole(i)
	if err != nil {
		return nil, err
	}
	if i.engine, err = newEngine(c, up, i.l1, i.fleet, inSQL, i.observers.observer(), clients, i.registry, logger); err != nil {
		return nil, err
	}
	if i.fleet != nil {
		certain, cancel := context.WithTimeout(ctx, fleetWait)
		if !i.engine.AwaitFleet(certain) {
			logger.Warn("it is not certain yet what other pgrecalls do: strict reads go to the upstream until it is")
		}
		cancel()
	}
	if i.warmer, err = newWarmer(i); err != nil {
		return nil, err
	}
	if i.listeners, err = listen(c.Listen); err != nil {
		return nil, err
	}
	if err = i.startAdmin(); err != nil {
		for _, l := range i.listeners {
			_ = l.Close()
		}
		return nil, err
	}
	// So that readiness means something from the start.
	i.engine.Watch(up.config.Database)
	for _, l := range i.listeners {
		i.work.Go(func() {
			if err := i.engine.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
				i.failed <- fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
		})
	}
	i.warmer.start()
	return i, nil
}

func (i *instance) startAdmin() error {
	if i.config.Admin == "" {
		return nil
	}
	l, err := net.Listen("tcp", i.config.Admin)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (admin): %w", i.config.Admin, cause(err))
	}
	i.admin, err = admin.NewServer(admin.Options{Proxy: i, Gatherer: i.registry, Logger: i.logger,
		Address: i.config.Admin, Hosts: i.config.AdminHosts, Token: i.config.AdminToken})
	if err != nil {
		_ = l.Close()
		return err
	}
	i.adminAddr = l.Addr()
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && i.config.AdminToken == "" {
		i.logger.Warn("the admin address is not loopback and has no token: anybody who reaches it can flush the cache and allow what was stopped", "address", l.Addr().String())
	}
	i.work.Go(func() {
		if err := i.admin.Serve(l); err != nil {
			i.failed <- fmt.Errorf("admin: %w", err)
		}
	})
	return nil
}

// setPolicy makes the rules of another configuration hold.
func (i *instance) setPolicy(p *cachepolicy.Policy, epoch uint64, longest time.Duration) {
	p.Epoch = epoch
	i.l1.SetMaxAge(longest)
	i.engine.SetPolicy(p)
	i.policy.Store(p)
}

// close ends in order: no new clients, running statements finish while ctx lasts. The admin server
// goes last, so that the end can be watched.
func (i *instance) close(ctx context.Context) error {
	i.warmer.stop()
	err := i.engine.Shutdown(ctx)
	i.observers.close()
	if i.admin != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminGrace)
		defer cancel()
		err = errors.Join(err, i.admin.Shutdown(ctx))
	}
	i.work.Wait()
	i.l1.Close()
	return errors.Join(err, i.fleet.close())
}

// hostPort is where a client on this machine connects: a host and port, or the directory of a Unix
// socket and the port in its name.
func (i *instance) hostPort() (string, uint16) {
	switch a := i.listeners[0].Addr().(type) {
	case *net.TCPAddr:
		if a.IP.IsUnspecified() {
			return "127.0.0.1", uint16(a.Port)
		}
		return a.IP.String(), uint16(a.Port)
	case *net.UnixAddr:
		dir, name := filepath.Split(a.Name)
		port, _ := strconv.ParseUint(strings.TrimPrefix(name, ".s.PGSQL."), 10, 16)
		return dir, uint16(port)
	}
	return "", 0
}

func buildInfo() prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgrecall_build_info",
		Help: "1, with the version of pgrecall and of Go as labels.",
	}, []string{"version", "go_version"})
	g.WithLabelValues(buildVersion(), runtime.Version()).Set(1)
	return g
}
