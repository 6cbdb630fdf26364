package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// flush flushes and returns what came of it.
func flush(t *testing.T, r *running, what proxy.Selection) proxy.Flushed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done, err := r.Flush(ctx, what)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// put stores values in Redis under their names, as one does who was late.
func put(t *testing.T, server *pgtest.Redis, values map[string]string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer client.Close()
	for name, value := range values {
		if err := client.Set(t.Context(), name, value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func fingerprintOf(t *testing.T, text string) uint64 {
	t.Helper()
	canonical, _, ok := parser.Canonicalize(nil, text)
	if !ok {
		t.Fatal(text)
	}
	return parser.NewCache(1 << 20).Analyze(canonical).Fingerprint()
}

const (
	flushedRead = "SELECT 'a' || n FROM flushed"
	otherRead   = "SELECT max('b' || n) FROM kept"
)

// TestFlush: what was filled before is served by nobody, in no tier, even where it comes back to Redis later; what is beside it is kept.
func TestFlush(t *testing.T) {
	for name, test := range map[string]struct {
		what proxy.Selection
		all  bool // the other statement, too
		l2   bool // names tell what it is of
	}{
		"everything":  {proxy.Selection{}, true, true},
		"database":    {proxy.Selection{Database: "this"}, true, true},
		"table":       {proxy.Selection{Table: "flushed"}, false, false},
		"schema":      {proxy.Selection{Table: "public.flushed"}, false, false},
		"fingerprint": {proxy.Selection{Fingerprint: 1}, false, true},
		"both":        {proxy.Selection{Fingerprint: 1, Database: "this", Tenant: "-"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			fleet, server := startFleetWith(t, 2, true, withTenant("setting:app.tenant"), "CREATE TABLE flushed (n text)", "INSERT INTO flushed VALUES ('1')", "CREATE TABLE kept AS SELECT * FROM flushed")
			if test.what.Database != "" {
				test.what.Database = fleet[0].Database
			}
			if test.what.Fingerprint != 0 {
				test.what.Fingerprint = fingerprintOf(t, flushedRead)
			}
			for _, r := range fleet {
				c := r.connect()
				for _, query := range []string{flushedRead, otherRead} {
					eventually(t, "a hit", func() bool { return r.counts(c, 2, query) > 0 })
				}
			}
			eventually(t, "both results are in L2", func() bool { return len(results(t, server)) >= 2 })
			before := results(t, server)
			direct := fleet[0].direct()
			mustExec(t, direct, "UPDATE flushed SET n = '2'") // nobody is told
			mustExec(t, direct, "UPDATE kept SET n = '2'")

			done := flush(t, fleet[0], test.what)
			if done.L1 == 0 || done.Others != proxy.OthersApplied || (done.L2 != nil && *done.L2 > 0) != test.l2 {
				t.Errorf("%+v", done)
			}
			put(t, server, before)
			for i, r := range fleet {
				c := r.connect()
				if got := value(t, c, flushedRead); got != "a2" {
					t.Errorf("proxy %d serves what was flushed: %s", i, got)
				}
				want := "b1"
				if test.all {
					want = "b2"
				}
				if got := value(t, c, otherRead); got != want {
					t.Errorf("proxy %d: the other statement: %s, want %s", i, got, want)
				}
			}
		})
	}
}

// TestFlushOfATenant: the others' results stay, in both tiers.
func TestFlushOfATenant(t *testing.T) {
	fleet, server := startFleetWith(t, 2, true, withTenant("setting:app.tenant"), tenants...)
	const query = "SELECT count(*)::text || max(name) FROM items"
	c, _ := asReader(t, fleet[0])
	other, _ := asReader(t, fleet[1])
	for _, tenant := range []string{"t1", "t2"} {
		mustExec(t, c, "SET app.tenant = '"+tenant+"'")
		mustExec(t, other, "SET app.tenant = '"+tenant+"'")
		eventually(t, "a hit in both", func() bool { return fleet[0].counts(c, 2, query) > 0 && fleet[1].counts(other, 2, query) > 0 })
	}
	eventually(t, "both are in L2", func() bool { return len(tenantsInL2(t, server)) >= 2 })
	before := results(t, server)
	mustExec(t, fleet[0].direct(), "DELETE FROM items WHERE id > 6") // nobody is told
	done := flush(t, fleet[0], proxy.Selection{Tenant: "t1"})
	if done.L1 == 0 || done.L2 == nil || *done.L2 == 0 || done.Others != proxy.OthersApplied {
		t.Errorf("%+v", done)
	}
	put(t, server, before)
	for i, r := range fleet {
		c := c
		if i == 1 {
			c = other
		}
		for tenant, want := range map[string]string{"t1": "2n4", "t2": "10n8"} {
			mustExec(t, c, "SET app.tenant = '"+tenant+"'")
			hits := r.hits()
			if got := value(t, c, query); got != want || tenant == "t2" && r.hits() == hits {
				t.Errorf("proxy %d, tenant %s: %s, want %s", i, tenant, got, want)
			}
		}
	}
	if _, err := start(t, "SELECT 1").Flush(t.Context(), proxy.Selection{Tenant: "t1"}); !errors.Is(err, proxy.ErrNoTenants) {
		t.Errorf("without tenants: %v", err)
	}
}

// TestFlushStopsFillsUnderWay: a read whose answer is still on its way may have seen what was before.
func TestFlushStopsFillsUnderWay(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		dsn := pgtest.Shared(t).NewDatabase(t)
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		net := faultnet.Start(t, fmt.Sprintf("%s:%d", config.Host, config.Port))
		host, port, _ := strings.Cut(net.Address(), ":")
		number, _ := strconv.ParseUint(port, 10, 16)
		r := startOn(t, dsn, func(o *proxy.Options) { o.Upstream.Host, o.Upstream.Port = host, uint16(number) },
			"CREATE TABLE flushed (n text)", "INSERT INTO flushed VALUES ('1')")
		c, direct := r.connect(parameters...), r.direct()
		value(t, c, "SELECT 'settings are known' FROM flushed")
		backend := value(t, c, "SELECT pg_backend_pid()::text")
		read := func() string { return value(t, c, flushedRead, pgx.QueryExecModeSimpleProtocol) }
		if parameters[0] != "default_query_exec_mode=simple_protocol" {
			read = func() string { return value(t, c, flushedRead) }
			value(t, c, flushedRead) // it is prepared
			flush(t, r, proxy.Selection{})
		}
		changed := value(t, direct, "SELECT max(state_change)::text FROM pg_stat_activity WHERE pid = "+backend)
		net.Latency(300 * time.Millisecond)
		got := make(chan string, 1)
		go func() { got <- read() }()
		eventually(t, "the server has answered", func() bool {
			return value(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE pid = "+backend+" AND state = 'idle' AND query LIKE '%flushed%' AND state_change > '"+changed+"'") == "1"
		})
		mustExec(t, direct, "UPDATE flushed SET n = '2'") // nobody is told
		flush(t, r, proxy.Selection{Table: "flushed"})
		select {
		case <-got:
			t.Fatal("the answer was there before the flush: nothing was tested")
		default:
		}
		net.Latency(0)
		if answer := <-got; answer != "a1" {
			t.Fatalf("%s: nothing was tested", answer)
		}
		if again := read(); again != "a2" {
			t.Errorf("after the flush: %s", again)
		}
	})
}

// TestFlushWithoutRedis: it says what it could not reach, and what is left there is not served when Redis is back.
func TestFlushWithoutRedis(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			fleet, server := startFleetWith(t, 2, strict, withTenant("none"), "CREATE TABLE flushed (n text)", "INSERT INTO flushed VALUES ('1')")
			c, other := fleet[0].connect(), fleet[1].connect()
			eventually(t, "a hit", func() bool { return fleet[0].counts(c, 2, flushedRead) > 0 })
			eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > 0 })
			before := results(t, server)
			value(t, other, "SELECT 1")
			if err := server.Pause(); err != nil {
				t.Fatal(err)
			}
			resumed := false
			defer func() {
				if !resumed {
					_ = server.Resume()
				}
			}()
			mustExec(t, fleet[0].direct(), "UPDATE flushed SET n = '2'") // nobody is told
			done := flush(t, fleet[0], proxy.Selection{Table: "flushed"})
			if done.L1 == 0 || done.L2 != nil || done.L2Error == "" || done.Others != proxy.OthersLater {
				t.Errorf("%+v", done)
			}
			if got := value(t, c, flushedRead); got != "a2" {
				t.Errorf("here: %s", got)
			}
			resumed = true
			if err := server.Resume(); err != nil {
				t.Fatal(err)
			}
			put(t, server, before)
			eventually(t, "both are members again", func() bool {
				return fleet[0].Status().Fleet.Member && fleet[1].Status().Fleet.Member && (!strict || fleet[0].Status().Fleet.Live && fleet[1].Status().Fleet.Live)
			})
			eventually(t, "what happened meanwhile has been read", func() bool { return value(t, other, flushedRead) == "a2" || strict })
			if got := value(t, other, flushedRead); got != "a2" {
				t.Errorf("the other: %s", got)
			}
		})
	}
}

// TestFlushOfATableWithAComma: a table is found by its name, whatever that holds.
func TestFlushOfATableWithAComma(t *testing.T) {
	fleet, server := startFleet(t, 1, true, `CREATE TABLE "a,b" AS SELECT 1 AS n`)
	c, past := fleet[0].connect(simple), fleet[0].direct()
	const read = `SELECT n::text FROM "a,b"`
	value(t, c, read)
	eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > 0 })
	mustExec(t, past, `UPDATE "a,b" SET n = 2`)
	if _, err := fleet[0].Flush(t.Context(), proxy.Selection{Table: "public.a,b"}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, c, read); got != "2" {
		t.Errorf("%s after the flush", got)
	}
}
