package proxy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// tenants is a table that shows each tenant, named by a custom setting, its own rows.
var tenants = []string{
	"CREATE TABLE items (id int PRIMARY KEY, tenant text, name text)",
	"INSERT INTO items SELECT i, 't' || i % 3, 'n' || i FROM generate_series(1, 30) i",
	"ALTER TABLE items ENABLE ROW LEVEL SECURITY", "ALTER TABLE items FORCE ROW LEVEL SECURITY",
	"CREATE POLICY own ON items USING (tenant = coalesce(current_setting('app.tenant', true), 't0'))", // not set and empty are not the same
	"CREATE TABLE unset (id int)", "INSERT INTO unset VALUES (1)", "ALTER TABLE unset ENABLE ROW LEVEL SECURITY", "ALTER TABLE unset FORCE ROW LEVEL SECURITY",
	"CREATE POLICY own ON unset USING (current_setting('app.second', true) IS NULL)",
	"CREATE TABLE plain (id int)", "INSERT INTO plain VALUES (1)",
	"DROP ROLE IF EXISTS tenant_reader", "CREATE ROLE tenant_reader LOGIN", "GRANT SELECT ON items, plain, unset TO tenant_reader",
}

func asReader(t *testing.T, r *running, parameters ...string) (through, past *pgx.Conn) {
	t.Helper()
	through = r.connect(parameters...)
	past = dial(t, r.Upstream+"&default_query_exec_mode=exec")
	for _, c := range []*pgx.Conn{through, past} {
		mustExec(t, c, "SET SESSION AUTHORIZATION tenant_reader")
	}
	return through, past
}

const tenantNames = "SELECT string_agg(name, ',' ORDER BY id) FROM items"

// TestRowSecurityByCustomSetting: each way of telling the server whose rows are wanted, all with hits, never the rows of another.
func TestRowSecurityByCustomSetting(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, tenants...)
		c, past := asReader(t, r, parameters...)
		both := func(sql string, args ...any) {
			t.Helper()
			mustExec(t, c, sql, args...)
			mustExec(t, past, sql, args...)
		}
		compare := func(step string) {
			t.Helper()
			if got, want := value(t, c, tenantNames), value(t, past, tenantNames); got != want {
				t.Fatalf("%s: %s, want %s", step, got, want)
			}
		}
		compare("not set")
		for round := range 4 {
			for tenant := range 3 {
				name := fmt.Sprint("t", tenant)
				step := fmt.Sprint("round ", round, " tenant ", name)
				both("SET app.tenant = '" + name + "'")
				compare(step + " SET")
				both("SELECT set_config('app.tenant', $1, false)", fmt.Sprint("t", (tenant+1)%3))
				compare(step + " set_config")
				both("BEGIN")
				both("SET LOCAL app.tenant = '" + name + "'")
				compare(step + " SET LOCAL")
				compare(step + " SET LOCAL again")
				both("COMMIT")
				compare(step + " after COMMIT")
				both("BEGIN")
				both("SELECT set_config('app.tenant', $1, true)", name)
				compare(step + " local set_config")
				both("ROLLBACK")
				compare(step + " after ROLLBACK")
				both("BEGIN")
				both("SET app.tenant = 'nobody'")
				compare(step + " SET in a block")
				both("ROLLBACK")
				compare(step + " after ROLLBACK of SET")
				both("BEGIN")
				both("SET LOCAL app.tenant = '" + name + "'")
				both("SAVEPOINT a")
				both("SET LOCAL app.tenant = 'nobody'")
				both("ROLLBACK TO a")
				compare(step + " after ROLLBACK TO")
				both("COMMIT AND CHAIN")
				compare(step + " chained")
				both("COMMIT")
				both("SET LOCAL app.tenant = 'nobody'")
				compare(step + " SET LOCAL outside of a block")
			}
			both("RESET app.tenant")
			compare("RESET")
			both("SET app.tenant = 't1'")
			if c.Config().DefaultQueryExecMode != pgx.QueryExecModeCacheStatement { // pgx would go on using what it drops
				both("DISCARD ALL")
			}
			both("SET SESSION AUTHORIZATION tenant_reader")
			compare("DISCARD ALL")
		}
		if hits := r.hits(); hits < 60 {
			t.Errorf("%d hits, want most of the reads of rounds 2 to 4; bypasses %v", hits, r.Status().Bypasses)
		}
	})
}

