package proxy_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/proxy"
)

// startFleet starts n proxies in front of one database, with one Redis. The test runs beside others from here on: fleets mostly wait, for
// leases and for a first proof of life.
func startFleet(t *testing.T, n int, strict bool, schema ...string) ([]*running, *pgtest.Redis) {
	t.Helper()
	return startFleetWith(t, n, strict, unchanged, schema...)
}

// startFleetWith is startFleet with other options for each proxy.
func startFleetWith(t *testing.T, n int, strict bool, change func(*proxy.Options), schema ...string) ([]*running, *pgtest.Redis) {
	t.Helper()
	return startFleetOn(t, n, strict, func(admin *goredis.Client) *goredis.Client {
		return goredis.NewClient(&goredis.Options{Addr: admin.Options().Addr, ContextTimeoutEnabled: true})
	}, change, schema...)
}

// startFleetOn is startFleetWith with other clients of Redis for the log.
func startFleetOn(t *testing.T, n int, strict bool, connect func(admin *goredis.Client) *goredis.Client, change func(*proxy.Options), schema ...string) ([]*running, *pgtest.Redis) {
	t.Helper()
	t.Parallel()
	// Its own server: pgrecalls of other tests in front of the same one, which are no members of this fleet, would keep it from being certain.
	dsn := pgtest.Start(t).NewDatabase(t)
	server := pgtest.StartRedis(t)
	admin := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = admin.Close() }()
	fleet := make([]*running, n)
	for i := range fleet {
		if i > 0 {
			schema = nil
		}
		fleet[i] = startOn(t, dsn, memberOptions(t, server, connect(admin), strict, change), schema...)
	}
	for _, r := range fleet {
		eventually(t, "the fleet is certain of its members", func() bool { return !strict || r.Status().Fleet.Live })
	}
	return fleet, server
}

// memberOptions makes a proxy one of a fleet that speaks of itself through the client. The test owns the client from here on.
func memberOptions(t *testing.T, server *pgtest.Redis, log *goredis.Client, strict bool, change func(*proxy.Options)) func(*proxy.Options) {
	t.Helper()
	t.Cleanup(func() { _ = log.Close() })
	store, err := redis.New(redis.Options{Addresses: []string{server.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	entries, err := codec.New(codec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *proxy.Options) {
		o.Fleet = &proxy.Fleet{Strict: strict, Bus: bus.Options{Redis: log, Namespace: "test", Logger: o.Logger}}
		o.Shared = &proxy.Shared{Store: store, Codec: entries, Namespace: "test"}
		change(o)
	}
}

// unchanged leaves the options as they are.
func unchanged(*proxy.Options) {}

// joinFleet starts one more proxy of a fleet of startFleet and waits until it is certain of the others.
func joinFleet(t *testing.T, dsn string, server *pgtest.Redis, change func(*proxy.Options)) *running {
	t.Helper()
	log := goredis.NewClient(&goredis.Options{Addr: server.Address(), ContextTimeoutEnabled: true})
	r := startOn(t, dsn, memberOptions(t, server, log, true, change))
	eventually(t, "it is certain of the fleet", func() bool { return r.Status().Fleet.Live })
	return r
}

// stop ends a proxy while others of the fleet go on.
func (r *running) stop(wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_ = r.Shutdown(ctx)
}

// TestShutdownOutOfTimeIsTold: the others need not find out by themselves, although a session took all of the time that there was.
func TestShutdownOutOfTimeIsTold(t *testing.T) {
	fleet, _ := startFleet(t, 2, true)
	mustExec(t, fleet[1].connect(), "BEGIN")
	fleet[1].stop(0)
	eventually(t, "the other is alone", func() bool { return fleet[0].Status().Fleet.Members == 0 })
	if s := fleet[0].Status().Fleet; s.Missing != 0 || !s.Live {
		t.Errorf("%+v", s)
	}
}

func TestFleetSeesWrites(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			fleet, _ := startFleet(t, 3, strict, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
			const read = "SELECT n::text FROM t"
			writer := fleet[0].connect()
			var readers []*pgx.Conn
			for _, r := range fleet[1:] {
				readers = append(readers, r.connect())
			}
			for i := range 50 {
				for j, c := range readers {
					eventually(t, "a hit", func() bool { return fleet[j+1].counts(c, 2, read) > 0 })
				}
				mustExec(t, writer, "UPDATE t SET n = n + 1")
				for j, c := range readers {
					want := strconv.Itoa(i + 1)
					if strict {
						if got := value(t, c, read); got != want {
							t.Fatalf("proxy %d: %s after an acknowledged write of %s", j+1, got, want)
						}
						continue
					}
					eventually(t, "the other proxy's write is seen", func() bool { return value(t, c, read) == want })
				}
				if got := value(t, writer, read); got != strconv.Itoa(i+1) {
					t.Fatalf("own write: %s", got)
				}
			}
		})
	}
}

// results returns the values of all results in L2, by their names.
func results(t *testing.T, server *pgtest.Redis) map[string]string {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = client.Close() }()
	found := map[string]string{}
	names, err := client.Keys(t.Context(), "pgrecall:*:v1:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "~") { // a lease
			continue
		}
		if value, err := client.Get(t.Context(), name).Result(); err == nil {
			found[name] = value
		}
	}
	return found
}

