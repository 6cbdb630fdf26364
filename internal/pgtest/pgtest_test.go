package pgtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func query(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestStartAppliesOptions(t *testing.T) {
	s := Start(t, WithConfig("wal_level = logical"), WithTLS(), WithHBA("host refused all all reject"))
	conn := connect(t, s.NewDatabase(t))
	if got := query(t, conn, "SHOW wal_level"); got != "logical" {
		t.Errorf("wal_level: %s", got)
	}
	if _, err := pgx.Connect(t.Context(), s.DSN("refused")); err == nil || !strings.Contains(err.Error(), "28000") {
		t.Errorf("a line of WithHBA was not applied: %v", err)
	}
	config, err := pgx.ParseConfig(s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	secure, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("connect with TLS: %v", err)
	}
	_ = secure.Close(t.Context())
}

func TestSharedIsOneServerWithManyDatabases(t *testing.T) {
	first, second := Shared(t).NewDatabase(t), Shared(t).NewDatabase(t)
	if first == second {
		t.Fatalf("the same database twice: %s", first)
	}
	if query(t, connect(t, first), "SELECT current_database()") == query(t, connect(t, second), "SELECT current_database()") {
		t.Error("two DSNs lead to one database")
	}
}

func TestDataOutlivesRestartAndKill(t *testing.T) {
	s := Start(t)
	if err := s.Exec(t.Context(), "postgres", "CREATE TABLE kept AS SELECT 'here' AS value"); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(context.Context) error{"Stop": s.Stop, "Kill": s.Kill} {
		conn := connect(t, s.DSN("postgres")) // a backend that must go, too
		if err := end(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for deadline := time.Now().Add(10 * time.Second); conn.Ping(t.Context()) == nil; { // it may not have heard of it yet
			if time.Now().After(deadline) {
				t.Fatalf("%s left a backend", name)
			}
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatalf("start after %s: %v", name, err)
		}
		if got := query(t, connect(t, s.DSN("postgres")), "SELECT value FROM kept"); got != "here" {
			t.Errorf("after %s: %q", name, got)
		}
	}
}

func TestOtherVersionsComeFromNPM(t *testing.T) {
	s := Start(t, WithVersion("18"))
	if got := query(t, connect(t, s.DSN("postgres")), "SHOW server_version"); !strings.HasPrefix(got, "18.") {
		t.Errorf("server_version: %s", got)
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	s, err := StartServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := s.process.pid
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("postmaster: %v", err)
	}
}

// TestServerDiesWithItsProcess runs this test binary as a child that starts a server and kills
// itself.
func TestServerDiesWithItsProcess(t *testing.T) {
	if report := os.Getenv("PGTEST_DIE_AFTER_START"); report != "" {
		s := Start(t)
		if err := os.WriteFile(report, []byte(s.DataDir()), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	report := filepath.Join(t.TempDir(), "report")
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "PGTEST_DIE_AFTER_START="+report)
	if err := child.Run(); err == nil {
		t.Fatal("the child lived on")
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(string(data)); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", data)
		}
	}
}
