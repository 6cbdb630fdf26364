package proxy_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

const itemName = `SELECT name FROM item WHERE id = 1`

// counts tells how many of n reads were hits.
func (r *running) counts(c *pgx.Conn, n int, query string, args ...any) int64 {
	r.tb.Helper()
	before := r.hits()
	for range n {
		value(r.tb, c, query, args...)
	}
	return r.hits() - before
}

func TestSessionsAndStatementsTurnTheCacheOff(t *testing.T) {
	r := start(t, itemSchema)
	c := r.connect()
	value(t, c, itemName)
	for _, step := range []struct {
		before, query string
		hits          int64
	}{
		{"", itemName, 2},
		{"", `/* pgrecall: off */ ` + itemName, 0},
		{"", itemName + ` /* pgrecall: off */`, 0},
		{"", itemName + ` /* traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01' */`, 2},
		{"", `-- a comment` + "\n" + itemName, 2},
		{"", `/* pgrecall: ttl=0s */ ` + itemName, 0},
		{`SET pgrecall.cache = off`, itemName, 0},
		{`RESET pgrecall.cache`, itemName, 2},
		{`BEGIN`, itemName, 2},
		{`SET LOCAL pgrecall.cache = off`, itemName, 0},
		{`ROLLBACK`, itemName, 2},
	} {
		if step.before != "" {
			mustExec(t, c, step.before)
		}
		// The first read after a change of settings may be the one that learns of it.
		got := r.counts(c, 2, step.query, pgx.QueryExecModeSimpleProtocol)
		if step.hits == 0 && got != 0 || got < step.hits-1 {
			t.Errorf("%s; %s: %d hits, want %d", step.before, step.query, got, step.hits)
		}
		r.counts(c, 1, itemName, pgx.QueryExecModeSimpleProtocol)
	}
}

func TestChangedPolicyHoldsForWhatIsCached(t *testing.T) {
	r := start(t, itemSchema)
	c := r.connect()
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement}
	install := func(p *cachepolicy.Policy) {
		t.Helper()
		if err := p.Compile(); err != nil {
			t.Fatal(err)
		}
		r.SetPolicy(p)
	}
	for _, mode := range modes {
		value(t, c, itemName, mode)
		if got := r.counts(c, 2, itemName, mode); got != 2 {
			t.Fatalf("%d hits", got)
		}
		install(&cachepolicy.Policy{DefaultTTL: time.Nanosecond, MaxResult: 1 << 20})
		if got := r.counts(c, 2, itemName, mode); got != 0 {
			t.Errorf("%v: %d hits with a TTL of a nanosecond", mode, got)
		}
		install(&cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 1 << 20})
		if got := r.counts(c, 2, itemName, mode); got != 2 {
			t.Errorf("%v: %d hits with a TTL of an hour", mode, got)
		}
		install(&cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 1 << 20, Rules: []cachepolicy.Rule{
			{Name: "no", Match: cachepolicy.Match{Tables: []string{"item"}}, Cache: cachepolicy.CacheNever}}})
		if got := r.counts(c, 2, itemName, mode); got != 0 {
			t.Errorf("%v: %d hits under cache: never", mode, got)
		}
		install(&cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 30})
		mustExec(t, c, `UPDATE item SET n = n + 1`)
		if got := r.counts(c, 3, `SELECT repeat(name, 100) FROM item WHERE id = 1`, mode); got != 0 {
			t.Errorf("%v: %d hits of a result that is too large", mode, got)
		}
		install(&cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 1 << 20})
	}
}

func TestParametersThatMeanThePresentTime(t *testing.T) {
	r := start(t, `CREATE TABLE event (id int, at timestamptz)`, `INSERT INTO event VALUES (1, '2001-01-01')`)
	c := r.connect()
	const query = `SELECT id FROM event WHERE at < $1`
	// pgx sends a string as text where the statement is not described.
	if got := r.counts(c, 3, query, pgx.QueryExecModeExec, "now"); got != 0 {
		t.Errorf("%d hits for 'now'", got)
	}
	if got := r.counts(c, 3, query, pgx.QueryExecModeExec, "2020-02-02"); got != 2 {
		t.Errorf("%d hits for a date", got)
	}
	if got := r.counts(c, 3, `SELECT id FROM event WHERE at < 'tomorrow'`); got != 0 {
		t.Errorf("%d hits for 'tomorrow'", got)
	}
}

