package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/observe"
)

// sweepInterval is the pause between searches for entries that are too old to answer anybody.
const sweepInterval = 30 * time.Second

// newTier returns L1.
func newTier(c *config.Config) (*memory.Cache, error) {
	l1, err := memory.New(memory.Options{
		LimitBytes:    c.L1Size,
		MaxAge:        longestTTL(c),
		SweepInterval: sweepInterval,
	})
	if err != nil {
		return nil, fmt.Errorf("cache.l1_size: %w", err)
	}
	return l1, nil
}

// newEngine puts the proxy together.
func newEngine(c *config.Config, up upstream, l1 *memory.Cache, f *fleet, inSQL *proxy.Console, observer observe.Observer, clients *tls.Config, r prometheus.Registerer, l *slog.Logger) (engine, error) {
	o := proxy.Options{
		Upstream:   up.config,
		HasAccount: up.hasAccount,
		TLS:        clients,
		Console:    inSQL,
		L1:         l1,
		Statements: parser.NewCache(c.StatementCache),
		Policy:     c.Policy,
		Logger:     l,
		Registerer: r,
		Limits: proxy.Limits{
			MaxConnections: c.MaxConnections,
			HeldBytes:      int(c.MaxHeldMessage),
			// The policy bounds results; this is the most that any policy may allow, so that a reload can.
			MaxResult:      int(c.L1Size / config.L1Share),
			StartupTimeout: c.StartupTimeout,
			FlightWait:     c.FlightWait,
		},
		CacheMode:       c.Cache,
		Tenant:          c.L2Tenant,
		Verify:          c.Verify,
		EarlyRefresh:    c.EarlyRefresh,
		Log:             logOptions(c),
		Auto:            c.Auto,
		HotKeys:         hotKeys(c),
		Series:          c.Series,
		Observer:        observer,
		CatalogInterval: c.CatalogInterval, CatalogWait: c.CatalogWait,
	}
	if f != nil {
		o.Fleet, o.Shared = f.fleet, f.shared
	}
	return proxy.NewServer(o)
}

// longestTTL is the age above which no rule lets an entry answer.
func longestTTL(c *config.Config) time.Duration {
	longest := c.Policy.DefaultTTL
	for i := range c.Policy.Rules {
		r := &c.Policy.Rules[i]
		longest = max(longest, cmp.Or(r.TTL, c.Policy.DefaultTTL)+max(r.StaleWhileRevalidate, r.StaleIfError))
	}
	return longest
}

func logOptions(c *config.Config) proxy.LogOptions {
	return proxy.LogOptions{Sessions: c.LogSessions, Slow: c.LogSlow}
}
