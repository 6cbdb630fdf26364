package invalidator

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// TestTouchesOfFunctions compares what functions and triggers touch with what is expected, and with the rows that really changed, under
// several search paths.
func TestTouchesOfFunctions(t *testing.T) {
	f := newFixture(t, "CREATE FUNCTION set_id() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := 7; RETURN NEW; END';"+functionsSchema)
	everyLog := []string{"audit.log", "log", "one.log", "two.log"}
	for _, tc := range []struct {
		path    string // "" for public
		sql     string
		touched []string
		changed []string
	}{
		// What ordinary schemas have.
		{"", "UPDATE stamped SET id = 2", []string{"stamped"}, []string{"stamped"}},
		{"", "INSERT INTO audited VALUES (2)", []string{"audit.log", "audited"}, []string{"audit.log", "audited"}},
		{"", "DELETE FROM counted", []string{"counted", "total"}, []string{"counted", "total"}},
		{"", "UPDATE counted SET id = 3", []string{"counted"}, []string{"counted"}},
		{"", "INSERT INTO announced VALUES (1)", []string{"announced"}, []string{"announced"}},
		{"", "INSERT INTO numbered (x) VALUES (1)", []string{"numbered"}, []string{"numbered"}},
		{"", "INSERT INTO transited VALUES (1), (2)", []string{"log", "transited"}, []string{"log", "transited"}},
		{"", "COPY (SELECT 1) TO '/dev/null'", nil, nil},

		// Triggers that set off others.
		{"", "INSERT INTO chained VALUES (1)", []string{"audit.log", "audited", "chained", "counted", "total"}, []string{"audit.log", "audited", "chained", "counted", "total"}},
		{"", "INSERT INTO recursive VALUES (3)", []string{"log", "recursive"}, []string{"log", "recursive"}},
		{"", "INSERT INTO deferred VALUES (1)", append([]string{"deferred"}, everyLog...), []string{"deferred", "log"}},
		{"", "INSERT INTO dynamic VALUES (1)", whole, []string{"dynamic", "log"}},
		{"", "DELETE FROM parent WHERE id = 1", []string{"audit.log", "child", "parent"}, []string{"audit.log", "child", "parent"}},
		{"", "INSERT INTO through VALUES (5)", []string{"t", "through", "total"}, []string{"total"}},
		{"", "INSERT INTO conditional VALUES (5)", []string{"conditional", "log"}, []string{"conditional", "log"}},
		{"", "INSERT INTO setting_condition VALUES (5)", []string{"setting_condition"}, []string{"setting_condition"}},

		// Functions.
		{"", "SELECT caught()", []string{"log", "total"}, []string{"total"}},
		{"", "SELECT * FROM looped()", []string{"log", "other", "total"}, []string{"log", "other", "total"}},
		{"", "SELECT outer_write(1)", []string{"log"}, []string{"log"}},
		{"", "SELECT fibonacci(4)", []string{"log"}, []string{"log"}},
		{"", "SELECT only_reads(), locks()", nil, nil},
		{"", "SELECT steady_wrapper(1)", []string{"log"}, []string{"log"}},
		{"", "SELECT dynamic_steady()", nil, nil},
		{"", "SELECT calls_dynamic()", whole, []string{"log"}},
		{"", "SELECT sets_path()", whole, []string{"two.log"}},
		{"", "SELECT sets_timeout()", []string{"log"}, []string{"log"}},
		{"", "SELECT strings_off()", whole, []string{"log"}},
		{"", "SELECT makes_temp()", whole, nil},
		{"", "SELECT defines()", whole, nil},
		{"", "SELECT default_writes()", []string{"log"}, []string{"log"}},
		{"", "SELECT named(b => 1, a => 2)", []string{"other"}, []string{"other"}},
		{"", "SELECT takes_noted(1)", whole, nil},
		{"", "SELECT declares_noted()", whole, []string{"log"}},
		{"", "SELECT declares_row()", everyLog, []string{"log"}}, // through the domain's check, which is in the relation's definition
		{"", "CALL proc(1)", []string{"t"}, []string{"t"}},
		{"", "CALL proc(1, 2)", []string{"t"}, []string{"t"}},
		{"", "CALL nested_proc()", []string{"log", "t"}, []string{"log", "t"}},
		{"", "CALL sql_proc()", []string{"other", "t"}, []string{"other", "t"}},
		{"", "CALL proc(outer_write(1))", []string{"log", "t"}, []string{"log", "t"}},
		{"", "SELECT standard(1)", []string{"log", "one.log"}, []string{"log", "one.log"}},
		{"", "SELECT uses_op()", whole, []string{"log"}},
		{"", "DO $$DECLARE x int := outer_write(1); BEGIN DELETE FROM other; END$$", []string{"log", "other"}, []string{"log", "other"}},
		{"", "DO $$BEGIN EXECUTE 'DELETE FROM other'; END$$", whole, []string{"other"}},

		// Which names mean what depends on who calls.
		{"", "SELECT unqualified()", []string{"log"}, []string{"log"}},
		{"one, public", "SELECT unqualified()", []string{"one.log"}, []string{"one.log"}},
		{"two, one, public", "SELECT * FROM loud", []string{"two.log"}, []string{"two.log"}},
		{"two, public", "SELECT standard_return(1)", []string{"two.log"}, []string{"two.log"}},
		{"one, public", "SELECT pinned()", whole, nil}, // it calls public's function without a schema
		{"one, public", "INSERT INTO audited VALUES (2)", []string{"audit.log", "audited"}, []string{"audit.log", "audited"}},
		{"one, public", "INSERT INTO transited VALUES (2)", []string{"one.log", "transited"}, []string{"one.log", "transited"}},
		{"one, public", "SELECT calls_shadowed()", []string{"one.only_one"}, []string{"one.only_one"}},
		{"two, public", "SELECT calls_shadowed()", []string{"two.only_two"}, []string{"two.only_two"}},
		{"one, public", "SELECT definer()", everyLog, []string{"one.log"}},
		{"one, public", "INSERT INTO deferred VALUES (1)", append([]string{"deferred"}, everyLog...), []string{"deferred", "one.log"}},
		{"two, public", "SELECT opens()", everyLog, nil},
		{"one, public", "SELECT set_config('search_path', 'two', true); INSERT INTO log VALUES ('x')", everyLog, []string{"two.log"}},
		{"one, public", "SET LOCAL search_path = two, public; INSERT INTO log VALUES ('x')", everyLog, []string{"two.log"}},
		{"one, public", "SET LOCAL search_path = two, public; SELECT unqualified()", everyLog, []string{"two.log"}},
	} {
		t.Run(tc.sql, func(t *testing.T) {
			path := tc.path
			if path == "" {
				path = "public"
			}
			if tc.touched != nil {
				slices.Sort(tc.touched)
			}
			touched, changed := f.underPath(t, path, tc.sql, tc.changed == nil)
			names := f.names(touched.Relations)
			if touched.Whole {
				names = whole
			}
			if !slices.Equal(names, tc.touched) {
				t.Errorf("touches %v (%s), want %v", names, touched.Reason, tc.touched)
			}
			if !slices.Equal(changed, tc.changed) {
				t.Errorf("the server changed %v, want %v", changed, tc.changed)
			}
			for _, relation := range changed {
				if !touched.Whole && !slices.Contains(names, relation) {
					t.Errorf("the server changed %s, which isn't touched", relation)
				}
			}
		})
	}
}

