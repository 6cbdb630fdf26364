package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// startConsole starts pgrecall with a console for postgres in front of a database with a table, a view and a function.
func startConsole(t *testing.T, file string, args ...string) (s serving, dsn string) {
	t.Helper()
	server := pgtest.Shared(t)
	dsn = server.NewDatabase(t)
	database := databaseOf(t, dsn)
	if err := server.Exec(t.Context(), database, `CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 10) i; CREATE TABLE "Odd name" (id int);
		CREATE VIEW cheap AS SELECT * FROM goods WHERE id < 3`); err != nil {
		t.Fatal(err)
	}
	if file != "" {
		args = append(args, "--config", file)
	}
	return startServing(t, dsn, append(args, "--console-roles=postgres")...), dsn
}

func databaseOf(t *testing.T, dsn string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return config.Database
}

// console connects to the console.
func (s serving) console(t *testing.T, parameters string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres://postgres@"+s.listen+"/pgrecall?sslmode=disable"+parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// records returns the rows of a command by their columns' names.
func records(t *testing.T, conn *pgx.Conn, command string) []map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rows, err := conn.Query(ctx, command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return list
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// protocols are ways in which drivers ask.
var protocols = []string{"simple_protocol", "exec", "cache_statement", "cache_describe", "describe_exec"}

func TestConsoleShows(t *testing.T) {
	s, dsn := startConsole(t, writeFile(t, `
rules:
  - {name: mine, match: {tables: [goods], user: nobody}, ttl: 5s}
  - {name: goods, match: {tables: [goods]}, ttl: 7s}
  - {name: views, match: {tables: ["chea*"]}, cache: never}
`), "--admin-token=open-sesame")
	app := s.through(t, dsn, "&default_query_exec_mode=simple_protocol")
	for range 3 {
		for _, query := range []string{"SELECT name FROM goods WHERE id = 3", "SELECT name, pg_sleep(0.005) FROM goods WHERE id = 1"} {
			if _, err := app.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
	}
	database := databaseOf(t, dsn)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			c := s.console(t, "&default_query_exec_mode="+protocol)
			stats := records(t, c, "SHOW STATS")
			if len(stats) != 1 {
				t.Fatalf("%v", stats)
			}
			one := stats[0]
			if n, ok := one["hit_l1"].(int64); !ok || n < 2 {
				t.Errorf("hit_l1 %v", one["hit_l1"])
			}
			if rate, ok := one["hit_rate"].(float64); !ok || rate <= 0 || rate >= 1 {
				t.Errorf("hit_rate %v", one["hit_rate"])
			}
			if at, ok := one["started"].(time.Time); !ok || time.Since(at) > time.Hour || time.Since(at) < 0 {
				t.Errorf("started %v", one["started"])
			}
			if one["paused"] != false || one["ready"] != true || one["cache"] != "on" || one["not_ready"] != nil {
				t.Errorf("%v", one)
			}
			tables := map[any]map[string]any{}
			for _, r := range records(t, c, "show tables;") {
				if r["database"] == database {
					tables[r["table"]] = r
				}
			}
			if r := tables["public.goods"]; r["rule"] != "goods" || r["partly"] != "mine" || r["cached"] != true || r["ttl_seconds"] != 7.0 || r["consistency"] != "strict" {
				t.Errorf("%v", r)
			}
			if r := tables["public.goods"]; r["hits"].(int64) < 2 || r["misses"].(int64) < 1 || r["writes"].(int64) < 0 || r["invalidations"] == nil {
				t.Errorf("%v", r)
			}
			if r := tables["public.cheap"]; r["rule"] != "views" || r["cached"] != false || r["ttl_seconds"] != nil {
				t.Errorf("%v", r)
			}
			if r := tables["public.Odd name"]; r["rule"] != nil || r["ttl_seconds"] != 60.0 {
				t.Errorf("%v", r)
			}
			if one := records(t, c, "SHOW TABLES LIMIT 1"); len(one) != 1 {
				t.Errorf("LIMIT 1: %v", one)
			}
			reasons := map[any]map[string]any{}
			for _, r := range records(t, c, "SHOW BYPASS") {
				reasons[r["reason"]] = r
			}
			if r := reasons["volatile_function"]; r["statements"].(int64) < 3 || r["meaning"] == "" || r["change"] == "" {
				t.Errorf("%v", reasons)
			}
			shapes := records(t, c, "SHOW STATEMENTS")
			i := slices.IndexFunc(shapes, func(r map[string]any) bool { return r["tables"] == "public.goods" && r["hits"].(int64) >= 2 })
			if i < 0 || shapes[i]["seconds_saved"].(float64) <= 0 || shapes[i]["seconds"].(float64) <= 0 || shapes[i]["bypasses"] != int64(0) {
				t.Errorf("%v", shapes)
			}
			found := false
			for _, r := range shapes {
				if r["reason"] == "volatile_function" && r["detail"] == "pg_sleep" && strings.Contains(r["query"].(string), "$1") {
					found = r["bypasses"].(int64) > 0 && r["seconds"].(float64) > 0 && r["last"].(time.Time).After(one["started"].(time.Time).Add(-time.Second))
				}
			}
			if !found {
				t.Errorf("%v", shapes)
			}
			states := map[any]int{}
			for _, r := range records(t, c, "SHOW CLIENTS") {
				states[fmt.Sprint(r["database"], " ", r["state"], " ", r["role"], " ", r["tls"])]++
			}
			if states[database+" idle postgres false"] != 1 || states["pgrecall console postgres false"] < 1 {
				t.Errorf("%v", states)
			}
			tiers := records(t, c, "SHOW TIERS")
			if len(tiers) != 1 || tiers[0]["tier"] != "l1" || tiers[0]["up"] != true || tiers[0]["bytes"].(int64) <= 0 || tiers[0]["limit_bytes"] != int64(256<<20) {
				t.Errorf("%v", tiers)
			}
			if rows := records(t, c, "/* the /* nested */ one */ SHOW -- all\n HELP"); len(rows) < 12 {
				t.Errorf("%v", rows)
			}
		})
	}
}