// TestOwnWriteIsNotReadBackFromL2: what a proxy itself wrote makes results in L2 old at once.
func TestOwnWriteIsNotReadBackFromL2(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			fleet, server := startFleet(t, 1, strict, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
			c := fleet[0].connect()
			last := map[string]string{}
			for i := range 100 {
				if got := value(t, c, "SELECT n::text FROM t"); got != strconv.Itoa(i) {
					t.Fatalf("%s after an own write of %d", got, i)
				}
				eventually(t, "the result is in L2", func() bool {
					now := results(t, server)
					changed := len(now) > 0 && !maps.Equal(now, last)
					last = now
					return changed
				})
				mustExec(t, c, "UPDATE t SET n = n + 1")
			}
		})
	}
}

// TestNewProxyIsWarm: one that has just started answers out of L2.
func TestNewProxyIsWarm(t *testing.T) {
	fleet, server := startFleet(t, 2, true, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7)")
	one := fleet[0].connect()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		before := len(results(t, server))
		value(t, one, "SELECT n::text FROM t", mode)
		eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > before })
		hits := fleet[1].Status().L2.Hits
		other := fleet[1].connect()
		if got := value(t, other, "SELECT n::text FROM t", mode); got != "7" || fleet[1].Status().L2.Hits != hits+1 {
			t.Errorf("%v: %s, %d hits of L2", mode, got, fleet[1].Status().L2.Hits-hits)
		}
	}
}

// TestReadersNeverGoBack: whoever has seen a new value, no reader of any proxy sees the old one afterwards.
func TestReadersNeverGoBack(t *testing.T) {
	fleet, _ := startFleet(t, 3, true, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	var mu sync.Mutex
	newest := 0
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 6 {
		c := fleet[i%3].connect()
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				least := newest
				mu.Unlock()
				got, err := strconv.Atoi(value(t, c, "SELECT n::text FROM t"))
				if err != nil || got < least {
					t.Errorf("%d after %d (%v)", got, least, err)
					return
				}
				mu.Lock()
				newest = max(newest, got)
				mu.Unlock()
			}
		})
	}
	writers := sync.WaitGroup{}
	for i := range 3 {
		c := fleet[i].connect()
		writers.Go(func() {
			for began := time.Now(); time.Since(began) < 3*time.Second; {
				mustExec(t, c, "UPDATE t SET n = n + 1")
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	for i, r := range fleet {
		t.Logf("proxy %d: %v", i, r.Status().Outcomes)
	}
}
