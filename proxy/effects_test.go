package proxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
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
