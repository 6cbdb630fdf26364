package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// expired is a TTL that is over at the next read.
const expired = time.Millisecond

// staleAnswers returns how often entries answered past their lifetime for a reason.
func staleAnswers(r *running, reason string) int64 { return r.Status().StaleAnswers[reason] }

// expire waits until what was filled before has expired under every rule of these tests.
func expire(tb testing.TB) {
	tb.Helper()
	began := time.Now()
	eventually(tb, "the TTL is over", func() bool { return time.Since(began) > 2*expired })
}

func TestStaleWhileRevalidate(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour}, 0, gated...)
		c, past := r.connect(parameters...), r.direct()
		value(t, c, refreshed)
		value(t, c, "SELECT n::text FROM item")
		mustExec(t, past, "UPDATE item SET n = 2") // pgrecall does not see it
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		expire(t)
		for range 3 { // nobody waits
			if got := value(t, c, refreshed); got != "1|1" {
				t.Fatal(got)
			}
		}
		if n := staleAnswers(r, "revalidate"); n != 3 {
			t.Errorf("%d stale answers, want 3", n)
		}
		if n := refreshes(r, "stale"); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		eventually(t, "the answer is new", func() bool { return value(t, c, refreshed) == "1|2" })
	})
}

// TestStaleAnswersHaveAnEnd: past the window the client waits, and a statement or session that asks for more gets no stale answer.
func TestStaleAnswersHaveAnEnd(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		const query = "SELECT n FROM t WHERE id = $1"
		long := cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour}
		for _, step := range []struct {
			name, before, comment string
			rule                  cachepolicy.Rule
		}{
			{"no window", "", "", cachepolicy.Rule{TTL: expired}},
			{"the window is over", "", "", cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Nanosecond}},
			{"the statement has a TTL", "", "/* pgrecall: ttl=1ms */ ", long},
			{"the statement has none", "", "/* pgrecall: ttl=0s */ ", long},
			{"the statement turns the cache off", "", "/* pgrecall: off */ ", long},
			{"in a transaction block", "BEGIN", "", long},
			{"the session turns the cache off", "SET pgrecall.cache = off", "", long},
			{"shadow mode", "SET pgrecall.cache = shadow", "", long},
		} {
			t.Run(step.name, func(t *testing.T) {
				r := startWith(t, step.rule, 0, "CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, 'old')")
				c := r.connect(parameters...)
				if step.before != "" {
					mustExec(t, c, step.before)
				}
				value(t, c, step.comment+query, 1)
				mustExec(t, r.direct(), "UPDATE t SET n = 'new'") // pgrecall does not see it
				expire(t)
				if got := value(t, c, step.comment+query, 1); got != "new" {
					t.Error("a stale answer")
				}
				if n := staleAnswers(r, "revalidate") + refreshes(r, "stale"); n != 0 {
					t.Errorf("%d counted", n)
				}
			})
		}
	})
}

// TestWritesMakeStaleAnswersWrong: what a write touched is not served past its lifetime either.
func TestWritesMakeStaleAnswersWrong(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour}, 0, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
		c, writer := r.connect(parameters...), r.connect()
		for i := range 50 {
			if got := value(t, c, "SELECT n::text FROM t"); got != fmt.Sprint(i) {
				t.Fatalf("%s after a write of %d", got, i)
			}
			expire(t)
			value(t, c, "SELECT n::text FROM t")
			mustExec(t, writer, "UPDATE t SET n = n + 1")
		}
		if staleAnswers(r, "revalidate") == 0 {
			t.Error("no stale answers")
		}
	})
}

// TestRevokedRightsEndStaleAnswers: whatever the consistency, and however the right goes.
func TestRevokedRightsEndStaleAnswers(t *testing.T) {
	for _, level := range []cachepolicy.Consistency{cachepolicy.Strict, cachepolicy.TTL} {
		for _, how := range []struct{ revoke, want string }{
			{"REVOKE SELECT ON t FROM stale_team", "error 42501"},
			{"REVOKE stale_team FROM stale_reader", "error 42501"},
			{"REVOKE USAGE ON SCHEMA public FROM PUBLIC", "error 42P01"},
			{"DROP POLICY all_of_it ON t", ""},
			{"ALTER POLICY all_of_it ON t TO postgres", ""},
			{"ALTER ROLE stale_reader NOBYPASSRLS", ""},
			{"ALTER TABLE t FORCE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO stale_team; REVOKE ALL ON t FROM stale_team", "error 42501"},
		} {
			t.Run(fmt.Sprint(level, " ", how.revoke), func(t *testing.T) {
				bypass := strings.Contains(how.revoke, "BYPASS")
				r := startWith(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour, Consistency: &level}, 0,
					"DROP ROLE IF EXISTS stale_reader, stale_team", "CREATE ROLE stale_team", "CREATE ROLE stale_reader IN ROLE stale_team",
					"CREATE TABLE t (n text)", "INSERT INTO t VALUES ('secret')", "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
					"GRANT SELECT ON t TO stale_team")
				direct, owner, c := r.direct(), r.connect(simple), r.connect(simple)
				t.Cleanup(func() {
					mustExec(t, direct, "DROP OWNED BY stale_reader, stale_team")
					mustExec(t, direct, "DROP ROLE stale_reader, stale_team")
				})
				if bypass {
					mustExec(t, owner, "ALTER ROLE stale_reader BYPASSRLS")
				} else {
					mustExec(t, owner, "CREATE POLICY all_of_it ON t USING (true)")
				}
				mustExec(t, c, "SET ROLE stale_reader")
				r.waitReady()
				const query = "SELECT n FROM t"
				eventually(t, "a stale answer", func() bool {
					if got := value(t, c, query); got != "secret" {
						t.Fatal(got)
					}
					return staleAnswers(r, "revalidate") > 0
				})
				mustExec(t, owner, how.revoke)
				for i := range 20 {
					if got := collect(c.Query(bounded(t), query)); got != how.want {
						t.Fatalf("read %d after %s: %q, want %q", i, how.revoke, got, how.want)
					}
					r.waitReady()
				}
			})
		}
	}
}

func TestTraceTellsOfStaleAnswers(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour}, 0, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
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
		value(t, c, "SELECT id FROM t")
		value(t, c, "SELECT id FROM t")
		expire(t)
		heard = nil
		value(t, c, "SELECT id FROM t")
		if len(heard) != 1 || !strings.HasPrefix(heard[0], "pgrecall: source=l1 stale=revalidate age=") {
			t.Errorf("%q", heard)
		}
	})
}

// TestRefreshWhileVerifying: a hit that is due is refreshed first.
func TestRefreshWhileVerifying(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		o.Policy, o.Verify = policyOf(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour}), 1
	}, "CREATE TABLE t (n text)", "INSERT INTO t VALUES ('old')")
	c := r.connect()
	value(t, c, "SELECT n FROM t")
	mustExec(t, r.direct(), "UPDATE t SET n = 'new'") // pgrecall does not see it
	eventually(t, "the answer is new", func() bool { return value(t, c, "SELECT n FROM t") == "new" })
	if n := verifications(r, "different"); n != 0 {
		t.Errorf("%d differences: what has expired may differ", n)
	}
}
