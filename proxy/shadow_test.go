package proxy_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// journal keeps a log in memory.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func verifications(r *running, result string) int64 { return r.Status().Verifications[result] }

// bothProtocols runs a test over the simple and over the extended query protocol.
func bothProtocols(t *testing.T, test func(t *testing.T, parameters ...string)) {
	t.Helper()
	for name, mode := range map[string]string{"simple": "default_query_exec_mode=simple_protocol", "unnamed": "default_query_exec_mode=exec",
		"named": "default_query_exec_mode=cache_statement"} {
		t.Run(name, func(t *testing.T) { test(t, mode) })
	}
}

func TestShadowServesNothingAndFindsNoDifference(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.CacheMode = "shadow" },
			"CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 100) i")
		c := r.connect(parameters...)
		for range 5 {
			if got := value(t, c, "SELECT name FROM t WHERE id = $1", 7); got != "n7" {
				t.Fatal(got)
			}
		}
		mustExec(t, c, "UPDATE t SET name = 'other' WHERE id = 7")
		for range 3 {
			if got := value(t, c, "SELECT name FROM t WHERE id = $1", 7); got != "other" {
				t.Fatal(got)
			}
		}
		if r.hits() != 0 {
			t.Errorf("%d hits in shadow mode", r.hits())
		}
		if same, wrong := verifications(r, "same"), verifications(r, "different"); same < 6 || wrong != 0 {
			t.Errorf("same %d, want at least 6; different %d, want 0", same, wrong)
		}
		if r.Status().Bypasses["shadow"] < 6 {
			t.Errorf("bypasses: %v", r.Status().Bypasses)
		}
	})
}

func TestShadowTellsOfADifference(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		var log journal
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
			o.CacheMode = "shadow"
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		}, "CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (7, 'sesame')")
		c, past := r.connect(parameters...), r.direct()
		value(t, c, "SELECT name FROM t WHERE id = $1", 7)
		mustExec(t, past, "UPDATE t SET name = 'open' WHERE id = 7") // pgrecall does not see it
		if got := value(t, c, "SELECT name FROM t WHERE id = $1", 7); got != "open" {
			t.Fatal(got)
		}
		if n := verifications(r, "different"); n != 1 {
			t.Fatalf("different: %d, want 1", n)
		}
		value(t, c, "SELECT name FROM t WHERE id = $1", 7)
		if n := verifications(r, "different"); n != 1 {
			t.Errorf("different: %d, want 1: the newer answer takes the old one's place", n)
		}
		line := log.String()
		for _, want := range []string{"the cache and the server differ", "fingerprint=", "tables=public.t", "age=", "cached=", "answered="} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
		if strings.Contains(line, "sesame") || strings.Contains(line, "open") {
			t.Errorf("a row in the log: %s", line)
		}
	})
}

func TestShadowForOneSession(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
	shadow, plain := r.connect(), r.connect()
	mustExec(t, shadow, "SET pgrecall.cache = shadow")
	for range 4 {
		value(t, shadow, "SELECT id FROM t")
	}
	if r.hits() != 0 || verifications(r, "same") == 0 {
		t.Errorf("hits %d, want 0; same %d, want some", r.hits(), verifications(r, "same"))
	}
	value(t, plain, "SELECT id FROM t")
	value(t, plain, "SELECT id FROM t")
	if r.hits() == 0 {
		t.Error("another session has no hits")
	}
}

func TestVerificationOfHits(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		var log journal
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
			o.Verify = 1
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		}, "CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t VALUES (7, 'sesame'), (8, 'x')")
		c, past := r.connect(parameters...), r.direct()
		for range 20 {
			value(t, c, "SELECT name FROM t WHERE id = $1", 7)
		}
		eventually(t, "hits are verified", func() bool { return verifications(r, "same") > 0 })
		if n := verifications(r, "different"); n != 0 {
			t.Fatalf("different: %d", n)
		}
		// A write that pgrecall does not see: the next hit is wrong, and found out.
		mustExec(t, past, "UPDATE t SET name = 'open' WHERE id = 7")
		eventually(t, "the difference is found", func() bool {
			value(t, c, "SELECT name FROM t WHERE id = $1", 7)
			return verifications(r, "different") > 0
		})
		eventually(t, "the shape is not cached any more", func() bool { return len(r.Doubts()) == 1 })
		hits := r.hits()
		for range 3 {
			if got := value(t, c, "SELECT name FROM t WHERE id = $1", 7); got != "open" {
				t.Fatalf("%q after the difference was found", got)
			}
			value(t, c, "SELECT name FROM t WHERE id = $1", 8)
		}
		if r.hits() != hits {
			t.Errorf("%d hits of a shape that differed", r.hits()-hits)
		}
		if r.Status().Bypasses["verification_differed"] == 0 {
			t.Errorf("bypasses: %v", r.Status().Bypasses)
		}
		if strings.Contains(log.String(), "sesame") {
			t.Error("a row in the log")
		}
		if n := r.Allow(t.Context(), 0); n != 1 {
			t.Errorf("Allow: %d", n)
		}
		eventually(t, "hits again", func() bool {
			if got := value(t, c, "SELECT name FROM t WHERE id = $1", 7); got != "open" {
				t.Fatalf("%q after it was allowed again", got)
			}
			return r.hits() > hits
		})
	})
}

