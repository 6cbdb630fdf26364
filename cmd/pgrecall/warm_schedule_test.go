package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestNextRun(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04:05", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, test := range []struct {
		at        string
		every     time.Duration
		now, want string
	}{
		{"06:30", 0, "2026-02-28 06:29:59", "2026-02-28 06:30:00"},
		{"06:30", 0, "2026-02-28 06:30:00", "2026-03-01 06:30:00"},
		{"22:15,06:30", 0, "2026-12-31 23:00:00", "2027-01-01 06:30:00"},
		{"start,06:30", 0, "2026-06-01 06:00:00", "2026-06-01 06:30:00"},
		{"06:30", time.Minute, "2026-06-01 06:00:00", "2026-06-01 06:01:00"},
		{"06:30", time.Hour, "2026-06-01 06:00:00", "2026-06-01 06:30:00"},
		{"06:30", 0, "2026-03-28 12:00:00", "2026-03-29 06:30:00"}, // the clock is set that night
		{"06:30", 0, "2026-10-24 12:00:00", "2026-10-25 06:30:00"},
		{"start", 0, "2026-06-01 06:00:00", ""},
	} {
		next := nextRun(&config.Warm{At: strings.Split(test.at, ","), Every: test.every}, at(test.now))
		if test.want == "" && next.IsZero() {
			continue
		}
		if test.want == "" || !next.Equal(at(test.want)) {
			t.Errorf("at %s, every %v, after %s: %v, want %s", test.at, test.every, test.now, next, test.want)
		}
	}
}

// goodsFor makes a database with something to read, and a file that reads it.
func goodsFor(t *testing.T, server *pgtest.Server) (dsn, database, file string) {
	t.Helper()
	dsn = server.NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), config.Database, "CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 10) i"); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "hot.sql")
	if err := os.WriteFile(file, []byte("SELECT name FROM goods WHERE id = 3; SELECT name FROM goods WHERE id = 4; SELECT now() FROM goods"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dsn, config.Database, file
}

// TestServeWarmsItself at its start and again and again.
func TestServeWarmsItself(t *testing.T) {
	dsn, database, file := goodsFor(t, pgtest.Shared(t))
	s := startServing(t, dsn, "--warm-file", file, "--warm-at", "start", "--warm-every", "1s")
	s.logs.await(t, `level=INFO msg=warmed loaded=2 present=0 skipped=1 errors=0 seconds=\S+ role=postgres database=`+database+` reasons="stable_function`)
	before := s.hits(t)
	c := s.through(t, dsn, "&default_query_exec_mode=simple_protocol")
	if n := readInt(t, c, "SELECT length(name) FROM goods WHERE id = 3"); n != 2 {
		t.Errorf("got %d", n)
	}
	var name string
	if err := c.QueryRow(t.Context(), "SELECT name FROM goods WHERE id = 3").Scan(&name); err != nil || name != "n3" || s.hits(t) <= before {
		t.Errorf("%q, %v, hits %d", name, err, s.hits(t)-before)
	}
	s.logs.await(t, `msg=warmed loaded=0 present=2`)
	run(t, c, "UPDATE goods SET name = 'm3' WHERE id = 3")
	s.logs.await(t, `msg=warmed loaded=2 present=0 [^\n]*(\n.*)*msg=warmed loaded=2 present=0`)
	if err := c.QueryRow(t.Context(), "SELECT name FROM goods WHERE id = 3").Scan(&name); err != nil || name != "m3" {
		t.Errorf("after the write: %q, %v", name, err)
	}
	metrics := string(s.fetch(t, "/metrics"))
	for _, want := range []string{`pgrecall_warm_queries_total{outcome="loaded"} 4`, `pgrecall_warm_runs_total{result="stopped"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, "pgrecall_warm_last_run_seconds 0\n") || strings.Contains(metrics, "pgrecall_warm_last_run_timestamp_seconds 0\n") {
		t.Error("the last run is not told")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.logs.await(t, `level=WARN msg="warming ended early" loaded=0 .* error="open `+file)
}

// TestServeWarmsTheCostliest with parameters that it remembers itself: nobody needs a token for that.
func TestServeWarmsTheCostliest(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithConfig("shared_preload_libraries = 'pg_stat_statements'"))
	dsn, database, _ := goodsFor(t, server)
	if err := server.Exec(t.Context(), database, "CREATE EXTENSION pg_stat_statements; CREATE ROLE shop LOGIN; GRANT SELECT ON goods TO shop"); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn, "--warm-top", "5", "--warm-every", "1s", "--warm-target", "postgres://shop@127.0.0.1:1/"+database)
	s.logs.await(t, `msg="warming ended early" .*error="connect through pgrecall`) // the port is known only now
	again := startServing(t, dsn, "--warm-top", "5", "--warm-every", "1s")
	c := again.through(t, dsn, "&default_query_exec_mode=describe_exec")
	var name string
	if err := c.QueryRow(t.Context(), "SELECT name FROM goods WHERE id = $1", 7).Scan(&name); err != nil {
		t.Fatal(err)
	}
	again.logs.await(t, `msg=warmed loaded=0 present=1 .*role=postgres`)
	if status, _, stderr := runCommand(t, nil, "flush", "--all", "--admin", strings.TrimPrefix(again.admin, "http://")); status != 0 {
		t.Fatal(stderr)
	}
	again.logs.await(t, `msg=warmed loaded=1 present=0`)
}

// TestShutdownEndsWarming: a read that takes long keeps nobody, and PostgreSQL is told.
func TestShutdownEndsWarming(t *testing.T) {
	dsn, _, file := goodsFor(t, pgtest.Shared(t))
	const long = "SELECT count(*) FROM goods a, goods b, goods c, goods d, goods e, goods f, goods g, goods h, goods i, goods j, goods k, goods l"
	if err := os.WriteFile(file, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn, "--warm-file", file, "--warm-at", "start")
	direct, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = direct.Close(t.Context()) }()
	running := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(15 * time.Second); ; {
			n := readInt(t, direct, "SELECT count(*)::int FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%goods l' AND datname = current_database()")
			if n == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d run, want %d", n, want)
			}
		}
	}
	running(1)
	begun := time.Now()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.logs.await(t, `msg=stopped`)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the end took %v", took)
	}
	running(0)
	if text := s.logs.String(); strings.Contains(text, "cut off") || strings.Contains(text, "warm") {
		t.Error("warming was cut off, or told of its end")
	}
}

func TestAScheduleNeedsAnAccount(t *testing.T) {
	status, _, stderr := runCommand(t, nil, "serve", "--upstream", "postgres://127.0.0.1:1/d", "--listen=127.0.0.1:0", "--warm-file=x", "--warm-at=start")
	if status != 1 || !strings.Contains(stderr, "pgrecall: warm: a schedule needs an account of pgrecall's own") {
		t.Errorf("%d %s", status, stderr)
	}
}
