package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestFleetDemo runs the fleet's demo in short. It fails by itself when a read is stale, or when a new process has nothing out of L2.
func TestFleetDemo(t *testing.T) {
	t.Setenv(asCommand, "1") // the demo starts this program
	dsn := pgtest.Shared(t).NewDatabase(t)
	env := func(name string) string {
		return map[string]string{"DATABASE_URL": dsn, "DEMO_EXIT": "1", "PGRECALL_LISTEN": "127.0.0.1:0", "PGRECALL_ADMIN": "127.0.0.1:0"}[name]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	p := &process{args: []string{"--fleet"}, env: env, stdout: &stdout, stderr: &stderr}
	c, err := config.Load(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.runFleetDemo(ctx, c, time.Second); err != nil {
		t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
	}
	if !regexp.MustCompile(`\nhit rate: [1-9][0-9]*%\nstale reads: 0\n$`).MatchString(stdout.String()) {
		t.Errorf("the last lines are wrong:\n%s", &stdout)
	}
	if !regexp.MustCompile(`its first 500 reads, in .*: [1-9][0-9]*% out of L2`).MatchString(stdout.String()) {
		t.Errorf("the first reads are wrong:\n%s", &stdout)
	}
}

func TestFleetDemoPicksItsAddresses(t *testing.T) {
	status, _, stderr := runCommand(t, nil, "demo", "--fleet", "--listen", "127.0.0.1:0")
	if status != exitFailure {
		t.Errorf("exit status %d", status)
	}
	like(t, "stderr", stderr, "pgrecall: demo --fleet finds addresses for three pgrecalls itself: leave --listen out")
}

// TestFleetCheckerSeesStaleReads shows old rows to the checker: "stale reads: 0" means something.
func TestFleetCheckerSeesStaleReads(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	direct, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := &demoDatabase{schema: "public", upstream: upstream{config: direct}}
	err = database.do(t.Context(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), "CREATE TABLE stock (product_id int, quantity int, version bigint); INSERT INTO stock VALUES (1, 1, 6), (2, 1, 8)", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleetLoad{database: database}
	f.known.stock[1].Store(7)
	f.known.stock[2].Store(7)
	c := &fleetClient{load: f, ctx: t.Context(), statements: context.WithoutCancel(t.Context()), connections: map[*member]*pgx.Conn{}}
	defer c.close()
	m := &member{name: "PostgreSQL", listen: server.Address(), admission: admit(2)}
	for id := range 2 {
		if err := c.check(m, f.stockRow(id+1)); err != nil {
			t.Fatal(err)
		}
	}
	if f.stale.Load() != 1 || f.reads.Load() != 2 {
		t.Errorf("%d stale of %d", f.stale.Load(), f.reads.Load())
	}
	select {
	case <-m.admission.through:
	default:
		t.Error("two were let through and answered, and nobody was told")
	}
	close(m.admission.open)
	if err := c.check(m, fleetRead{"SELECT nothing", 1, 1, &f.known.last}); err == nil {
		t.Error("an error of a member that lives was passed over")
	}
	m.killed.Store(true)
	if err := c.check(m, fleetRead{"SELECT nothing", 1, 1, &f.known.last}); err != nil {
		t.Errorf("an error of a member that was killed: %v", err)
	}
}

func TestColdMemberIsADefect(t *testing.T) {
	d := &fleetDemo{}
	if err := d.verdict(1); err == nil || errors.Is(err, errColdMember) {
		t.Errorf("a stale read: %v", err)
	}
	if err := d.verdict(0); !errors.Is(err, errColdMember) {
		t.Errorf("no hit out of L2: %v", err)
	}
}
