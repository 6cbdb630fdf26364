package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// eager is a beta for which nearly every hit is early enough.
const eager = 1e9

// startWith is start with one rule for everything, and early refresh by beta.
func startWith(t *testing.T, rule cachepolicy.Rule, beta float64, setup ...string) *running {
	t.Helper()
	return startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		o.Policy = policyOf(t, rule)
		o.EarlyRefresh = beta
	}, setup...)
}

func policyOf(tb testing.TB, rules ...cachepolicy.Rule) *cachepolicy.Policy {
	tb.Helper()
	policy := &cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 1 << 20, Rules: rules}
	if err := policy.Compile(); err != nil {
		tb.Fatal(err)
	}
	return policy
}

func refreshes(r *running, reason string) int64 { return r.Status().Refreshes[reason] }

func TestHotEntriesAreRefreshedBeforeTheyExpire(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: time.Hour}, eager, "CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, 'old')")
		const query = "SELECT n FROM t WHERE id = $1"
		c, past := r.connect(parameters...), r.direct()
		value(t, c, query, 1)
		value(t, c, query, 1)
		mustExec(t, past, "UPDATE t SET n = 'new'") // pgrecall does not see it
		misses := r.Status().Outcomes["miss"]
		eventually(t, "the entry is refreshed", func() bool { return value(t, c, query, 1) == "new" })
		if refreshes(r, "early") == 0 {
			t.Error("no refresh was counted")
		}
		st := r.Status()
		if n := st.Outcomes["miss"] - misses; n != 0 || st.StaleAnswers["revalidate"] != 0 {
			t.Errorf("%d misses, %v; the client waited", n, st.StaleAnswers)
		}
	})
}

// TestRefreshIsOneAtATime: while one is under way everybody is answered, the session that it runs in, too, and nobody begins another.
func TestRefreshIsOneAtATime(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: time.Hour}, eager, gated...)
		past := r.direct()
		const query = "SELECT gate(id)::text FROM item"
		c, other := r.connect(parameters...), r.connect(parameters...)
		value(t, c, query)
		value(t, other, "SELECT n::text FROM item")
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		eventually(t, "a refresh has begun", func() bool { value(t, c, query); return refreshes(r, "early") > 0 })
		waits(t, past, "1")
		begun, hits := refreshes(r, "early"), r.hits()
		for range 10 {
			value(t, c, query)
			value(t, other, query)
		}
		if n := r.hits() - hits; n != 20 {
			t.Errorf("%d of 20 were hits during the refresh", n)
		}
		if n := refreshes(r, "early"); n != begun {
			t.Errorf("%d refreshes at a time", n-begun+1)
		}
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		eventually(t, "the next refresh begins", func() bool {
			flush(t, r, proxy.Selection{}) // what took as long as that lock was held is not refreshed early
			value(t, other, query)
			value(t, other, query)
			return refreshes(r, "early") > begun
		})
	})
}

func TestNoEarlyRefresh(t *testing.T) {
	const query, slow = "SELECT n FROM t WHERE id = 1", "SELECT n FROM t, slow(id) WHERE id = 1"
	setup := []string{"CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, 'old')",
		"CREATE FUNCTION slow(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.15); RETURN ''; END$$"}
	for _, step := range []struct {
		name, query string
		beta        float64
		before      string
	}{
		{"the end is far", query, 1, ""},
		{"turned off", query, 0, ""},
		{"it takes too long", slow, eager, ""},
		{"in a transaction block", query, eager, "BEGIN"},
	} {
		t.Run(step.name, func(t *testing.T) {
			r := startWith(t, cachepolicy.Rule{TTL: time.Hour}, step.beta, setup...)
			c := r.connect()
			if step.before != "" {
				mustExec(t, c, step.before)
			}
			if hits := r.counts(c, 100, step.query, pgx.QueryExecModeSimpleProtocol); hits < 98 {
				t.Errorf("%d hits", hits)
			}
			if n := refreshes(r, "early"); n != 0 {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

// TestRefreshIsNotSeen: clients whose every hit is refreshed get just what the server would say.
func TestRefreshIsNotSeen(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, cachepolicy.Rule{TTL: time.Hour}, eager,
			"CREATE TABLE t (id int PRIMARY KEY, name text)", "INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 100) i")
		c, past := r.connect(parameters...), r.direct()
		const sql = "SELECT string_agg(id || name, ',' ORDER BY id), current_user FROM t WHERE id < $1"
		for i := range 150 {
			if got, want := value(t, c, sql, i%5+2), value(t, past, sql, i%5+2); got != want {
				t.Fatalf("%d: %q, want %q", i, got, want)
			}
			switch i % 15 {
			case 3:
				if _, err := c.Exec(bounded(t), "SELECT 1/0"); err == nil {
					t.Fatal("no error")
				}
			case 5:
				mustExec(t, c, fmt.Sprintf("UPDATE t SET name = 'v%d' WHERE id = 1", i))
			case 7:
				mustExec(t, c, "SET TimeZone = 'Asia/Tokyo'")
			case 9:
				mustExec(t, c, "BEGIN")
				value(t, c, "SELECT count(*) FROM t")
				mustExec(t, c, "COMMIT")
			case 11:
				if len(parameters) > 0 && parameters[0] != "default_query_exec_mode=cache_statement" {
					mustExec(t, c, "DISCARD ALL")
				}
			}
		}
		if refreshes(r, "early") == 0 {
			t.Error("no refreshes")
		}
	})
}