// TestVerificationIsNotSeen: a client whose every hit is verified gets just what it should, errors of its own included.
func TestVerificationIsNotSeen(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Verify = 1 },
		"CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 100) i")
	c, past := r.connect(), r.direct()
	for i := range 200 {
		const sql = "SELECT id, name FROM t WHERE id < $1 ORDER BY 1"
		if got, want := value(t, c, sql, i%5+2), value(t, past, sql, i%5+2); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		switch i % 10 {
		case 3:
			if _, err := c.Exec(bounded(t), "SELECT 1/0"); err == nil {
				t.Fatal("no error")
			}
		case 6:
			mustExec(t, c, "BEGIN")
			value(t, c, "SELECT count(*) FROM t")
			mustExec(t, c, "COMMIT")
		}
	}
	if verifications(r, "different") != 0 || verifications(r, "same") == 0 {
		t.Errorf("%v", r.Status().Verifications)
	}
}

func TestTraceTellsOfEachAnswer(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
		config, err := pgx.ParseConfig(r.DSN(parameters...))
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Message) }
		c, err := pgx.ConnectConfig(bounded(t), config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(bounded(t)) }()
		mustExec(t, c, "SET pgrecall.trace = on")
		for _, step := range []struct{ sql, want string }{
			{"SELECT id FROM t", "source=upstream outcome=miss"},
			{"SELECT id FROM t", "source=l1 age="},
			{"SELECT id, now() FROM t", `source=upstream outcome=bypass reason=stable_function detail="now"`},
			{"INSERT INTO t VALUES (2)", "source=upstream outcome=write invalidates=public.t"},
			{"SELECT 1/(id-1) FROM t", "source=upstream outcome=miss"}, // an error
		} {
			heard = nil
			rows, err := c.Query(bounded(t), step.sql)
			if err == nil {
				rows.Close()
			}
			if len(heard) != 1 || !strings.Contains(heard[0], step.want) {
				t.Errorf("%s: %q, want %s", step.sql, heard, step.want)
			}
		}
		mustExec(t, c, "SET pgrecall.trace = off")
		heard = nil
		value(t, c, "SELECT id FROM t")
		if len(heard) != 0 {
			t.Errorf("trace off: %q", heard)
		}
	})
}

// TestShadowVerifiesWhatEnters: with verify, what is read once is compared, too.
func TestShadowVerifiesWhatEnters(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.CacheMode, o.Verify, o.CatalogWait = "shadow", 1, 10*time.Second },
			"CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 100) i",
			"CREATE FUNCTION lies(int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT random()'")
		c := r.connect(parameters...)
		for i := range 10 {
			value(t, c, "SELECT name FROM t WHERE id = $1", i+1)
		}
		value(t, c, "SELECT 1")
		if n := verifications(r, "same"); n < 9 {
			t.Errorf("%d answers that entered were compared, want 9 at least", n)
		}
		value(t, c, "SELECT lies(id) FROM t WHERE id = $1", 1)
		mustExec(t, c, "CREATE TABLE another (id int)")
		before := verifications(r, "same")
		value(t, c, "SELECT count(*) FROM another") // waits for the catalog
		value(t, c, "SELECT 1")
		if verifications(r, "same") == before {
			t.Error("a statement after DDL did not wait for the catalog")
		}
		if verifications(r, "inconclusive") == 0 || verifications(r, "different") != 0 {
			t.Errorf("%v", r.Status().Verifications)
		}
	})
}
