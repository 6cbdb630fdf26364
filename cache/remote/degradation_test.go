package remote

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/memcached"
	"github.com/pgrecall/pgrecall/cache/remotetest"
	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// impatient makes failed stores come back soon.
func impatient() Options { return Options{MaxBackoff: 200 * time.Millisecond} }

// works waits until values can be written and read again.
func works(t *testing.T, g *Guard, name string) {
	t.Helper()
	until(t, "a value can be written and read", func() bool {
		if err := g.Put(t.Context(), name, []byte("x"), time.Minute); err != nil {
			return false
		}
		drain(t, g)
		values, err := g.Get(t.Context(), name)
		return err == nil && string(values[0].Bytes) == "x"
	})
}

// A full store serves what it has, and is not asked to write for a while.
func TestFullStore(t *testing.T) {
	server := pgtest.StartRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	options := impatient()
	options.RefusedPause = 200 * time.Millisecond
	g := start(t, server.URL(), options)
	put(t, g, "first", "value")
	for n := range uint64(100) {
		err := g.Put(t.Context(), cache.RemoteName("db", "t", n, cache.Key{}), make([]byte, 200_000), time.Minute)
		if err != nil && !errors.Is(err, cache.ErrWritesRefused) {
			t.Fatal(err)
		}
		drain(t, g)
	}
	s := g.Stats()
	if s.Dropped[cache.DroppedRefused] == 0 || s.Opened != 0 || !s.Up {
		t.Errorf("a full store: %+v", s)
	}
	finds(t, g, "first", "value")
	if n, err := g.Flush(t.Context(), cache.NamespacePrefix("db")); n == 0 || err != nil {
		t.Fatalf("flush: %d, %v", n, err)
	}
	works(t, g, "second")
}

// A master that becomes a replica serves what it has; when it is a master again, writes go on.
func TestReadOnlyReplica(t *testing.T) {
	master, server := pgtest.StartRedis(t, "--repl-diskless-sync-delay", "0"), pgtest.StartRedis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer client.Close()
	options := impatient()
	options.RefusedPause = 100 * time.Millisecond
	g := start(t, server.URL(), options)
	put(t, g, "name", "value")
	host, port, err := net.SplitHostPort(master.Address())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the server takes its master's data", func() bool {
		info, err := client.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	before := g.Stats().Written
	until(t, "writes are refused", func() bool {
		return errors.Is(g.Put(t.Context(), "name", []byte("lost"), time.Minute), cache.ErrWritesRefused)
	})
	drain(t, g)
	if s := g.Stats(); s.Written != before || !s.Up {
		t.Errorf("a replica: %+v", s)
	}
	finds(t, g, "name", "")
	if err := client.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	works(t, g, "name")
}

// FLUSHALL is a miss, no failure.
func TestFlushAll(t *testing.T) {
	server := pgtest.StartRedis(t)
	g := start(t, server.URL(), impatient())
	put(t, g, "name", "value")
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	finds(t, g, "name", "")
	put(t, g, "name", "again")
	finds(t, g, "name", "again")
	if s := g.Stats(); s.Opened != 0 || s.Errors != 0 {
		t.Errorf("%+v", s)
	}
}

// A password that is wrong, or changed, keeps the store down, says what to do, and nothing else.
func TestWrongPassword(t *testing.T) {
	server := pgtest.StartRedis(t, "--requirepass", "secret")
	g := guarded(t, "redis://:other@"+server.Address(), impatient())
	defer g.Close()
	until(t, "some probes", func() bool { return g.Stats().Probes >= 3 })
	s := g.Stats()
	if s.Up || !strings.Contains(s.LastError, "password is wrong") || strings.Contains(s.LastError, "other") {
		t.Errorf("%+v", s)
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Address(), Password: "secret"})
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "requirepass", "other").Err(); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	works(t, g, "name")
}

// After a failover the store works again by itself.
func TestSentinelFailover(t *testing.T) {
	sentinel := pgtest.StartRedisSentinel(t)
	g := start(t, sentinel.URL(), impatient())
	works(t, g, "before")
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	master, err := sentinel.Master(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, "the breaker opens", func() bool {
		before := time.Now()
		_, err := g.Get(t.Context(), "before")
		if took := time.Since(before); took > g.options.Hang+slack {
			t.Errorf("a caller was held for %v", took)
		}
		return err != nil
	})
	began := time.Now()
	waitUp(t, g)
	works(t, g, "after")
	t.Logf("back after %v", time.Since(began))
	promoted, err := sentinel.Master(ctx)
	if err != nil || promoted == master {
		t.Fatalf("no failover: %v", err)
	}
	if err := master.Start(ctx); err != nil { // and is made a replica
		t.Fatal(err)
	}
	works(t, g, "later")
	remotetest.Run(t, remotetest.Suite{New: func(t *testing.T) cache.Remote {
		g := guarded(t, sentinel.URL(), Options{Hang: time.Second})
		waitUp(t, g)
		return g
	}, Settle: settle})
}

func settle(t *testing.T, store cache.Remote) {
	if err := store.(*Guard).Drain(t.Context()); err != nil {
		t.Errorf("drain: %v", err)
	}
}

// A Cluster that lost a node is down as a whole until the node is back: no caller waits for it.
func TestClusterLosesANode(t *testing.T) {
	cluster := pgtest.StartRedisCluster(t)
	g := start(t, cluster.URL(), impatient())
	works(t, g, "name")
	if err := cluster.Nodes[2].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := func(n byte) string { return cache.RemoteName("db", "t", uint64(n), cache.Key{n}) }
	n := byte(0)
	until(t, "the breaker opens", func() bool {
		n++
		before := time.Now()
		_, err := g.Get(t.Context(), name(n))
		if took := time.Since(before); took > g.options.Hang+slack {
			t.Errorf("a caller was held for %v", took)
		}
		return err != nil
	})
	if err := cluster.Nodes[2].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	if err := cluster.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	for n := range byte(20) {
		works(t, g, name(n))
	}
}

// Memcached behind a Guard keeps the contract, and hangs nobody.
func TestGuardedMemcached(t *testing.T) {
	server := pgtest.StartMemcached(t)
	guarded := func(t *testing.T, address string, options Options) *Guard {
		store, err := memcached.New(memcached.Options{Addresses: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		g := New(store, options)
		waitUp(t, g)
		return g
	}
	remotetest.Run(t, remotetest.Suite{
		New:    func(t *testing.T) cache.Remote { return guarded(t, server.Address(), Options{Hang: time.Second}) },
		Settle: settle, Unit: time.Second, Coarse: true,
	})
	proxy := faultnet.Start(t, server.Address())
	g := guarded(t, proxy.Address(), impatient())
	defer g.Close()
	works(t, g, "name")
	proxy.Stall()
	before := time.Now()
	if _, err := g.Get(t.Context(), "name"); err == nil {
		t.Error("an answer")
	}
	if took := time.Since(before); took > g.options.Hang+slack || g.Up() {
		t.Errorf("held for %v, up: %v", took, g.Up())
	}
	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUp(t, g)
	works(t, g, "name")
}
