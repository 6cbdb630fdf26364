package drivers

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/test"
)

// forEachTarget runs f against PostgreSQL itself and through pgrecall, each with a fresh
// database. The DSN has no password and turns TLS off.
func forEachTarget(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	server := pgtest.Start(t, pgtest.WithConfig("wal_level = logical"))
	targets := map[string]test.Target{
		"direct":   test.Direct{Server: server},
		"pgrecall": test.Proxied(t, server),
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			direct := server.NewDatabase(t)
			database := direct[strings.LastIndex(direct, "/")+1 : strings.Index(direct, "?")]
			f(t, "postgres://postgres@"+target.Address(database)+"/"+database+"?sslmode=disable")
		})
	}
}

// command runs a program and returns what it printed on standard output; it must succeed.
func command(t *testing.T, input, name string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, arguments...)
	c.Stdin = strings.NewReader(input)
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", name, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