// TestConsoleKeepsSecrets: neither the token nor passwords show, wherever they stand.
func TestConsoleKeepsSecrets(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := strings.Replace(server.NewDatabase(t), "postgres@", "postgres:s3cret-up@", 1)
	s := startServing(t, dsn, "--console-roles=postgres", "--admin-token=s3cret-token", "--hot-keys=7")
	c := s.console(t, "")
	settings := map[any]map[string]any{}
	for _, r := range records(t, c, "SHOW CONFIG") {
		settings[r["name"]] = r
		for name, v := range r {
			if strings.Contains(fmt.Sprint(v), "s3cret") {
				t.Errorf("%s of %v shows a secret: %v", name, r["name"], v)
			}
		}
	}
	if r := settings["upstream"]; r["value"] != "********" || r["reload"] != false {
		t.Errorf("%v", r)
	}
	if r := settings["admin.token"]; r["value"] != "********" || r["default_value"] != "" {
		t.Errorf("%v", r)
	}
	if r := settings["cache.redis"]; r["value"] != "" {
		t.Errorf("%v", r)
	}
	if r := settings["warm.hot_keys"]; r["value"] != "7" || r["default_value"] != "1000" || r["reload"] != false || r["restart_needed"] != false {
		t.Errorf("%v", r)
	}
	if r := settings["console.roles"]; r["value"] != "postgres" || r["reload"] != true {
		t.Errorf("%v", r)
	}
	for _, command := range []string{"SHOW STATS", "EXPLAIN SELECT 1", "SHOW CLIENTS"} {
		if out := fmt.Sprint(records(t, c, command)); strings.Contains(out, "s3cret") {
			t.Errorf("%s: %s", command, out)
		}
	}
}