// TestTenantsInBlocks is how applications with a pool do it: BEGIN, SET LOCAL, reads, COMMIT.
func TestTenantsInBlocks(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, tenants...)
		c, past := asReader(t, r, parameters...)
		for i := range 30 {
			tenant := fmt.Sprint("t", i%3)
			for _, conn := range []*pgx.Conn{c, past} {
				mustExec(t, conn, "BEGIN")
				mustExec(t, conn, "SELECT set_config('app.tenant', $1, true), set_config('app.request', $2, true), set_config('statement_timeout', '10s', true)",
					tenant, fmt.Sprint(i))
			}
			if got, want := value(t, c, tenantNames), value(t, past, tenantNames); got != want {
				t.Fatalf("%s: %s, want %s", tenant, got, want)
			}
			value(t, c, "SELECT id FROM plain")
			mustExec(t, c, "COMMIT")
			mustExec(t, past, "COMMIT")
		}
		if hits := r.hits(); hits < 50 {
			t.Errorf("%d hits of 60 reads; bypasses %v", hits, r.Status().Bypasses)
		}
		if probes := r.probes(t); probes > 4 {
			t.Errorf("%v probes: settings that were followed were asked for", probes)
		}
	})
}

// TestPolicyOfStatementsSetting: a setting that only a statement names is part of that statement's key.
func TestPolicyOfStatementsSetting(t *testing.T) {
	r := start(t, tenants...)
	c := r.connect("default_query_exec_mode=simple_protocol")
	for i := range 12 {
		want := fmt.Sprint("t", i%3)
		mustExec(t, c, "SET app.who = '"+want+"'")
		if got := value(t, c, "SELECT min(tenant) FROM items WHERE tenant = current_setting('app.who')"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	if r.hits() < 6 {
		t.Errorf("%d hits", r.hits())
	}
}

func TestDiscardAllCostsNoProbe(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, tenants...)
		c := r.connect(parameters...)
		read := func() { value(t, c, "SELECT id FROM plain") }
		read()
		for range 10 {
			mustExec(t, c, "SET application_name = 'x'")
			mustExec(t, c, "SET statement_timeout = '5s'")
			mustExec(t, c, "SET work_mem = '5MB'")
			read()
			if got := value(t, c, "SHOW work_mem"); got != "5MB" {
				t.Fatal(got)
			}
			if c.Config().DefaultQueryExecMode != pgx.QueryExecModeCacheStatement { // pgx's own cache would be stale
				mustExec(t, c, "DISCARD ALL")
			} else {
				mustExec(t, c, "RESET work_mem")
			}
			read()
		}
		if hits := r.hits(); hits < 16 && c.Config().DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
			t.Errorf("%d hits of 21 reads; bypasses %v", hits, r.Status().Bypasses)
		}
		if probes := r.probes(t); c.Config().DefaultQueryExecMode != pgx.QueryExecModeCacheStatement && probes > 3 {
			t.Errorf("%v probes", probes)
		}
	})
}