// Many sessions that miss the same key at the same time make one query.
func TestStampede(t *testing.T) {
	const clients = 12
	r := start(t, itemSchema, `CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN n; END $$`)
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		query := fmt.Sprintf(`SELECT slow(n + %d) FROM item WHERE id = 1`, i)
		conns := make([]*pgx.Conn, clients)
		for i := range conns {
			conns[i] = r.connect()
			value(t, conns[i], itemName) // the session's settings are known
		}
		before := r.Status().Outcomes["miss"]
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				if got := value(t, c, query, mode); got != fmt.Sprint(i) && mode == pgx.QueryExecModeSimpleProtocol {
					t.Errorf("got %q", got)
				}
			})
		}
		wg.Wait()
		if n := r.Status().Outcomes["miss"] - before; n != 1 {
			t.Errorf("%v: %d of %d sessions asked the server", mode, n, clients)
		}
	}
}

// Sessions that PostgreSQL would answer differently never share an answer.
func TestSettingsAndRolesArePartOfTheKey(t *testing.T) {
	r := start(t, `CREATE TABLE event (id int, at timestamptz)`, `INSERT INTO event VALUES (1, '2001-01-01 12:00+00')`,
		`CREATE SCHEMA elsewhere`, `CREATE TABLE elsewhere.event (id int, at timestamptz)`, `INSERT INTO elsewhere.event VALUES (2, '2002-02-02 12:00+00')`,
		`DO $$ BEGIN CREATE ROLE outsider; EXCEPTION WHEN duplicate_object THEN NULL; END $$`, `GRANT USAGE ON SCHEMA elsewhere TO outsider`,
		`DO $$ BEGIN CREATE ROLE insider; EXCEPTION WHEN duplicate_object THEN NULL; END $$`, `GRANT SELECT ON event TO insider`)
	const query = `SELECT at::text, id FROM event ORDER BY id`
	changes := []string{`SET TimeZone = 'UTC'`, `SET TimeZone = 'Asia/Tokyo'`, `SET DateStyle = 'German'`, `SET search_path = elsewhere, public`, `RESET ALL`}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		c, direct := r.connect(), r.direct()
		for range 2 {
			for _, change := range changes {
				mustExec(t, c, change)
				mustExec(t, direct, change)
				for range 2 {
					if got, want := value(t, c, query, mode), value(t, direct, query, mode); got != want {
						t.Errorf("%v, %s: got %q, want %q", mode, change, got, want)
					}
				}
			}
		}
		for _, role := range []string{"postgres", "insider"} {
			mustExec(t, c, `SET ROLE `+role)
			for range 2 {
				value(t, c, query, mode)
			}
		}
		mustExec(t, c, `SET ROLE outsider`)
		if _, err := c.Exec(bounded(t), query, mode); err == nil {
			t.Errorf("%v: a role without rights got the answer", mode)
		}
	}
}

// TestDatabaseIsPartOfTheKey: equal tables of two databases, made in the same order.
func TestDatabaseIsPartOfTheKey(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (v text)", "INSERT INTO t VALUES ('one')")
		other := pgtest.Shared(t).NewDatabase(t)
		direct := dial(t, other)
		mustExec(t, direct, "CREATE TABLE t (v text)")
		mustExec(t, direct, "INSERT INTO t VALUES ('other')")
		config, err := pgx.ParseConfig(other)
		if err != nil {
			t.Fatal(err)
		}
		one, another := r.connect(parameters...), r.connect(append(parameters, "dbname="+config.Database)...)
		const read = "SELECT v FROM t"
		for _, c := range []*pgx.Conn{one, another} {
			eventually(t, "hits", func() bool { return r.counts(c, 2, read) > 0 })
		}
		if got, want := value(t, one, read)+" "+value(t, another, read), "one other"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}