// underPath tells what a statement touches under a search path, and which relations it really changes, deferred triggers included. What
// the server refuses changes nothing; that is an error unless it may fail.
func (f *touchFixture) underPath(t *testing.T, path, sql string, mayFail bool) (Touched, []string) {
	t.Helper()
	tx, err := f.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "SET LOCAL search_path = "+path); err != nil {
		t.Fatal(err)
	}
	var schemas []string
	if err := tx.QueryRow(t.Context(), "SELECT current_schemas(true)").Scan(&schemas); err != nil {
		t.Fatal(err)
	}
	touched := Touches(parser.Analyze(sql), schemas, catalog.Temporary{}, f.snapshot, nil)
	before := f.contents(t, tx)
	if _, err := tx.Exec(t.Context(), sql+"; SET CONSTRAINTS ALL IMMEDIATE", pgx.QueryExecModeSimpleProtocol); err != nil {
		if !mayFail {
			t.Fatal(err)
		}
		return touched, nil
	}
	return touched, difference(before, f.contents(t, tx))
}

// TestTouchesOfCasts: a cast that nothing names runs its function, which is followed like any other.
func TestTouchesOfCasts(t *testing.T) {
	const types = `
CREATE TABLE log (id int); CREATE TABLE plain (id int);
CREATE TYPE thing AS ENUM ('a'); CREATE TABLE things (what thing); INSERT INTO things VALUES ('a');
CREATE FUNCTION number(thing) RETURNS int LANGUAGE plpgsql VOLATILE AS $$BEGIN %s; RETURN 1; END$$;
CREATE CAST (thing AS int) WITH FUNCTION number(thing) AS IMPLICIT;`
	for body, want := range map[string][]string{
		"NULL":                                 nil,
		"INSERT INTO log VALUES (1)":           {"log"},
		"EXECUTE 'INSERT INTO log VALUES (1)'": whole,
	} {
		f := newFixture(t, fmt.Sprintf(types, body))
		for _, sql := range []string{"SELECT abs(what) FROM things", "SELECT sum(what) FROM things WHERE what = 1"} {
			touched := f.touches(sql)
			if names := f.names(touched.Relations); touched.Whole != slices.Equal(want, whole) || !touched.Whole && !slices.Equal(names, want) {
				t.Errorf("%s with %s: %+v, want %v", sql, body, touched, want)
			}
		}
	}
}
