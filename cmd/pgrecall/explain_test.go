package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

const explainSchema = `
CREATE TABLE a (id int PRIMARY KEY, v text);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
CREATE VIEW w AS SELECT * FROM a;
CREATE TABLE notes (id int, tenant text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON notes USING (tenant = current_setting('app.tenant', true));
CREATE SCHEMA shop; CREATE TABLE shop.goods (id int);
CREATE SCHEMA explain_guest; CREATE TABLE explain_guest.own (id int);
CREATE FUNCTION tick() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION count_b() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM shop.goods';
CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT 1'; RETURN 1; END$$;
CREATE FUNCTION shop.any_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM public.hidden(); RETURN NEW; END$$;
CREATE FUNCTION makes() RETURNS int LANGUAGE plpgsql AS $$BEGIN CREATE TEMP TABLE now_there (); RETURN 1; END$$;
CREATE TABLE traced (id int); CREATE TRIGGER trace AFTER INSERT ON traced FOR EACH ROW EXECUTE FUNCTION shop.any_trigger();
CREATE TABLE declared (id int); CREATE TRIGGER declared AFTER INSERT ON declared FOR EACH ROW EXECUTE FUNCTION shop.any_trigger();`

func TestExplain(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	exec(explainSchema)
	exec("DROP ROLE IF EXISTS explain_guest; CREATE ROLE explain_guest LOGIN; DROP ROLE IF EXISTS explain_shop; CREATE ROLE explain_shop LOGIN; ALTER ROLE explain_shop SET search_path = shop; GRANT USAGE ON SCHEMA shop TO explain_shop; GRANT USAGE ON SCHEMA explain_guest TO explain_guest")
	defer func() {
		exec("DROP OWNED BY explain_guest, explain_shop; DROP ROLE explain_guest, explain_shop")
		_ = conn.Close(t.Context())
	}()
	file := writeFile(t, "rules:\n  - name: goods\n    match: {tables: [shop.goods]}\n    ttl: 5s\n    stale_while_revalidate: 30s\n    stale_if_error: 2h\n  - match: {tables: [b]}\n    cache: never\ntriggers:\n  - {name: declared, table: public.declared, writes: [public.a]}\n")

	for name, test := range map[string]struct {
		args []string
		want explanation
	}{
		"table":     {args: []string{"SELECT * FROM a WHERE id = 1"}, want: explanation{Verdict: "cache", TTL: "60s", Relations: []string{"public.a"}}},
		"view":      {args: []string{"SELECT * FROM w"}, want: explanation{Verdict: "cache", TTL: "60s", Relations: []string{"public.a", "public.w"}}},
		"rule":      {args: []string{"SELECT * FROM shop.goods"}, want: explanation{Verdict: "cache", TTL: "5s", Rule: "goods", Relations: []string{"shop.goods"}, StaleWhileRevalidate: "30s", StaleIfError: "2h"}},
		"never":     {args: []string{"SELECT * FROM b"}, want: explanation{Verdict: "bypass", Reason: "rule_never", Rule: "rules[1]", Relations: []string{"public.b"}}},
		"directive": {args: []string{"SELECT * FROM a /* pgrecall: off */"}, want: explanation{Verdict: "bypass", Reason: "directive_off", Relations: []string{"public.a"}}},
		"comment":   {args: []string{"SELECT * FROM a /* pgrecall: ttl=7s */"}, want: explanation{Verdict: "cache", TTL: "7s", Relations: []string{"public.a"}}},
		"off":       {args: []string{"--cache=off", "SELECT * FROM a"}, want: explanation{Verdict: "bypass", Reason: "cache_off", Relations: []string{"public.a"}}},
		"volatile":  {args: []string{"SELECT tick() FROM a"}, want: explanation{Verdict: "bypass", Reason: "volatile_function"}},
		"insert":    {args: []string{"INSERT INTO a VALUES (1)"}, want: explanation{Verdict: "write", Reason: "not_read", Touches: []string{"public.a"}}},
		"cascade":   {args: []string{"DELETE FROM a"}, want: explanation{Verdict: "write", Reason: "not_read", Touches: []string{"public.a", "public.b"}}},
		"settings":  {args: []string{"SELECT * FROM notes WHERE id = current_setting('app.note')::int"}, want: explanation{Verdict: "cache", TTL: "60s", Relations: []string{"public.notes"}, Settings: []string{"app.note", "app.tenant"}}},
		"reads":     {args: []string{"SELECT count_b() FROM a"}, want: explanation{Verdict: "cache", TTL: "60s", Relations: []string{"public.a", "shop.goods"}}},
		"trigger": {args: []string{"INSERT INTO traced VALUES (1)"}, want: explanation{
			Verdict: "write", Reason: "not_read", Declare: "declare it under functions: {name: public.hidden, writes: [...]}, or effects: none if it writes nothing (neither if it changes settings or defines things); or the trigger under triggers: {name: trace, table: public.traced, writes: [...]}",
			Touches: []string{"everything in this database (trigger trace on public.traced: function public.hidden: the body executes SQL that it makes at run time)"},
		}},
		"declares nothing": {args: []string{"SELECT makes()"}, want: explanation{
			Verdict: "bypass", Reason: "volatile_function", Declare: "it defines things (CREATE TABLE), of which a declaration must not be silent: do that in a statement of its own",
			Touches: []string{"everything in this database (function public.makes: CREATE TABLE)"},
		}},
		"declared": {args: []string{"INSERT INTO declared VALUES (1)"}, want: explanation{Verdict: "write", Reason: "not_read", Touches: []string{"public.a", "public.b", "public.declared"}}},
		"begin":    {args: []string{"BEGIN"}, want: explanation{Verdict: "bypass", Reason: "not_read"}},
		"not here": {args: []string{"SELECT * FROM goods"}, want: explanation{Verdict: "bypass", Reason: "unknown_relation"}},
		"user":     {args: []string{"SELECT * FROM goods", "--user", "explain_shop"}, want: explanation{Verdict: "cache", TTL: "5s", Rule: "goods", Relations: []string{"shop.goods"}}},
		"$user":    {args: []string{"SELECT * FROM own", "--user=explain_guest"}, want: explanation{Verdict: "cache", TTL: "60s", Relations: []string{"explain_guest.own"}}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, []string{"DATABASE_URL=" + dsn},
				append([]string{"explain", "--json", "--config", file}, test.args...)...)
			if status != 0 {
				t.Fatalf("%d: %s", status, stderr)
			}
			var got explanation
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("%v in %s", err, stdout)
			}
			slices.Sort(got.Relations)
			slices.Sort(got.Touches)
			if got.Verdict != test.want.Verdict || got.Reason != test.want.Reason || got.TTL != test.want.TTL || got.Rule != test.want.Rule ||
				!slices.Equal(got.Relations, test.want.Relations) || !slices.Equal(got.Settings, test.want.Settings) {
				t.Errorf("got %s", stdout)
			}
			if test.want.Verdict == "write" && !slices.Equal(got.Touches, test.want.Touches) {
				t.Errorf("touches %q, want %q", got.Touches, test.want.Touches)
			}
			if got.Declare != test.want.Declare {
				t.Errorf("declare %q, want %q", got.Declare, test.want.Declare)
			}
			if (got.Meaning == "" || got.Change == "") != (got.Verdict == "cache") {
				t.Errorf("a sentence is missing or too many: %s", stdout)
			}
		})
	}

	t.Run("for people", func(t *testing.T) {
		status, stdout, stderr := runCommand(t, []string{"DATABASE_URL=" + dsn}, "explain", "SELECT * FROM a")
		if status != 0 || stderr != "" {
			t.Fatalf("%d %s", status, stderr)
		}
		if _, settings, _ := runCommand(t, []string{"DATABASE_URL=" + dsn}, "explain", "SELECT * FROM notes"); !strings.Contains(settings, "settings:     app.tenant\n") {
			t.Errorf("no settings in\n%s", settings)
		}
		for _, want := range []string{"verdict:      cache\n", "ttl:          60s\n", "relations:    public.a\n", "invalidated:  a write through pgrecall to public.a\n"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %q in\n%s", want, stdout)
			}
		}
	})
	t.Run("unknown user", func(t *testing.T) {
		status, _, stderr := runCommand(t, []string{"DATABASE_URL=" + dsn}, "explain", "SELECT 1", "--user=nobody_of_that_name")
		if status != 1 || stderr != "pgrecall: --user: the upstream has no role \"nobody_of_that_name\"\n" {
			t.Errorf("%d %s", status, stderr)
		}
	})
}
