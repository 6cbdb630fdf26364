package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestConsoleReload(t *testing.T) {
	file := writeFile(t, "cache: {default_ttl: 5s}\n")
	s, _ := startConsole(t, file)
	var notices []string
	config, err := pgx.ParseConfig("postgres://postgres@" + s.listen + "/pgrecall?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Severity+" "+n.Message) }
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	setting := func(name string) map[string]any {
		for _, r := range records(t, c, "SHOW CONFIG") {
			if r["name"] == name {
				return r
			}
		}
		t.Fatal(name)
		return nil
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cache: {default_ttl: 6s, l1_size: 512MiB}\nrules: [{name: x, ttl: 1s}]\n")
	if tag, err := c.Exec(t.Context(), "RELOAD"); err != nil || tag.String() != "RELOAD" {
		t.Fatalf("%s %v", tag, err)
	}
	if fmt.Sprint(notices) != "[WARNING these need a restart: cache.l1_size]" {
		t.Errorf("%q", notices)
	}
	if r := setting("cache.default_ttl"); r["value"] != "6s" || r["reload"] != true || r["restart_needed"] != false {
		t.Errorf("%v", r)
	}
	if r := setting("cache.l1_size"); r["value"] != "256MiB" || r["reload"] != false || r["restart_needed"] != true {
		t.Errorf("%v", r)
	}
	if r := setting("rules"); !strings.Contains(r["value"].(string), "name: x") {
		t.Errorf("%v", r)
	}
	s.logs.await(t, "configuration reloaded")
	write("cache: {default_ttl: 6}\n")
	_, err = c.Exec(t.Context(), "RELOAD")
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "F0000" || !strings.Contains(e.Detail, `cache.default_ttl: "6" has no unit`) {
		t.Errorf("%+v", err)
	}
	if r := setting("cache.default_ttl"); r["value"] != "6s" {
		t.Errorf("%v", r)
	}
}

// TestConsoleIsOffByDefault: the name is the upstream's then.
func TestConsoleIsOffByDefault(t *testing.T) {
	s := startServing(t, pgtest.Shared(t).NewDatabase(t))
	_, err := pgx.Connect(t.Context(), "postgres://postgres@"+s.listen+"/pgrecall?sslmode=disable")
	if sqlState(err) != "3D000" {
		t.Errorf("%v, want PostgreSQL's own refusal", err)
	}
}

// TestConsoleRolesReload: who is not named any more is refused at the next connection.
func TestConsoleRolesReload(t *testing.T) {
	file := writeFile(t, "console: {roles: [postgres], database: ops}\n")
	s := startServing(t, pgtest.Shared(t).NewDatabase(t), "--config", file)
	dsn := "postgres://postgres@" + s.listen + "/ops?sslmode=disable"
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for roles, code := range map[string]string{"[]": "3D000", "[somebody]": "28000"} {
		if err := os.WriteFile(file, []byte("console: {roles: "+roles+", database: ops}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "RELOAD"); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), dsn); sqlState(err) != code {
			t.Errorf("%s: %v, want %s", roles, err, code)
		}
	}
}
