package proxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

const effectsSchema = `
CREATE TABLE account (id int PRIMARY KEY, name text, updated_at timestamptz); INSERT INTO account VALUES (1, 'a');
CREATE TABLE account_log (id serial, what text, row json); CREATE TABLE unrelated (id int); INSERT INTO unrelated VALUES (1);
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER set_updated_at BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN INSERT INTO account_log (what, row) VALUES (TG_OP, row_to_json(COALESCE(NEW, OLD))); RETURN NULL; END $$;
CREATE TRIGGER log_change AFTER INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TABLE late (id int); CREATE TABLE late_log (id int);
CREATE FUNCTION log_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO late_log VALUES (NEW.id); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER log_late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_late();
CREATE PROCEDURE rename_account(new text) LANGUAGE plpgsql AS $$ BEGIN UPDATE account SET name = new; COMMIT; INSERT INTO late_log VALUES (0); END $$;
CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.item (n int); CREATE TABLE b.item (n int); INSERT INTO a.item VALUES (1); INSERT INTO b.item VALUES (1);
CREATE FUNCTION add_item() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE item SET n = n + 1; END $$;
CREATE FUNCTION anything(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; END $$;
`

// TestEffectsOfTriggersAndFunctions: what triggers and functions write is invalidated, and nothing else.
func TestEffectsOfTriggersAndFunctions(t *testing.T) {
	r := start(t, effectsSchema)
	reader, writer, direct := r.connect(), r.connect(), r.direct()
	queries := map[string]string{
		"account": "SELECT id, name, updated_at FROM account", "account_log": "SELECT what, row FROM account_log", "unrelated": "SELECT id FROM unrelated",
		"late": "SELECT id FROM late", "late_log": "SELECT id FROM late_log ORDER BY id", "a.item": "SELECT n FROM a.item", "b.item": "SELECT n FROM b.item",
	}
	// kept tells whether a query is answered from the cache; the answer must be the server's either way.
	kept := func(relation string) bool {
		t.Helper()
		before := r.hits()
		if got, want := value(t, reader, queries[relation]), value(t, direct, queries[relation]); got != want {
			t.Errorf("%s: %q through pgrecall, %q without", relation, got, want)
		}
		return r.hits() > before
	}
	for _, step := range []struct {
		sql     []string
		touched []string // "*" for everything
	}{
		{[]string{"UPDATE account SET name = 'b'"}, []string{"account", "account_log"}},
		{[]string{"INSERT INTO account VALUES (2, 'c')"}, []string{"account", "account_log"}},
		{[]string{"BEGIN", "DELETE FROM account WHERE id = 2", "COMMIT"}, []string{"account", "account_log"}},
		{[]string{"BEGIN", "INSERT INTO late VALUES (1)", "SELECT 1", "COMMIT"}, []string{"late", "late_log"}},
		{[]string{"CALL rename_account('d')"}, []string{"account", "account_log", "late_log"}},
		{[]string{"DO $$ BEGIN UPDATE account SET name = 'e'; END $$"}, []string{"account", "account_log"}},
		{[]string{"SET search_path = a, public", "SELECT add_item()"}, []string{"a.item"}},
		{[]string{"SET search_path = b, public", "SELECT add_item()"}, []string{"b.item"}},
		{[]string{"BEGIN", "SET LOCAL search_path = b, public", "SELECT add_item()", "COMMIT"}, []string{"a.item", "b.item"}},
		{[]string{"BEGIN", "SET LOCAL search_path = b, public", "UPDATE item SET n = n + 1", "COMMIT"}, []string{"a.item", "b.item"}},
		{[]string{"SET search_path = public", "SELECT anything('UPDATE unrelated SET id = 2')"}, []string{"*"}},
	} {
		for relation := range queries {
			kept(relation)
			if !kept(relation) {
				t.Errorf("before %q: %s isn't cached", step.sql, relation)
			}
		}
		for _, sql := range step.sql {
			if _, err := writer.Exec(bounded(t), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		if step.touched[0] == "*" {
			r.waitReady()
		}
		for relation := range queries {
			want := true
			for _, touched := range step.touched {
				want = want && touched != "*" && touched != relation
			}
			if kept(relation) != want {
				t.Errorf("after %q: that %s is still cached is %v", step.sql, relation, !want)
			}
		}
	}
}

const readsSchema = `
CREATE TABLE price (item int, amount int); INSERT INTO price VALUES (1, 10); CREATE TABLE tax (rate int); INSERT INTO tax VALUES (2);
CREATE TABLE other (id int); INSERT INTO other VALUES (1);
CREATE FUNCTION gross(i int) RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE a int; BEGIN SELECT amount INTO a FROM price WHERE item = i; RETURN a * (SELECT rate FROM tax); END $$;
CREATE FUNCTION tax_rate() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE 'SELECT rate FROM tax' INTO n; RETURN n; END $$;
CREATE FUNCTION writing() RETURNS int LANGUAGE sql AS $$ UPDATE other SET id = id + 1 RETURNING id $$;
CREATE FUNCTION pretends() RETURNS int LANGUAGE sql STABLE AS $$ SELECT writing() $$;
CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.item (n int); CREATE TABLE b.item (n int); INSERT INTO a.item VALUES (1); INSERT INTO b.item VALUES (2);
SET check_function_bodies = off; CREATE FUNCTION items() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(n) FROM item';
`

// TestFunctionsAnswersAreCached: answers of functions come from the cache until something that they read changes.
func TestFunctionsAnswersAreCached(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		o.Policy.Declared = &catalog.Declarations{Functions: []catalog.FunctionDeclaration{{Name: "tax_rate", Reads: []string{"tax"}, Cache: true}}}
		if err := o.Policy.Compile(); err != nil {
			t.Fatal(err)
		}
	}, readsSchema)
	reader, writer, direct := r.connect(), r.connect(), r.direct()
	hit := func(sql string) bool {
		t.Helper()
		before := r.hits()
		if got, want := value(t, reader, sql), value(t, direct, sql); got != want {
			t.Errorf("%s: %q through pgrecall, %q without", sql, got, want)
		}
		return r.hits() > before
	}
	for _, step := range []struct {
		query, write string
		changes      bool
	}{
		{"SELECT gross(1)", "UPDATE price SET amount = 20", true},
		{"SELECT gross(1)", "UPDATE tax SET rate = 3", true},
		{"SELECT gross(1)", "UPDATE other SET id = 3", false},
		{"SELECT tax_rate()", "UPDATE tax SET rate = 4", true},
		{"SELECT tax_rate()", "UPDATE price SET amount = 5", false},
		{"SELECT id FROM other", "SELECT pretends()", true},
		{"SELECT gross(1)", "CREATE OR REPLACE FUNCTION gross(i int) RETURNS int LANGUAGE sql STABLE AS 'SELECT max(id) FROM other'", true},
		{"SELECT gross(1)", "UPDATE other SET id = 44", true},
	} {
		reader = r.connect() // what was prepared under other definitions isn't answered from the cache
		eventually(t, step.query+" is cached", func() bool { return hit(step.query) })
		mustExec(t, writer, step.write)
		r.waitReady()
		if hit(step.query) == step.changes {
			t.Errorf("after %s: that %s is still cached is %v", step.write, step.query, !step.changes)
		}
	}
	// One text, one function, two paths.
	for _, path := range []string{"a, public", "b, public", "a, public"} {
		reader = r.connect() // a statement that was prepared under another path isn't answered from the cache
		mustExec(t, reader, "SET search_path = "+path)
		mustExec(t, direct, "SET search_path = "+path)
		hit("SELECT items()")
		if !hit("SELECT items()") {
			t.Errorf("items() isn't cached under %s", path)
		}
	}
	mustExec(t, reader, "CREATE TEMP TABLE item (n int)")
	mustExec(t, direct, "CREATE TEMP TABLE item (n int)")
	if first := hit("SELECT items()"); first || hit("SELECT items()") {
		t.Error("a function that may read a temporary relation is cached")
	}
}
