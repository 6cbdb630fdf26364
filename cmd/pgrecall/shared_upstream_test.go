package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// refuses wants no process to share a cache in front of an upstream, and to be told why.
func refuses(t *testing.T, upstream, why string) {
	t.Helper()
	var log lines
	_, err := startInstance(t, &log, "--upstream", upstream, "--redis=redis://"+pgtest.StartRedis(t).Address())
	if err == nil || !strings.Contains(err.Error(), "cache.redis: the upstream is "+why) {
		t.Errorf("%v, want the upstream refused as %s", err, why)
	}
}

// TestNoFleetInFrontOfAStandby: it shows writes later than the fleet is told of them.
func TestNoFleetInFrontOfAStandby(t *testing.T) {
	server := pgtest.Start(t)
	if err := os.WriteFile(filepath.Join(server.DataDir(), "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses(t, server.DSN("postgres"), "a standby")
}

// TestNoFleetInFrontOfAPooler: it hides the server's processes, by which a fleet sees whose writes are over.
func TestNoFleetInFrontOfAPooler(t *testing.T) {
	refuses(t, startPooler(t, pgtest.Shared(t)), "a pooler")
}

// startPooler starts a pgbouncer in front of a server and returns its DSN.
func startPooler(t *testing.T, server *pgtest.Server) string {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	directory, err := os.MkdirTemp(server.Directory(), "bouncer-")
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%d
[pgbouncer]
unix_socket_dir = %s
listen_port = 6432
pool_mode = session
auth_type = trust
auth_file = users.txt
`, server.Host(), server.Port(), directory)
	for name, text := range map[string]string{"users.txt": `"postgres" ""`, "pgbouncer.ini": settings} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command, err := server.Command(t.Context(), directory, program, "pgbouncer.ini")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatalf("%v (Debian's package pgbouncer has it; .ci/deps installs it)", err)
	}
	t.Cleanup(func() { _ = command.Wait() }) // it was killed when the test's context ended
	dsn := "host=" + directory + " port=6432 user=postgres dbname=postgres sslmode=disable"
	for deadline := time.Now().Add(startBound); ; time.Sleep(10 * time.Millisecond) { // it tells nobody that it is ready
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			_ = conn.Close(t.Context())
			return dsn
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("%v: %s", err, text)
		}
	}
}
