package proxy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// uncached returns what is known of a shape and reason, nil for nothing.
func (r *running) uncached(query string, reason cachepolicy.Reason) *proxy.Uncached {
	for _, u := range r.Uncached(-1) {
		if strings.HasPrefix(u.Query, query) && u.Reason == reason {
			return &u
		}
	}
	return nil
}

// TestUncachedStatements runs reads that are not cached, for reasons of several kinds, and reads that are.
func TestUncachedStatements(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int, name text)", "INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 100) i",
			"CREATE FUNCTION report(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END'")
		c := r.connect(parameters...)
		for range 3 {
			value(t, c, "SELECT id, pg_sleep(0.002) FROM t WHERE id = $1", 7)
			value(t, c, "SELECT id, now() < '2000-01-01', pg_sleep(0.002) IS NULL FROM t WHERE id = 8 OR name = 'sesame'")
			value(t, c, "SELECT name FROM t WHERE id = $1 FOR SHARE", 7)
			value(t, c, "SELECT name FROM t WHERE id = $1", 7) // cached
		}
		mustExec(t, c, "BEGIN ISOLATION LEVEL SERIALIZABLE")
		for range 2000 { // each is too short to be sure of being sampled
			if value(t, c, "SELECT name FROM t WHERE id = $1", 7); r.uncached("select name from t where id = $1", "isolation_level") != nil {
				break
			}
		}
		mustExec(t, c, "ROLLBACK")
		value(t, c, "SELECT report(id), count(*) FROM t, (SELECT pg_sleep(0.006)) s WHERE id = 9 GROUP BY 1")
		for _, want := range []struct {
			query  string
			reason cachepolicy.Reason
			detail string
			count  int64
		}{
			{"select id, pg_sleep($", "volatile_function", "pg_sleep", 3},
			{"select id, now()", "stable_function", "now", 3},
			{"select report(id)", "volatile_function", "report", 1},
		} {
			eventually(t, want.query, func() bool {
				u := r.uncached(want.query, want.reason)
				return u != nil && u.Count == want.count
			})
			u := r.uncached(want.query, want.reason)
			if u.Seconds < 0.006 || u.MaxSeconds < 0.002 || u.MaxSeconds > u.Seconds || u.Database != r.Database || len(u.Fingerprint) != 16 ||
				time.Since(u.Last) > time.Minute || u.Detail != want.detail {
				t.Errorf("%+v", u)
			}
		}
		eventually(t, "a read in a serializable block", func() bool { return r.uncached("select name from t where id = $1", "isolation_level") != nil })
		for _, u := range r.Uncached(-1) {
			if u.Reason == "" || strings.Contains(u.Query, "sesame") || strings.Contains(u.Query, "2000") {
				t.Errorf("%+v", u)
			}
		}
	})
}

// TestResultThatIsTooLarge: it is a miss each time, and pgrecall says why.
func TestResultThatIsTooLarge(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.MaxResult = 1 << 10 },
			"CREATE TABLE t (id int, body text)", "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 100) i", "INSERT INTO t VALUES (0, repeat('y', 200000))")
		c, heard := r.traced(parameters...)
		const many, wide = "SELECT body FROM t WHERE id > 0", "SELECT body FROM t WHERE id = 0"
		for i, query := range []string{many, wide, many} {
			heard()
			value(t, c, query)
			if got := heard(); !strings.Contains(got, "outcome=miss reason=result_too_large") {
				t.Errorf("%s: %q", query, got)
			}
			if n := r.Status().Bypasses["result_too_large"]; n != int64(i+1) {
				t.Errorf("%s: counted %d times, want %d", query, n, i+1)
			}
		}
		heard()
		value(t, c, "SELECT id FROM t WHERE id = 1")
		if got := heard(); strings.Contains(got, "reason=") {
			t.Errorf("a small result: %q", got)
		}
		if r.hits() != 0 {
			t.Errorf("%d hits", r.hits())
		}
		for range 2000 {
			if r.uncached("select body from t where id > $1", "result_too_large") != nil {
				return
			}
			value(t, c, many)
		}
		t.Errorf("not in the list: %+v", r.Uncached(-1))
	})
}

// traced returns a connection through pgrecall with pgrecall.trace on, and what gives the notices since its last call.
func (r *running) traced(parameters ...string) (*pgx.Conn, func() string) {
	r.tb.Helper()
	c, heard := r.connectNoticed(parameters...)
	mustExec(r.tb, c, "SET pgrecall.trace = on")
	return c, heard
}

// connectNoticed returns a connection through pgrecall, and what gives the notices since its last call, a line each.
func (r *running) connectNoticed(parameters ...string) (*pgx.Conn, func() string) {
	r.tb.Helper()
	config, err := pgx.ParseConfig(r.DSN(parameters...))
	if err != nil {
		r.tb.Fatal(err)
	}
	var lines []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { lines = append(lines, n.Message) }
	c, err := pgx.ConnectConfig(bounded(r.tb), config)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, func() string {
		defer func() { lines = nil }()
		return strings.Join(lines, "\n")
	}
}