// TestFollowedSettingsAreTheServers: what is followed is what a probe finds.
func TestFollowedSettings(t *testing.T) {
	r := start(t, "CREATE TABLE d (at timestamptz)", "INSERT INTO d VALUES ('2026-01-01 12:00+00')", "CREATE SCHEMA other", "CREATE TABLE other.d (at timestamptz)")
	c := r.connect("default_query_exec_mode=simple_protocol")
	direct := r.direct()
	for round := range 5 {
		for _, set := range []string{"SET TimeZone = 'Asia/Tokyo'", "SET DateStyle = 'German'", "SET search_path = other, public", "SET search_path = nowhere", "SET TimeZone = 'no such zone'",
			"SET search_path = public", "SET TimeZone = 'UTC'", "SET search_path = 'other, public'", "RESET search_path", "SET DateStyle = 'ISO'", "DISCARD ALL", "SET extra_float_digits = 0"} {
			for _, conn := range []*pgx.Conn{c, direct} {
				_, _ = conn.Exec(context.Background(), set)
			}
			const sql = "SELECT at::text, count(*)::text FROM d GROUP BY at"
			got, want := attempt(t, c, sql), attempt(t, direct, sql)
			if got != want {
				t.Fatalf("round %d after %s: %q, want %q", round, set, got, want)
			}
		}
	}
	if hits := r.hits(); hits < 25 {
		t.Errorf("%d hits; %v", hits, r.Status())
	}
	if probes := r.probes(t); probes > 30 {
		t.Errorf("%v probes", probes)
	}
}

// attempt returns a query's value, or its SQLSTATE.
func attempt(t *testing.T, c *pgx.Conn, sql string) string {
	t.Helper()
	var a, b string
	err := c.QueryRow(bounded(t), sql, pgx.QueryExecModeSimpleProtocol).Scan(&a, &b)
	if err != nil {
		return err.Error()
	}
	return a + "|" + b
}

// TestSettingThatWasNeverSet: what a block sets and its end undoes is empty from then on, which is another value than none.
func TestSettingThatWasNeverSet(t *testing.T) {
	r := start(t, tenants...)
	for _, block := range [][]string{
		{"BEGIN", "SET LOCAL app.second = 'x'", "COMMIT"},
		{"BEGIN", "SET LOCAL app.second = 'x'", "ROLLBACK"},
		{"BEGIN", "SET LOCAL app.tenant = 'x'", "SAVEPOINT a", "SET LOCAL app.tenant = 'y'", "ROLLBACK TO a", "SET LOCAL app.second = 'x'", "COMMIT"},
		{"BEGIN", "SET LOCAL app.tenant = 'x'", "COMMIT AND CHAIN", "SET LOCAL app.second = 'x'", "COMMIT"},
		{"SET LOCAL app.second = 'x'"},
		{"SELECT set_config('app.second', 'x', true)"},
		{"BEGIN", "SELECT set_config('app.second', 'x', true), 1/0", "ROLLBACK"},
		{"BEGIN", "SET app.second = 'x'", "ROLLBACK"},
	} {
		c, past := asReader(t, r, "default_query_exec_mode=simple_protocol")
		const sql = "SELECT count(*) FROM unset"
		for range 2 {
			if got := value(t, c, sql); got != "1" {
				t.Fatalf("%s before anything is set", got)
			}
		}
		for _, statement := range block {
			_, _ = c.Exec(bounded(t), statement)
			_, _ = past.Exec(bounded(t), statement)
		}
		for range 2 {
			var want string
			if err := past.QueryRow(bounded(t), "SELECT count(*)::text FROM unset").Scan(&want); err != nil {
				t.Fatal(err)
			}
			if got := value(t, c, sql); got != want {
				t.Errorf("%q: %s, want %s", block, got, want)
			}
		}
	}
}

// TestLibraryLoadedLater: PL/pgSQL brings settings of its own into a session when it is first used; that changes no answer.
func TestLibraryLoadedLater(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)",
		"CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
		"CREATE TABLE u (id int)", "CREATE TRIGGER touch BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION touch()")
	c, other := r.connect("default_query_exec_mode=exec"), r.connect("default_query_exec_mode=exec")
	read := func(c *pgx.Conn) { value(t, c, "SELECT id FROM t") }
	read(c)
	read(c)
	mustExec(t, c, "INSERT INTO u VALUES (1)")
	mustExec(t, c, "SET TimeZone = 'Asia/Tokyo'") // so that the settings are read again
	read(c)
	mustExec(t, c, "SET TimeZone = 'Etc/UTC'")
	mustExec(t, other, "SET TimeZone = 'Etc/UTC'")
	read(other)
	hits := r.hits()
	read(c)
	if r.hits() == hits {
		t.Errorf("no hit: %v", r.Status())
	}
}
