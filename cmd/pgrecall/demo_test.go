package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestDemo runs the demo in short on a database that belongs to somebody.
func TestDemo(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	env := func(name string) string {
		return map[string]string{"DATABASE_URL": dsn, "DEMO_EXIT": "1", "PGRECALL_LISTEN": "127.0.0.1:0", "PGRECALL_ADMIN": "127.0.0.1:0"}[name]
	}
	var stdout, stderr bytes.Buffer
	p := &process{env: env, stdout: &stdout, stderr: &stderr}
	c, err := config.Load(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.runDemo(t.Context(), c, 300*time.Millisecond); err != nil {
		t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
	}
	if !regexp.MustCompile(`\nhit rate: [0-9]+%\nstale reads: 0\n$`).MatchString(stdout.String()) {
		t.Errorf("the last lines are wrong:\n%s", &stdout)
	}
	if regexp.MustCompile(`hit rate: 0%|compared with acknowledged writes: 0\n`).MatchString(stdout.String()) {
		t.Errorf("nothing was cached or compared:\n%s", &stdout)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	var left int
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pgrecall%'").Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d schemas are left, %v", left, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPercentile(t *testing.T) {
	f := &phase{}
	if f.percentile(50) != 0 {
		t.Error("a percentile of nothing")
	}
	for n := 100; n > 0; n-- {
		f.latencies = append(f.latencies, time.Duration(n))
	}
	for p, want := range map[float64]time.Duration{50: 50, 99: 99, 100: 100, 0: 1} {
		if got := f.percentile(p); got != want {
			t.Errorf("p%v: %d, want %d", p, got, want)
		}
	}
}

// TestCheckerSeesStaleReads shows an old row to the demo's checker: "stale reads: 0" means something.
func TestCheckerSeesStaleReads(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), pgtest.Shared(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE stock (product_id int, version bigint); INSERT INTO stock VALUES (1, 6), (2, 8)", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	f := &phase{database: &demoDatabase{schema: "public"}, acknowledged: &versions{}}
	f.acknowledged.stock[1].Store(7)
	f.acknowledged.stock[2].Store(7)
	for id := range 2 {
		if err := f.check(t.Context(), conn, f.stockRow(id+1)); err != nil {
			t.Fatal(err)
		}
	}
	if f.stale.Load() != 1 || f.checks.Load() != 2 {
		t.Errorf("%d stale of %d", f.stale.Load(), f.checks.Load())
	}
}
