package proxy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// holdRefresh starts pgrecall, fills the answer to a query that waits at a gate, closes the gate, and lets a refresh of it begin. The caller
// opens the gate: SELECT pg_advisory_unlock(7).
func holdRefresh(t *testing.T, parameters ...string) (r *running, c, past *pgx.Conn) {
	t.Helper()
	r = startWith(t, cachepolicy.Rule{TTL: time.Hour}, eager, gated...)
	c, past = r.connect(parameters...), r.direct()
	value(t, c, refreshed)
	mustExec(t, past, "SELECT pg_advisory_lock(7)")
	eventually(t, "a refresh has begun", func() bool { value(t, c, refreshed); return refreshes(r, "early") > 0 })
	waits(t, past, "1")
	return r, c, past
}

const refreshed = "SELECT gate(id)::text, n::text FROM item"

// TestWriteDuringARefresh: what a refresh read before a write is not kept.
func TestWriteDuringARefresh(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r, c, past := holdRefresh(t, parameters...)
		mustExec(t, r.connect(), "UPDATE item SET n = 2") // it has its snapshot
		r.SetEarlyRefresh(0)
		late := ask(c, refreshed) // behind the refresh
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		if a := <-late; a.err != nil || a.got != "2" {
			t.Fatalf("%q, %v", a.got, a.err)
		}
		for range 3 {
			if got := value(t, r.connect(parameters...), refreshed); got != "1|2" {
				t.Fatalf("%q after the write", got)
			}
		}
	})
}

// TestSettingsDuringARefresh: what the client does next comes after the refresh, which belongs to the settings of before.
func TestSettingsDuringARefresh(t *testing.T) {
	for _, then := range []string{"SET search_path = other, public", "DISCARD ALL", "SET ROLE refresh_other", "CREATE TEMP TABLE item (id int, n int)"} {
		t.Run(then, func(t *testing.T) {
			r, c, past := holdRefresh(t, simple)
			for _, sql := range []string{"CREATE SCHEMA other", "CREATE TABLE other.item AS SELECT 1 AS id, 100 AS n",
				"DO $$ BEGIN CREATE ROLE refresh_other; EXCEPTION WHEN duplicate_object THEN NULL; END $$"} {
				mustExec(t, past, sql)
			}
			direct := dial(t, r.Upstream+"&"+simple)
			done := make(chan error, 1)
			go func() {
				_, err := c.Exec(context.Background(), then)
				done <- err
			}()
			mustExec(t, past, "SELECT pg_advisory_unlock(7)")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			mustExec(t, direct, then)
			for range 3 {
				got, err := c.Query(bounded(t), refreshed)
				a := collect(got, err)
				want, err := direct.Query(bounded(t), refreshed)
				if b := collect(want, err); a != b {
					t.Fatalf("%q, directly %q", a, b)
				}
			}
			if got := value(t, r.connect(simple), refreshed); got != "1|1" {
				t.Errorf("another session gets %q", got)
			}
		})
	}
}

// collect returns rows, or the code of the error in their place.
func collect(rows pgx.Rows, err error) string {
	if err == nil {
		defer rows.Close()
		out := ""
		for rows.Next() {
			for _, v := range rows.RawValues() {
				out += string(v) + "|"
			}
		}
		if err = rows.Err(); err == nil {
			return out
		}
	}
	return "error " + sqlState(err)
}

// TestFailedRefreshIsNotSeen: its error and its notices are nobody's, the entry goes on, the session too.
func TestFailedRefreshIsNotSeen(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: time.Hour}, eager, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", "CREATE TABLE mood (sad bool)",
			"CREATE FUNCTION moody(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM mood) THEN RAISE NOTICE 'oh'; RAISE EXCEPTION 'oh' USING ERRCODE = '53200'; END IF; RETURN 'well'; END$$")
		config, err := pgx.ParseConfig(r.DSN(parameters...))
		if err != nil {
			t.Fatal(err)
		}
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { t.Errorf("a notice: %s", n.Message) }
		c, err := pgx.ConnectConfig(bounded(t), config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(bounded(t)) }()
		const query = "SELECT moody(id) FROM t"
		r.counts(c, 2, query)
		mustExec(t, r.direct(), "INSERT INTO mood VALUES (true)") // pgrecall does not see it
		before := refreshes(r, "early")
		eventually(t, "refreshes fail", func() bool {
			if got := value(t, c, query); got != "well" {
				t.Fatal(got)
			}
			return refreshes(r, "early") > before+3
		})
		if _, err := c.Exec(bounded(t), "SELECT 1/0"); sqlState(err) != "22012" {
			t.Errorf("an error of the client's own: %v", err)
		}
		if got := value(t, c, "SELECT count(*)::text FROM mood"); got != "1" {
			t.Error(got)
		}
	})
}

// TestClientLeavesDuringARefresh: what the refresh led is let go.
func TestClientLeavesDuringARefresh(t *testing.T) {
	for _, how := range []string{"goodbye", "cut off", "terminated"} {
		t.Run(how, func(t *testing.T) {
			r, c, past := holdRefresh(t, "default_query_exec_mode=simple_protocol")
			switch how {
			case "goodbye":
				_ = c.Close(bounded(t))
			case "cut off":
				_ = c.PgConn().Conn().Close()
			case "terminated":
				mustExec(t, past, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
				if _, err := c.Exec(bounded(t), "SELECT 1"); sqlState(err) != "57P01" {
					t.Errorf("the client was told %v", err)
				}
			}
			mustExec(t, past, "SELECT pg_advisory_unlock(7)")
			before := refreshes(r, "early")
			other := r.connect("default_query_exec_mode=simple_protocol")
			eventually(t, "another session refreshes", func() bool {
				if got := value(t, other, refreshed); got != "1|1" {
					t.Fatal(got)
				}
				return refreshes(r, "early") > before
			})
		})
	}
}

// TestShutdownDoesNotWaitForARefresh: nobody needs what it brings.
func TestShutdownDoesNotWaitForARefresh(t *testing.T) {
	r, _, past := holdRefresh(t, "default_query_exec_mode=simple_protocol")
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(context.Background()) }()
	eventually(t, "the client is told", func() bool { return r.Status().Clients == 0 })
	mustExec(t, past, "SELECT pg_advisory_unlock(7)")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestCancelDuringARefresh: a cancel request ends the statement that the client waits for, not only the refresh in front of it.
func TestCancelDuringARefresh(t *testing.T) {
	for _, mode := range []string{"simple_protocol", "exec"} {
		r, c, past := holdRefresh(t, "default_query_exec_mode="+mode)
		mustExec(t, past, "SELECT pg_advisory_lock(8)")
		answers := ask(c, "SELECT ''::text, pg_advisory_xact_lock(8)::text FROM item")
		eventually(t, "the statement has come", func() bool {
			return r.Status().Bypasses["volatile_function"]+r.Status().Outcomes["other"]+r.Status().Outcomes["write"] > 0
		})
		if err := c.PgConn().CancelRequest(bounded(t)); err != nil {
			t.Fatal(err)
		}
		select {
		case a := <-answers:
			if sqlState(a.err) != "57014" {
				t.Errorf("%s: %q, %v", mode, a.got, a.err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the statement goes on", mode)
			mustExec(t, past, "SELECT pg_advisory_unlock_all()")
		}
	}
}

// sqlState returns the code of a server's error, "" for none.
func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