func TestConsoleFlush(t *testing.T) {
	s, dsn := startConsole(t, "")
	app := s.through(t, dsn, "&default_query_exec_mode=simple_protocol")
	c := s.console(t, "")
	database := databaseOf(t, dsn)
	read := func() {
		for _, query := range []string{"SELECT count(*) FROM goods", `SELECT count(*) FROM "Odd name"`} {
			if _, err := app.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
	}
	fingerprint := ""
	for _, r := range records(t, c, "EXPLAIN DATABASE "+database+" SELECT count(*) FROM goods") {
		if r["name"] == "fingerprint" {
			fingerprint = r["value"].(string)
		}
	}
	for command, want := range map[string]int64{
		"FLUSH ALL":                                           2,
		"flush table goods":                                   1,
		"FLUSH TABLE public.goods":                            1,
		`FLUSH TABLE "Odd name"`:                              1,
		`FLUSH TABLE public."Odd name";`:                      1,
		"FLUSH TABLE 'goods'":                                 1,
		"FLUSH TABLE goods_of_nobody":                         0,
		"FLUSH DATABASE " + database:                          2,
		"FLUSH DATABASE nowhere":                              0,
		"FLUSH FINGERPRINT " + fingerprint:                    1,
		"FLUSH FINGERPRINT '" + fingerprint + "'":             1,
		"FLUSH TABLE \"Odd name\" FINGERPRINT " + fingerprint: 0,
	} {
		read()
		rows := records(t, c, command)
		if len(rows) != 1 || rows[0]["removed"] != want || rows[0]["l2_removed"] != nil || rows[0]["others"] != nil {
			t.Errorf("%s: %v, want %d", command, rows, want)
		}
	}
	s.logs.await(t, `msg="cache flushed" .*table=goods_of_nobody .*role=postgres`)
	for command, code := range map[string]string{
		"FLUSH": "42601", "FLUSH TABEL goods": "42601", "FLUSH ALL TABLE t": "42601", "FLUSH TABLE": "42601", "FLUSH TABLE a TABLE b": "42601",
		"FLUSH FINGERPRINT xyz": "22023", "FLUSH FINGERPRINT 0": "22023", "FLUSH TABLE ''": "22023", "FLUSH TENANT t": "22023", "FLUSH ALL; FLUSH": "42601",
		"SHOW CLIENTS LIMIT 3": "42601", "SHOW TABLES LIMIT 0": "22023", "SHOW TABLES LIMIT x": "22023",
	} {
		if _, err := c.Exec(t.Context(), command); sqlState(err) != code {
			t.Errorf("%s: %v, want %s", command, err, code)
		}
	}
	read()
	if rows := records(t, c, "FLUSH ALL"); rows[0]["removed"] != int64(2) {
		t.Errorf("what was refused has flushed: %v", rows)
	}
}

func TestConsoleExplains(t *testing.T) {
	s, dsn := startConsole(t, writeFile(t, "rules: [{name: short, match: {tables: [goods]}, ttl: 9s}]\n"))
	c := s.console(t, "")
	explain := func(sql string) map[any]any {
		out := map[any]any{}
		for _, r := range records(t, c, "EXPLAIN "+sql) {
			out[r["name"]] = r["value"]
		}
		return out
	}
	database := databaseOf(t, dsn)
	if e := explain("SELECT count(*) FROM goods"); e["verdict"] != "cache" || e["ttl"] != "9s" || e["rule"] != "short" || e["database"] != database || e["relations"] != "public.goods" {
		t.Errorf("%v", e)
	}
	if e := explain("/* pgrecall: off */ SELECT 'it;s' FROM goods"); e["verdict"] != "bypass" || e["reason"] != "directive_off" {
		t.Errorf("%v", e)
	}
	if e := explain("DATABASE postgres USER postgres SELECT * FROM goods"); e["verdict"] != "bypass" || e["database"] != "postgres" {
		t.Errorf("%v", e)
	}
	if e := explain("$$ no sql" + " ; $$"); e["reason"] != "not_parsed (parser)" && !strings.HasPrefix(fmt.Sprint(e["reason"]), "not_parsed") {
		t.Errorf("%v", e)
	}
	if _, err := c.Exec(t.Context(), "PAUSE"); err != nil {
		t.Fatal(err)
	}
	if e := explain("SELECT count(*) FROM goods"); !strings.Contains(fmt.Sprint(e["note"]), "paused") {
		t.Errorf("%v", e)
	}
	for command, code := range map[string]string{"EXPLAIN": "42601", "EXPLAIN USER nobody_at_all SELECT 1": "22023", "EXPLAIN DATABASE no_such SELECT 1": "22023"} {
		if _, err := c.Exec(t.Context(), command); sqlState(err) != code || strings.Contains(err.Error(), "--user") {
			t.Errorf("%s: %v, want %s", command, err, code)
		}
	}
}

// TestConsoleByPsql: what an operator types.
func TestConsoleByPsql(t *testing.T) {
	s, _ := startConsole(t, "")
	host, port, _ := strings.Cut(s.listen, ":")
	run := func(database string, arguments ...string) (string, error) {
		command := exec.CommandContext(t.Context(), "psql", append([]string{"-X", "-A", "-h", host, "-p", port, "-U", "postgres", "-d", database}, arguments...)...)
		out, err := command.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for _, test := range []struct{ input, want string }{
		{"SHOW TIERS", "tier|up|entries|bytes|limit_bytes|evictions|hits|misses\nl1|t|"},
		{"PAUSE", "NOTICE:  nothing is served from the cache until RESUME\nHINT:  Other pgrecalls go on.\nPAUSE"},
		{"PAUSE", "NOTICE:  the cache is paused already\nPAUSE"},
		{"RESUME", "RESUME"},
		{"FLUSH ALL", "removed|l2_removed|l2_error|others\n0|||\n(1 row)"},
		{"SHOW STATUS", "ERROR:  unknown command \"show status\"\nHINT:  SHOW HELP lists the commands."},
		{"SELECT 1", "ERROR:  unknown command \"select 1\"\nDETAIL:  This is pgrecall's console: it is no database and knows no queries.\nHINT:  SHOW HELP lists the commands."},
		{"SET cache.mode = off", "ERROR:  unknown command \"set cache.mode\"\nDETAIL:  The console has no settings."},
		{"FLUSH TABLE 'x", "ERROR:  unterminated quoted string, name or comment"},
		{"SHOW HELP; PAUSE NOW", "ERROR:  syntax error at or near \"now\"\nHINT:  PAUSE stands alone."},
		{"BEGIN; RESUME; COMMIT", "NOTICE:  the cache is not paused\nBEGIN\nRESUME\nCOMMIT"},
	} {
		out, err := run("pgrecall", "-c", test.input)
		if !strings.HasPrefix(out, test.want) || (err != nil) != strings.HasPrefix(test.want, "ERROR") {
			t.Errorf("%s: %v\n got %q\nwant %q", test.input, err, out, test.want)
		}
	}
	if out, err := run("pgrecall", "-c", `\conninfo`); err != nil || !strings.Contains(out, `database "pgrecall" as user "postgres"`) {
		t.Errorf("%v %s", err, out)
	}
}
