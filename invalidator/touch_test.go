package invalidator

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
)

// touchFixture is a database with the schema above, loaded.
type touchFixture struct {
	conn     *pgx.Conn
	snapshot *catalog.Snapshot
}

func newTouchFixture(t *testing.T) *touchFixture {
	t.Helper()
	return newFixture(t, touchSchema)
}

func newFixture(t *testing.T, schema string) *touchFixture {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Shared(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.Load(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return &touchFixture{conn, snapshot}
}

func (f *touchFixture) touches(sql string) Touched {
	return Touches(parser.Analyze(sql), []string{"pg_catalog", "public"}, catalog.Temporary{}, f.snapshot, nil)
}

func (f *touchFixture) names(oids []uint32) []string {
	names := make([]string, 0, len(oids))
	for _, oid := range oids {
		r := f.snapshot.ByOID(oid)
		names = append(names, short(r.Schema, r.Name))
	}
	slices.Sort(names)
	return names
}

// short is a relation's name, with its schema unless that is public.
func short(schema, relation string) string {
	if schema == "public" {
		return relation
	}
	return schema + "." + relation
}

// contents returns a digest of the rows of every relation that holds some.
func (f *touchFixture) contents(t *testing.T, tx pgx.Tx) map[string]string {
	t.Helper()
	rows, err := tx.Query(t.Context(), `SELECT nspname::text, relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'm') AND nspname !~ '^pg_|^information_schema$'`)
	if err != nil {
		t.Fatal(err)
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (name pgx.Identifier, err error) {
		name = make(pgx.Identifier, 2)
		return name, row.Scan(&name[0], &name[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	contents := make(map[string]string)
	for _, relation := range relations {
		var digest *string
		sql := fmt.Sprintf("SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ONLY %s t", relation.Sanitize())
		if err := tx.QueryRow(t.Context(), sql).Scan(&digest); err != nil {
			t.Fatal(err)
		}
		if digest != nil {
			contents[short(relation[0], relation[1])] = *digest
		}
	}
	return contents
}

// changes executes a statement, tells which relations hold other rows than before, and takes everything back.
func (f *touchFixture) changes(t *testing.T, sql string) []string {
	t.Helper()
	tx, err := f.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	before := f.contents(t, tx)
	if _, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return difference(before, f.contents(t, tx))
}

// difference tells which relations hold other rows than before.
func difference(before, after map[string]string) []string {
	var changed []string
	for relation := range before {
		if before[relation] != after[relation] {
			changed = append(changed, relation)
		}
	}
	for relation := range after {
		if _, was := before[relation]; !was {
			changed = append(changed, relation)
		}
	}
	slices.Sort(changed)
	return changed
}

// whole stands in place of relations: anything may have changed.
var whole = []string{"*"} //nolint:gochecknoglobals // constant

// TestTouches compares what is touched with what is expected, and with the rows that really changed.
func TestTouches(t *testing.T) {
	f := newTouchFixture(t)
	for _, tc := range []struct {
		sql     string
		touched []string
		changed []string // what the server changes, as far as it is worth checking
	}{
		{"INSERT INTO plain VALUES (3, 'c')", []string{"plain"}, []string{"plain"}},
		{"UPDATE plain SET name = upper(name) WHERE id = fixed(1) AND id >= reads(1)", []string{"plain"}, []string{"plain"}},
		{"DELETE FROM plain WHERE id = 1", []string{"plain"}, []string{"plain"}},
		{"INSERT INTO plain VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name", []string{"plain"}, []string{"plain"}},
		{"WITH d AS (DELETE FROM plain RETURNING id) INSERT INTO tree SELECT id + 10 FROM d", []string{"plain", "tree"}, []string{"plain", "tree"}},
		{"EXPLAIN ANALYZE DELETE FROM plain", []string{"plain"}, []string{"plain"}},
		{"EXPLAIN DELETE FROM plain", nil, nil},
		{"INSERT INTO keyed DEFAULT VALUES", []string{"keyed"}, []string{"keyed"}},
		{"INSERT INTO keyed (id) VALUES (gen_random_uuid()), (uuid_generate_v1())", []string{"keyed"}, []string{"keyed"}},
		{"DELETE FROM plain; DELETE FROM tree", []string{"plain", "tree"}, []string{"plain", "tree"}},
		{"TRUNCATE plain", []string{"plain"}, []string{"plain"}},

		// Foreign keys.
		{
			"DELETE FROM parent WHERE id = 1",
			[]string{"grandchild", "on_cascade", "on_default", "parent"},
			[]string{"grandchild", "on_cascade", "on_default", "parent"},
		},
		{"UPDATE parent SET id = 7 WHERE id = 3", []string{"grandchild", "on_cascade", "parent"}, []string{"parent"}},
		{
			"BEGIN; DELETE FROM on_default; UPDATE parent SET id = 7 WHERE id = 1",
			[]string{"grandchild", "on_cascade", "on_default", "parent"},
			[]string{"grandchild", "on_cascade", "on_default", "parent"},
		},
		{"INSERT INTO parent VALUES (9, 9)", []string{"parent"}, []string{"parent"}},
		{"DELETE FROM tree WHERE id = 1", []string{"tree"}, []string{"tree"}},
		{
			"TRUNCATE parent CASCADE",
			[]string{"grandchild", "on_cascade", "on_default", "on_nothing", "parent"},
			[]string{"grandchild", "on_cascade", "on_default", "on_nothing", "parent"},
		},
		{"DELETE FROM boss", []string{"boss", "log", "minion"}, []string{"boss", "log", "minion"}},
		{"INSERT INTO boss VALUES (2)", []string{"boss"}, []string{"boss"}},

		// Triggers and rules.
		{"UPDATE on_update SET id = 2", []string{"log", "on_update"}, []string{"log", "on_update"}},
		{"INSERT INTO on_update VALUES (2)", []string{"on_update"}, []string{"on_update"}},
		{"DELETE FROM on_update", []string{"on_update"}, []string{"on_update"}},
		{"TRUNCATE on_truncate", []string{"log", "on_truncate"}, []string{"log", "on_truncate"}},
		{"DELETE FROM on_truncate", []string{"on_truncate"}, []string{"on_truncate"}},
		{"INSERT INTO on_statement VALUES (1)", []string{"log", "on_statement"}, []string{"log", "on_statement"}},
		{"UPDATE suppressed SET id = 2", []string{"suppressed"}, []string{"suppressed"}},
		{"INSERT INTO ruled VALUES (1)", whole, []string{"log", "ruled"}},

		// Functions, operators, casts.
		{"SELECT writes(1)", []string{"log"}, []string{"log"}},
		{"SELECT id FROM plain ORDER BY writes(id)", []string{"log"}, []string{"log"}},
		{"SELECT plain.writes_row FROM plain", []string{"log"}, []string{"log"}},
		{"SELECT writes_agg(id) FROM plain", whole, []string{"log"}},
		{"SELECT product(id) FROM plain", nil, nil},
		{"SELECT id !~! 1 FROM plain", whole, []string{"log"}},
		{"SELECT 1::noisy", whole, []string{"log"}},
		{"SELECT noisy(1)", whole, []string{"log"}},
		{"INSERT INTO defaulted (id) VALUES (1)", []string{"defaulted", "log"}, []string{"defaulted", "log"}},
		{"CALL proc()", []string{"log"}, []string{"log"}},
		{"DO $$BEGIN DELETE FROM plain; END$$", []string{"plain"}, []string{"plain"}},
		{"COPY (SELECT writes(1)) TO '/dev/null'", []string{"log"}, []string{"log"}},
		{"SELECT query_to_xml('SELECT writes(1)', true, true, '')", whole, []string{"log"}},
		{"EXPLAIN ANALYZE SELECT writes(1)", []string{"log"}, []string{"log"}},
		{"EXPLAIN SELECT writes(1)", nil, nil},
		{"CREATE TEMP TABLE x AS SELECT writes(1)", []string{"log"}, []string{"log"}},
		{"PREPARE p AS SELECT writes(1)", nil, nil},
		{"SELECT reads(1), fixed(1), upper('x'), now(), count(*) FROM plain", nil, nil},
		{"SELECT nextval('seq'), random(), gen_random_uuid(), pg_sleep(0), clock_timestamp(), txid_current()", nil, nil},
		{"SELECT setval('seq', 7), pg_advisory_xact_lock(1), pg_notify('a', 'b'), pg_stat_clear_snapshot(), lo_create(0)", nil, nil},
		{"SELECT gen_random_bytes(3), crypt('a', gen_salt('bf')), uuid_generate_v4()", nil, nil},

		// Views.
		{"SELECT * FROM simple", nil, nil},
		{"SELECT * FROM loud", []string{"log"}, []string{"log"}},
		{"SELECT * FROM over_loud", []string{"log"}, []string{"log"}},
		{"DELETE FROM simple WHERE id = 1", []string{"plain", "simple"}, []string{"plain"}},
		{"UPDATE over_simple SET name = 'z'", []string{"over_simple", "plain", "simple"}, []string{"plain"}},
		{"INSERT INTO instead VALUES (5)", []string{"instead", "log", "parent"}, []string{"log"}},
		{
			"DELETE FROM instead WHERE id = 1",
			[]string{"grandchild", "instead", "on_cascade", "on_default", "parent"},
			[]string{"grandchild", "on_cascade", "on_default", "parent"},
		},
		{"INSERT INTO plain VALUES (3, ''); REFRESH MATERIALIZED VIEW stored", []string{"plain", "stored"}, []string{"plain", "stored"}},
		{"REFRESH MATERIALIZED VIEW stored_loud", []string{"log", "stored_loud"}, nil},

		// Partitions and inheritance.
		{"INSERT INTO parts VALUES (2, 2)", []string{"parts", "parts_1", "parts_2"}, []string{"parts_1"}},
		{"INSERT INTO parts_1 VALUES (2, 2)", []string{"parts", "parts_1"}, []string{"parts_1"}},
		{"UPDATE parts SET id = 12 WHERE id = 1", []string{"parts", "parts_1", "parts_2"}, []string{"parts_1", "parts_2"}},
		{"TRUNCATE parts", []string{"parts", "parts_1", "parts_2"}, []string{"parts_1", "parts_2"}},
		{"DELETE FROM animals", []string{"animals", "cats"}, []string{"cats"}},
		{"DELETE FROM cats", []string{"animals", "cats"}, []string{"cats"}},
		{"DELETE FROM measured", []string{"measured", "measured_1", "reading"}, []string{"measured_1", "reading"}},
		{"DELETE FROM measured_1", []string{"measured", "measured_1", "reading"}, []string{"measured_1", "reading"}},
		{"DELETE FROM watched_parts_1", []string{"log", "watched_parts", "watched_parts_1"}, []string{"log", "watched_parts_1"}},
		{"UPDATE watched_parts SET id = 11", []string{"log", "watched_parts", "watched_parts_1", "watched_parts_2"}, []string{"log", "watched_parts_1", "watched_parts_2"}},
	} {
		touched := f.touches(tc.sql)
		names := f.names(touched.Relations)
		if touched.Whole {
			if !slices.Equal(tc.touched, whole) {
				t.Errorf("%s\n\ttouches everything (%s), want %v", tc.sql, touched.Reason, tc.touched)
			}
		} else if !slices.Equal(names, tc.touched) {
			t.Errorf("%s\n\ttouches %v, want %v", tc.sql, names, tc.touched)
		}
		if touched.Whole == (touched.Reason == "") {
			t.Errorf("%s: reason %q", tc.sql, touched.Reason)
		}
		if tc.sql == "REFRESH MATERIALIZED VIEW stored_loud" || tc.sql[:5] == "BEGIN" {
			continue // the server forbids it here, or the test's transaction is in the way
		}
		changed := f.changes(t, tc.sql)
		if !slices.Equal(changed, tc.changed) {
			t.Errorf("%s\n\tthe server changed %v, want %v", tc.sql, changed, tc.changed)
		}
		for _, relation := range changed {
			if !touched.Whole && !slices.Contains(names, relation) {
				t.Errorf("%s\n\tthe server changed %s, which isn't touched", tc.sql, relation)
			}
		}
	}
}

// TestTouchesWithoutRows are the statements whose effect can't be seen in rows, or that can't run here.
func TestTouchesWithoutRows(t *testing.T) {
	f := newTouchFixture(t)
	for _, tc := range []struct {
		sql  string
		want Touched // Reason isn't compared, Relations neither
	}{
		{"SELECT 1", Touched{}},
		{"SELECT * FROM plain WHERE id = $1 FOR UPDATE", Touched{}},
		{"SELECT * FROM pg_class, information_schema.tables", Touched{}},
		{"BEGIN", Touched{}}, {"COMMIT", Touched{}}, {"ROLLBACK", Touched{}}, {"SAVEPOINT s", Touched{}},
		{"PREPARE TRANSACTION 'x'", Touched{}}, {"DEALLOCATE ALL", Touched{}},
		{"SHOW work_mem", Touched{}}, {"LISTEN a", Touched{}}, {"NOTIFY a", Touched{}}, {"VACUUM plain", Touched{}},
		{"LOCK plain", Touched{}}, {"DECLARE c CURSOR FOR SELECT id FROM plain", Touched{}}, {"FETCH c", Touched{}},
		{"COPY plain TO STDOUT", Touched{}},
		{"", Touched{}},

		{"SET TimeZone = 'UTC'", Touched{Settings: true}},
		{"SET ROLE someone", Touched{Settings: true}},
		{"RESET ALL", Touched{Settings: true}},
		{"DISCARD ALL", Touched{Settings: true, Temp: true}},
		{"SELECT set_config('a.b', 'c', false)", Touched{Settings: true}},
		{"SELECT set_limit(0.5)", Touched{Settings: true, Temp: true}},
		{"SELECT pg_reload_conf()", Touched{AllSettings: true, Reload: true}},
		{"CREATE TEMP TABLE x (id int)", Touched{Temp: true, Settings: true}},
		{"CREATE TEMP VIEW x AS SELECT writes(1)", Touched{Temp: true, Settings: true, TempView: true}},

		{"COPY plain FROM STDIN", Touched{}},
		{"COPY on_statement FROM STDIN", Touched{}},
		{"DECLARE c CURSOR FOR SELECT writes(1)", Touched{}},
		{"DELETE FROM nowhere", Touched{Whole: true, Missing: true}},
		{"SELECT * FROM nowhere", Touched{Whole: true, Missing: true}},
		{"SELECT nowhere(1)", Touched{Whole: true, Definition: true}},
		{"SELECT 1 <#> 2", Touched{Whole: true, Definition: true}},
		{"SELECT 1::nowhere", Touched{Whole: true, Definition: true}},
		{"SELECT ts_stat('SELECT 1')", Touched{Whole: true, Definition: true}},
		{"SELECT schema_to_xml('public', true, true, '')", Touched{Whole: true, Definition: true}},
		{"SELECT pg_import_system_collations('pg_catalog')", Touched{Whole: true, Definition: true}},
		{"DELETE FROM pg_class", Touched{Whole: true, Definition: true}},
		{"DELETE FROM pg_temp.x", Touched{Whole: true}},
		{"SELECT * FROM pg_temp.x", Touched{}},

		{"CREATE TABLE x (id int)", Touched{Whole: true, Definition: true, AllSettings: true}},
		{"GRANT SELECT ON plain TO PUBLIC", Touched{Whole: true, Definition: true, AllSettings: true}},
		{"ALTER ROLE postgres SET TimeZone = 'UTC'", Touched{Whole: true, Definition: true, AllSettings: true, Cluster: true}},
		{"ALTER SYSTEM SET work_mem = '1MB'", Touched{Whole: true, Definition: true, AllSettings: true, Cluster: true}},
		{"COMMIT PREPARED 'x'", Touched{Whole: true, Definition: true, AllSettings: true}},
		{"EXECUTE p", Touched{Whole: true, Definition: true, Settings: true, Temp: true}},
		{"DO $$BEGIN END$$", Touched{}},
		{"DO $$BEGIN EXECUTE 'SELECT 1'; END$$", Touched{Whole: true, Definition: true, Settings: true, Temp: true}},
		{"CALL nowhere()", Touched{Whole: true, Definition: true, Settings: true, Temp: true}},
		{"DO LANGUAGE plperl 'x'", Touched{Whole: true, Definition: true, Settings: true, Temp: true}},
		{"SELEC", Touched{Whole: true, Definition: true, Settings: true, Temp: true}},
		{"MERGE INTO on_update USING plain ON false WHEN NOT MATCHED THEN INSERT VALUES (1)", Touched{}},
	} {
		got := f.touches(tc.sql)
		got.Reason, got.Relations = "", nil
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s\n\t%+v, want\n\t%+v", tc.sql, got, tc.want)
		}
	}
}

func TestTouchesWithoutACatalog(t *testing.T) {
	for sql, want := range map[string]Touched{
		"SELECT 1":                         {},
		"BEGIN":                            {},
		"SET a.b = 'c'":                    {Settings: true},
		"SELECT f()":                       {Whole: true},
		"SELECT * FROM t":                  {Whole: true},
		"SELECT set_config('a', '', true)": {Whole: true, Settings: true},
		"INSERT INTO t VALUES (1)":         {Whole: true},
	} {
		got := Touches(parser.Analyze(sql), nil, catalog.Temporary{}, nil, nil)
		got.Reason = ""
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, want %+v", sql, got, want)
		}
	}
}

// TestVolatileFunctionsOfEachVersion looks at every VOLATILE function that initdb made: each is either known to be
// harmless or listed here, so that what a new version brings is looked at.
func TestVolatileFunctionsOfEachVersion(t *testing.T) {
	judgedToWrite := []string{
		"amvalidate", "cursor_to_xml", "cursor_to_xmlschema", "dsnowball_init", "dsnowball_lexize", "pg_extension_config_dump",
		"pg_import_system_collations", "pg_nextoid", "pg_stop_making_pinned_objects", "plpgsql_inline_handler", "plpgsql_validator",
		"query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "ts_rewrite", "ts_stat",
		"pg_clear_attribute_stats", "pg_clear_relation_stats", "pg_restore_attribute_stats", "pg_restore_relation_stats",
		"pg_rotate_logfile_old", "pg_file_rename", "pg_file_sync", "pg_file_unlink", "pg_file_write",
	}
	for _, version := range []string{"13", "15", "18"} {
		conn, err := pgx.Connect(t.Context(), pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		rows, err := conn.Query(t.Context(), `SELECT DISTINCT proname::text FROM pg_proc
			WHERE provolatile = 'v' AND pronamespace = 'pg_catalog'::regnamespace AND oid < 16384
			  AND NOT prorettype = ANY ('{trigger,internal,index_am_handler,table_am_handler,tsm_handler,language_handler}'::regtype[])
			  AND proname !~ '^binary_upgrade_' ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if len(names) < 100 {
			t.Errorf("version %s: only %d functions", version, len(names))
		}
		for _, name := range names {
			harmless := writesNoTable(name) && !runsSQL(name)
			if harmless == slices.Contains(judgedToWrite, name) {
				t.Errorf("version %s: %s is taken for harmless: %v", version, name, harmless)
			}
		}
	}
}
