package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/warm"
)

const adminToken = "open-sesame"

// through connects through a pgrecall to what a DSN names, with further parameters.
func (s serving) through(t *testing.T, dsn string, parameters string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn(t, dsn)+parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func (s serving) dsn(t *testing.T, dsn string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return "postgres://" + config.User + "@" + s.listen + "/" + config.Database + "?sslmode=disable"
}

// hits returns how many statements were answered from memory so far.
func (s serving) hits(t *testing.T) uint64 {
	t.Helper()
	var status struct{ Statements map[string]uint64 }
	if err := json.Unmarshal(s.fetch(t, "/api/status"), &status); err != nil {
		t.Fatal(err)
	}
	return status.Statements["hit_l1"]
}

// fetch returns what the admin server has at a path.
func (s serving) fetch(t *testing.T, path string) []byte {
	t.Helper()
	response, err := http.Get(s.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// applications ask, each as a driver of its own, and return what they got. They ask for the number of queries that they return with it.
func applications(t *testing.T, s serving, dsn, reporter string) (map[string]string, uint64) {
	t.Helper()
	answers := map[string]string{}
	ask := func(name string, c *pgx.Conn, sql string, args ...any) {
		t.Helper()
		var value string
		if err := c.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answers[name] = value
	}
	const byID = "SELECT name FROM goods WHERE id = $1"
	simple := s.through(t, dsn, "&default_query_exec_mode=simple_protocol")
	ask("simple", simple, "SELECT name FROM goods WHERE id = 3")
	ask("text", s.through(t, dsn, "&default_query_exec_mode=exec"), byID, 4)
	ask("binary", s.through(t, dsn, "&default_query_exec_mode=describe_exec"), byID, 5)
	prepared := s.through(t, dsn, "&default_query_exec_mode=cache_statement")
	ask("prepared", prepared, byID, 6)
	ask("bytes", prepared, "SELECT name FROM goods WHERE code = $1", []byte{0, 7, 255})
	ask("null", s.through(t, dsn, "&default_query_exec_mode=exec"), "SELECT count(*)::text FROM goods WHERE id = $1", nil)
	tokyo := s.through(t, dsn, "&default_query_exec_mode=exec&TimeZone=Asia/Tokyo&extra_float_digits=0")
	ask("settings", tokyo, "SELECT made::text FROM goods WHERE id = $1", 8)
	ask("settings, simple", s.through(t, dsn, "&default_query_exec_mode=simple_protocol&TimeZone=Asia/Tokyo&extra_float_digits=0"), "SELECT made::text FROM goods WHERE id = 8")
	own := uint64(len(answers))
	ask("other role", s.through(t, reporter, "&default_query_exec_mode=exec"), byID, 4)
	changed := s.through(t, dsn, "&default_query_exec_mode=exec")
	if _, err := changed.Exec(t.Context(), "SET DateStyle = 'German'"); err != nil {
		t.Fatal(err)
	}
	ask("set later", changed, "SELECT made::text FROM goods WHERE id = $1", 9)
	return answers, own
}

// TestWarmFromAnother warms a fresh pgrecall from the hot keys of one that is in use.
func TestWarmFromAnother(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), config.Database, `CREATE ROLE reporter LOGIN;
		CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name, decode('00' || lpad(to_hex(i), 2, '0') || 'ff', 'hex') AS code,
			timestamptz '2026-01-01' + i * interval '1h' AS made FROM generate_series(1, 10) i; GRANT SELECT ON goods TO reporter`); err != nil {
		t.Fatal(err)
	}
	reporter := server.DSNAs("reporter", config.Database)
	source := startServing(t, dsn, "--admin-token", adminToken)
	want, own := applications(t, source, dsn, reporter)

	fresh := startServing(t, dsn)
	warmed := func(args ...string) warm.Report {
		t.Helper()
		status, stdout, stderr := runCommand(t, []string{"PGRECALL_ADMIN_TOKEN=" + adminToken},
			append([]string{"warm", "--upstream", dsn, "--listen", fresh.listen, "--from", source.admin, "--json"}, args...)...)
		var report warm.Report
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 {
			t.Fatalf("%d %v\n%s\n%s", status, err, stdout, stderr)
		}
		return report
	}
	report := warmed()
	if report.Loaded != int(own) || report.Skipped != 2 || report.Errors != 0 || report.Reasons["role reporter: warm with --target as that role"] != 1 ||
		report.Reasons["the session that asked had other settings: give them as parameters of --target"] != 1 {
		t.Errorf("%+v", report)
	}
	if report = warmed("--target", fresh.dsn(t, reporter), "--token", adminToken); report.Loaded != 1 || report.User != "reporter" {
		t.Errorf("as the other role: %+v", report)
	}
	before := fresh.hits(t)
	got, _ := applications(t, fresh, dsn, reporter)
	if n := fresh.hits(t) - before; n != own+1 {
		t.Errorf("%d of %d reads are hits", n, own+1)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}

	for what, test := range map[string]struct{ from, token, want string }{
		"wrong token": {source.admin, "wrong", "says 401 unauthorized: a valid token is needed"},
		"no token":    {fresh.admin, adminToken, "says 403 forbidden: hot keys hold parameters' values: they are shown only where admin.token is set"},
		"no pgrecall": {"http://" + server.Address(), adminToken, "--from: "},
	} {
		status, _, stderr := runCommand(t, nil, "warm", "--upstream", dsn, "--listen", fresh.listen, "--from", test.from, "--token", test.token)
		if status != 1 || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d %s", what, status, stderr)
		}
	}
}
