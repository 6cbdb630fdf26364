package main

import (
	"encoding/json"
	"fmt"
	"os/user"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

const checkSchema = `
CREATE TABLE orders (id int); CREATE TABLE items (id int); CREATE UNLOGGED TABLE jobs (id int);
CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int);
CREATE FUNCTION lost() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM t; RETURN 1; END';`

// TestCheckUpstream holds files against a live schema.
func TestCheckUpstream(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.NewDatabase(t)
	parsed, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := parsed.Database
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), database, checkSchema+`CREATE ROLE app LOGIN; ALTER ROLE app SET search_path = hidden, public; GRANT USAGE ON SCHEMA hidden TO app;
		CREATE ROLE `+pgx.Identifier{current.Username}.Sanitize()+` SUPERUSER LOGIN`); err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprintf("host=%s port=%d dbname=%s sslmode=disable", server.Host(), server.Port(), database)
	const lost = "functions:\n  - {name: lost, writes: [hidden.t]}\n"
	broken := writeFile(t, "# orders\nrules:\n  - match:\n      tables:\n        - orders\n        - itms\n    ttl: 5s\n  - name: j\n    match: {tables: [jobs]}\n    ttl: 2h\n"+lost)
	doubtful := writeFile(t, "rules:\n  - match: {tables: [orders]}\n    ttl: 2h\n"+lost)
	sane := writeFile(t, "rules:\n  - match: {tables: [orders]}\n    ttl: 5s\n"+lost)
	bare := writeFile(t, "rules:\n  - match: {tables: [orders]}\n    ttl: 5s\n")
	defective := writeFile(t, "cache:\n  mode: maybe\n")
	const beyond = "consistency: strict holds for writes through pgrecall alone; what is written past it (psql at the server, a migration, a job) shows after 2h; at most 1h, or consistency: ttl to say that answers may be that old"
	url := "DATABASE_URL=" + dsn

	for name, test := range map[string]struct {
		env    []string
		args   []string
		status int
		stdout string
		stderr string
	}{
		"errors": {[]string{url}, []string{broken, "--upstream"}, 1, broken + `:6: rules[0].match.tables[1]: error: no table or view of database ` + database + ` matches "itms"; did you mean public.items?
` + broken + `:9: rules[1].match.tables[0]: warning: public.jobs is unlogged: *`, ""},
		"warnings":           {nil, []string{"--upstream", dsn, "--config", doubtful}, 0, doubtful + ":3: rules[0].ttl: warning: " + beyond, ""},
		"strict":             {nil, []string{"--upstream=" + dsn, "--strict", "--config", doubtful}, 1, doubtful + ":3: rules[0].ttl: warning: " + beyond, ""},
		"sane":               {[]string{url}, []string{"--upstream", sane, "--strict"}, 0, "ok", ""},
		"file last":          {[]string{url}, []string{"--strict", "--upstream", sane}, 0, "ok", ""},
		"by flag":            {[]string{url}, []string{sane, "--upstream", "--default-ttl", "2h"}, 0, "--default-ttl: cache.default_ttl: warning: " + beyond, ""},
		"by variable":        {[]string{url, "PGRECALL_DEFAULT_TTL=2h"}, []string{sane, "--upstream"}, 0, "PGRECALL_DEFAULT_TTL: cache.default_ttl: warning: " + beyond, ""},
		"in the database":    {[]string{url}, []string{bare, "--upstream"}, 0, "database " + database + ": public.lost: warning: each call invalidates the whole database: function public.lost: unknown relation t; *", ""},
		"as a role":          {[]string{url}, []string{bare, "--upstream", "--user", "app", "--strict"}, 0, "ok", ""},
		"no such role":       {[]string{url}, []string{bare, "--upstream", "--user", "nobody"}, 1, "", `pgrecall: --user: the upstream has no role "nobody"`},
		"not asked":          {[]string{"DATABASE_URL=postgres://u@127.0.0.1:1/d"}, []string{broken}, 0, "ok", ""},
		"defects come first": {[]string{"DATABASE_URL=postgres://u@127.0.0.1:1/d"}, []string{defective, "--upstream"}, 1, defective + `:2: cache.mode: "maybe" is not one of on, off, shadow`, ""},
		"nowhere":            {[]string{"DATABASE_URL=postgres://u@127.0.0.1:1/d"}, []string{sane, "--upstream"}, 1, "", "pgrecall: cannot connect to the upstream: *"},
		"no upstream":        {nil, []string{sane, "--upstream"}, 1, "", "pgrecall: no upstream: give --upstream postgres://host:port/database, or set DATABASE_URL"},
		"no account":         {nil, []string{sane, "--upstream", nobody}, 1, "--upstream: upstream: error: it names no account of pgrecall's own, so nothing is cached; *", ""},
		"pooler":             {nil, []string{"--upstream", startPooler(t, server)}, 0, "--upstream: upstream: warning: a pooler stands between pgrecall and the server: *", ""},
		"two files":          {nil, []string{sane, bare}, 1, `unexpected argument "` + bare + `"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, test.env, append([]string{"check"}, test.args...)...)
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			like(t, "stdout", stdout, test.stdout)
			like(t, "stderr", stderr, test.stderr)
		})
	}

	t.Run("JSON", func(t *testing.T) {
		var got checked
		read := func(want int, args ...string) {
			t.Helper()
			status, stdout, stderr := runCommand(t, []string{url}, append([]string{"check", "--json"}, args...)...)
			got = checked{}
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != want {
				t.Fatalf("%d, %v in %s %s", status, err, stdout, stderr)
			}
		}
		read(1, "--config", broken, "--upstream")
		if len(got.Findings) != 3 || got.Database != database || got.User != "postgres" {
			t.Fatalf("got %+v", got)
		}
		want := checkFinding{broken, 6, "rules[0].match.tables[1]", "", "error", "no_table", `no table or view of database ` + database + ` matches "itms"`, "did you mean public.items?"}
		if got.Findings[0] != want {
			t.Errorf("got %+v", got.Findings[0])
		}
		if f := got.Findings[1]; f.Object != "public.jobs" || f.Code != "unlogged" {
			t.Errorf("got %+v", f)
		}
		read(0, "--config", sane, "--upstream")
		if got.Findings == nil || len(got.Findings) > 0 || strings.Join(got.Schemas, " ") != "pg_catalog public" {
			t.Errorf("got %+v", got)
		}
		read(1, "--config", defective)
		if want := (checkFinding{Source: defective, Line: 2, Path: "cache.mode", Level: "error", Code: "configuration", What: `"maybe" is not one of on, off, shadow`}); len(got.Findings) != 1 || got.Findings[0] != want {
			t.Errorf("got %+v", got)
		}
	})
}
