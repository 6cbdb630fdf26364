package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/warm"
)

// TestWarmTheCostliest flushes a pgrecall and warms it with what its database says costs most, and with the parameters that it has seen.
func TestWarmTheCostliest(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithConfig("shared_preload_libraries = 'pg_stat_statements'"))
	dsn := server.NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), config.Database, `CREATE EXTENSION pg_stat_statements; CREATE ROLE shop LOGIN; CREATE ROLE poor LOGIN;
		CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name, timestamptz '2026-01-01' AS made FROM generate_series(1, 1000) i; GRANT ALL ON goods TO shop`); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn, "--admin-token", adminToken)
	shop := server.DSNAs("shop", config.Database)
	const costly, single = "SELECT count(*)::text FROM goods a, goods b WHERE a.id < $1", "SELECT name FROM goods WHERE id = %d"
	read := func(c *pgx.Conn, sql string, args ...any) {
		t.Helper()
		var value string
		if err := c.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	shopping := func() {
		simple := s.through(t, shop, "&default_query_exec_mode=simple_protocol")
		binary := s.through(t, shop, "&default_query_exec_mode=describe_exec")
		read(binary, costly, 900)
		read(binary, costly, 901)
		read(simple, fmt.Sprintf(single, 3))
		read(simple, "SELECT max(name)  FROM goods")
		read(simple, "SELECT (made + interval '1 day')::text FROM goods WHERE id = 1") // interval $1, in pg_stat_statements
	}
	shopping()
	simple := s.through(t, shop, "&default_query_exec_mode=simple_protocol")
	read(simple, "SELECT now()::text FROM goods")
	run(t, simple, "UPDATE goods SET name = 'm' WHERE id = 1000")
	past, err := pgx.Connect(t.Context(), shop+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = past.Close(t.Context()) })
	read(past, "SELECT id::text FROM goods WHERE name = 'n3'")
	// Another role's parameters are of no use.
	read(s.through(t, dsn, "&default_query_exec_mode=describe_exec"), costly, 5)

	warmed := func(upstream string, args ...string) (report warm.Report, stderr string) {
		t.Helper()
		_, stdout, stderr := runCommand(t, []string{"PGRECALL_ADMIN_TOKEN=" + adminToken}, append([]string{"warm", "--upstream", upstream,
			"--target", s.dsn(t, shop), "--admin", strings.TrimPrefix(s.admin, "http://"), "--json"}, args...)...)
		if stdout != "" {
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%v\n%s", err, stdout)
			}
		}
		return report, stderr
	}
	if status, _, stderr := runCommand(t, nil, "flush", "--all", "--admin", strings.TrimPrefix(s.admin, "http://"), "--token", adminToken); status != 0 {
		t.Fatal(stderr)
	}
	if report, stderr := warmed(dsn, "--top", "1", "--dry-run"); report.Eligible != 2 || !strings.Contains(report.Queries[0].Query, "goods b") {
		t.Errorf("the costliest: %+v\n%s", report, stderr)
	}
	report, stderr := warmed(dsn, "--top", "50")
	if report.Loaded != 5 || report.Present != 0 || report.Errors != 0 ||
		report.Reasons["no parameters of it were seen among the hot keys"] != 1 || report.Reasons["stable_function (now)"] != 1 {
		t.Errorf("%+v\n%s", report, stderr)
	}
	before := s.hits(t)
	if shopping(); s.hits(t)-before != 5 {
		t.Errorf("%d of 5 are hits", s.hits(t)-before)
	}

	if _, stderr = warmed(server.DSNAs("poor", config.Database), "--top", "3"); !strings.Contains(stderr, "GRANT pg_read_all_stats TO") {
		t.Errorf("a role that may not read texts: %s", stderr)
	}
	if err := server.Exec(t.Context(), config.Database, "DROP EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	if _, stderr = warmed(dsn, "--top", "3"); !strings.Contains(stderr, "pgrecall: database "+config.Database+": no pg_stat_statements: put it into shared_preload_libraries, restart") {
		t.Errorf("no extension: %s", stderr)
	}
}

// TestWarmTopNeedsTheLibrary: the extension alone counts nothing.
func TestWarmTopNeedsTheLibrary(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), config.Database, "CREATE EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn)
	status, _, stderr := runCommand(t, nil, "warm", "--upstream", dsn, "--listen", s.listen, "--top", "3")
	if status != 1 || !strings.Contains(stderr, "put it into shared_preload_libraries") {
		t.Errorf("%d %s", status, stderr)
	}
}
