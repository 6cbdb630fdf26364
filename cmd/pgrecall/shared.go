package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/memcached"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/cache/remote"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/proxy"
)

// fleet is L2, and what a process shares with others through it.
type fleet struct {
	log    goredis.UniversalClient // nil without Redis
	guard  *remote.Guard
	fleet  *proxy.Fleet // nil without Redis
	shared *proxy.Shared
}

// newFleet prepares what --redis and --memcached ask for, nil without both. The server's identity is in the names of what is shared, so that
// it waits until the upstream has told it.
func newFleet(ctx context.Context, c *config.Config, up upstream, logger *slog.Logger) (*fleet, error) {
	if c.Redis == "" && c.Memcached == "" {
		return nil, nil
	}
	entries, err := newCodec(c)
	if err != nil {
		return nil, err
	}
	if c.Redis == "" {
		return newPrivate(c, entries, logger)
	}
	if !up.hasAccount {
		return nil, &config.Error{Path: "cache.redis", What: "pgrecalls that share a cache need an account of their own: --upstream must name a user"}
	}
	options, err := redis.ParseURL(c.Redis)
	if err != nil {
		return nil, &config.Error{Path: "cache.redis", What: err.Error()}
	}
	universal, err := options.Universal()
	if err != nil {
		return nil, &config.Error{Path: "cache.redis", What: err.Error()}
	}
	identity, err := awaitIdentity(ctx, up.config, logger)
	if err != nil {
		return nil, err
	}
	store, err := newStore(c, options)
	if err != nil {
		return nil, err
	}
	namespace := namespaceOf(c, identity)
	universal.ContextTimeoutEnabled = true
	f := &fleet{log: goredis.NewUniversalClient(universal), guard: remote.New(store, remote.Options{})}
	f.fleet = &proxy.Fleet{
		Strict: strictAnywhere(c.Policy),
		Bus:    bus.Options{Redis: f.log, Namespace: namespace, Lease: c.L2Lease, Logger: logger},
	}
	f.shared = &proxy.Shared{Store: f.guard, Codec: entries, Namespace: namespace}
	return f, nil
}

// newPrivate prepares L2 for this process alone: memcached keeps no log that tells others of writes.
func newPrivate(c *config.Config, entries *codec.Codec, logger *slog.Logger) (*fleet, error) {
	store, err := newStore(c, redis.Options{})
	if err != nil {
		return nil, err
	}
	logger.Warn("cache.memcached without cache.redis: what this pgrecall keeps in memcached is its own until it ends, and other pgrecalls in front of the same server are not told of its writes")
	guard := remote.New(store, remote.Options{})
	return &fleet{guard: guard, shared: &proxy.Shared{Store: guard, Codec: entries, Namespace: namespaceOf(c, "alone-"+rand.Text())}}, nil
}

// newCodec returns what seals entries.
func newCodec(c *config.Config) (entries *codec.Codec, err error) {
	var keys []codec.Secret
	if c.L2KeyFile != "" {
		keys, err = codec.LoadSecrets(c.L2KeyFile)
	}
	if err == nil {
		entries, err = codec.New(codec.Options{Keys: keys, MaxEntry: int(c.L1Size / config.L1Share)})
	}
	if err != nil {
		return nil, &config.Error{Path: "cache.l2.key_file", What: err.Error()}
	}
	return entries, nil
}

// newStore returns where results go: memcached where there is one, else Redis.
func newStore(c *config.Config, options redis.Options) (cache.Backend, error) {
	if c.Memcached == "" {
		store, err := redis.New(options)
		if err != nil {
			return nil, &config.Error{Path: "cache.redis", What: err.Error()}
		}
		return store, nil
	}
	at, err := memcached.ParseURL(c.Memcached)
	if err != nil {
		return nil, &config.Error{Path: "cache.memcached", What: err.Error()}
	}
	store, err := memcached.New(at)
	if err != nil {
		return nil, &config.Error{Path: "cache.memcached", What: err.Error()}
	}
	return store, nil
}

// namespaceOf returns the first part of names in L2.
func namespaceOf(c *config.Config, identity string) string {
	if c.L2Namespace != "" {
		return c.L2Namespace + "." + identity
	}
	return identity
}

// close ends the connections, after the last session.
func (f *fleet) close() error {
	switch {
	case f == nil:
		return nil
	case f.log == nil:
		return f.guard.Close()
	}
	return errors.Join(f.guard.Close(), f.log.Close())
}

// strictAnywhere tells whether a rule, or the default, promises strict consistency.
func strictAnywhere(p *cachepolicy.Policy) bool {
	strict := p.Consistency == cachepolicy.Strict
	for i := range p.Rules {
		strict = strict || p.Rules[i].Consistency != nil && *p.Rules[i].Consistency == cachepolicy.Strict
	}
	return strict
}

// Pauses between attempts to ask the upstream for its identity.
const (
	identityFirst = 100 * time.Millisecond
	identityMost  = 5 * time.Second
)

// Upstreams that pgrecalls can't share a cache in front of.
var (
	errPooler = errors.New("the upstream is a pooler: pgrecalls that share a cache see by the processes of the server whose writes are over; " +
		"put the pooler in front of pgrecall, or name the server itself in --upstream")
	errStandby = errors.New("the upstream is a standby: writes show there later than they are told of; name the primary in --upstream")
)

// awaitIdentity returns the upstream's system identifier, which it keeps for life and no other server has but its standbys. The error is a *config.Error
// where the upstream is one that no cache can be shared in front of.
func awaitIdentity(ctx context.Context, c *pgx.ConnConfig, logger *slog.Logger) (string, error) {
	for pause := identityFirst; ; pause = min(2*pause, identityMost) {
		identifier, err := identity(ctx, c)
		if err == nil {
			return strconv.FormatInt(identifier, 16), nil
		}
		if errors.Is(err, errPooler) || errors.Is(err, errStandby) {
			return "", &config.Error{Path: "cache.redis", What: err.Error()}
		}
		logger.Warn("the upstream does not tell who it is; clients have to wait", "error", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return "", fmt.Errorf("ask the upstream who it is: %w", ctx.Err())
		}
	}
}

func identity(ctx context.Context, c *pgx.ConnConfig) (identifier int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, identityMost)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var pid uint32
	var standby bool
	err = conn.QueryRow(ctx, "SELECT system_identifier, pg_backend_pid(), pg_is_in_recovery() FROM pg_control_system()").Scan(&identifier, &pid, &standby)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the system identifier: %w", err)
	case pid != conn.PgConn().PID():
		return 0, errPooler
	case standby:
		return 0, errStandby
	}
	return identifier, nil
}
