package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
)

func look(t *testing.T, conn *pgx.Conn, last *catalog.Seen) (now *catalog.Seen, loaded bool) {
	t.Helper()
	now, loaded, err := catalog.Look(t.Context(), conn, last)
	if err != nil {
		t.Fatal(err)
	}
	return now, loaded
}

// queries keeps what Load asks the server.
type queries struct{ texts []string }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.texts = append(q.texts, data.SQL)
	return ctx
}

func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// harmlessCalls are functions that read no catalog, or (as those that deparse) none that isn't one of the catalogues.
var harmlessCalls = []string{
	"array_agg", "array_remove", "bool_or", "concat", "count", "current_database", "current_setting", "lower", "max", "md5", "min", "split_part", "string_agg", "unnest",
	"pg_get_expr", "pg_get_functiondef", "pg_get_triggerdef", "pg_get_viewdef",
}

var changedInPlace = regexp.MustCompile(`\b(relpages|reltuples|relallvisible|relallfrozen|relhas\w+|relfrozenxid|relminmxid|datfrozenxid|datminmxid|dathasloginevt|datconnlimit)\b`)

// testCoverage: every catalog that the queries of Load read is one that a look compares.
func testCoverage(t *testing.T, dsn string) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var asked queries
	config.Tracer = &asked
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	load(t, conn)
	texts := asked.texts
	read := make(map[string]bool)
	for _, text := range texts {
		if control := regexp.MustCompile(`^(ROLLBACK|SET LOCAL lock_timeout|RELEASE SAVEPOINT)`); control.MatchString(text) {
			continue
		}
		if found := changedInPlace.FindString(text); found != "" {
			t.Errorf("%s changes without a new version of the row\n%s", found, text)
		}
		var plan string
		if err := conn.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON, VERBOSE, COSTS OFF) "+text, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var root any
		if err := json.Unmarshal([]byte(plan), &root); err != nil {
			t.Fatal(err)
		}
		relations(root, read)
		for _, f := range parser.Analyze(text).Single().Functions {
			if !slices.Contains(harmlessCalls, f.Name) {
				t.Errorf("nobody knows which catalogs %s reads\n%s", f.Name, text)
			}
		}
	}
	known := catalog.Catalogues()
	for relation := range read {
		if !slices.Contains(known, relation) {
			t.Errorf("%s is read, and nobody looks whether it changed", relation)
		}
	}
	if len(read) < 20 {
		t.Errorf("only %v are read: do the queries still pass by here?", read)
	}
}

// relations collects the relations that a plan reads.
func relations(plan any, into map[string]bool) {
	switch node := plan.(type) {
	case []any:
		for _, part := range node {
			relations(part, into)
		}
	case map[string]any:
		for key, part := range node {
			if relation, ok := part.(string); ok && key == "Relation Name" {
				into[relation] = true
			}
			relations(part, into)
		}
	}
}

// testNoticing changes a row of every catalogue, in ways that leave the number of rows alone.
func testNoticing(t *testing.T, dsn string) {
	conn, other, old := connect(t, dsn), connect(t, dsn), connect(t, dsn)
	seen, _ := look(t, conn, nil)
	unchanged := func(what string) {
		t.Helper()
		execute(t, other, "SELECT pg_current_xact_id()") // so that the row versions have to be compared
		now, loaded := look(t, conn, seen)
		if loaded {
			t.Errorf("loaded again after %s", what)
		}
		seen = now
	}
	changed := func(what string) {
		t.Helper()
		now, loaded := look(t, conn, seen)
		if !loaded {
			t.Errorf("not noticed: %s", what)
		}
		seen = now
	}
	unchanged("nothing")
	for _, hold := range []bool{false, true, true} { // with an open transaction all that is newer stays above the horizon
		if hold && old.PgConn().TxStatus() == 'I' {
			execute(t, old, "BEGIN; SELECT pg_current_xact_id()")
		}
		for _, name := range catalog.Catalogues() {
			update(t, other, name)
			for _, want := range []bool{false, true} {
				now, same, err := catalog.Compare(t.Context(), conn, seen)
				if err != nil {
					t.Fatal(err)
				}
				if same != want {
					t.Errorf("same %v, want %v after an update of %s", same, want, name)
				}
				seen = now
			}
		}
	}
	testSamePlace(t, conn, other, old)
	seen, _ = look(t, conn, nil)
	unchanged("a commit")
	for _, script := range []string{
		"CREATE TABLE brief (id int)", "ALTER TABLE brief RENAME TO short; ALTER TABLE short RENAME TO brief", "DROP TABLE brief; CREATE TABLE brief (id int)",
		"DROP TABLE brief", "GRANT SELECT ON kept TO PUBLIC", "REVOKE SELECT ON kept FROM PUBLIC",
	} {
		execute(t, other, script)
		changed(script)
	}
	for _, script := range []string{
		"INSERT INTO kept SELECT generate_series(1, 1000); DELETE FROM kept WHERE id > 10", "ANALYZE", "VACUUM", "VACUUM FREEZE", "ANALYZE",
		"SELECT nextval('counter')", "BEGIN; CREATE TABLE never (id int); ROLLBACK", "DO 'BEGIN END'", "CHECKPOINT",
	} {
		execute(t, other, script)
		unchanged(script)
	}
}

// testSamePlace brings a row that was above the horizon back to its place by new versions. The transaction that old holds open ends.
func testSamePlace(t *testing.T, conn, other, old *pgx.Conn) {
	t.Helper()
	const again = "UPDATE pg_enum SET enumlabel = enumlabel WHERE enumlabel = 'good'; "
	place := func() (ctid string) {
		if err := other.QueryRow(t.Context(), "SELECT ctid::text FROM pg_enum WHERE enumlabel = 'good'").Scan(&ctid); err != nil {
			t.Fatal(err)
		}
		return ctid
	}
	execute(t, other, again)
	seen, _ := look(t, conn, nil)
	was := place()
	execute(t, old, "COMMIT")
	execute(t, other, again)
	execute(t, other, "VACUUM pg_enum") // the place is free again; new versions take the free ones in turn
	for i := 0; place() != was; i++ {
		if i == 100 {
			t.Fatalf("the row never came back to %s", was)
		}
		execute(t, other, again)
	}
	if _, same, err := catalog.Compare(t.Context(), conn, seen); err != nil || same {
		t.Errorf("a new version at %s is taken for the old one (%v)", was, err)
	}
}

// update makes a new version of one row of a catalog, with the same values.
func update(t *testing.T, conn *pgx.Conn, name string) {
	t.Helper()
	var column string
	err := conn.QueryRow(t.Context(), `
SELECT quote_ident(attname) FROM pg_attribute
 WHERE attrelid = $1::regclass AND attnum > 1 AND atttypid IN ('name'::regtype, 'oid'::regtype, 'int2'::regtype, 'bool'::regtype, '"char"'::regtype, 'text'::regtype, 'float4'::regtype)
 ORDER BY attnum LIMIT 1`, "pg_catalog."+name).Scan(&column)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	where := "ctid = (SELECT max(ctid) FROM pg_catalog." + name + ")"
	if name == "pg_database" {
		where = "datname = current_database()"
	}
	tag, err := conn.Exec(t.Context(), fmt.Sprintf("UPDATE pg_catalog.%s SET %s = %[2]s WHERE %s", name, column, where), pgx.QueryExecModeSimpleProtocol)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%s: %v, %v", name, tag, err)
	}
}

const lookDefinitions = `
CREATE SEQUENCE counter;
CREATE TABLE kept (id int PRIMARY KEY DEFAULT nextval('counter'), v text CHECK (v <> ''));
CREATE TABLE child () INHERITS (kept);
CREATE VIEW seen AS SELECT id FROM kept;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER told AFTER INSERT ON kept FOR EACH ROW EXECUTE FUNCTION tell();
CREATE FUNCTION event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER told ON ddl_command_end WHEN TAG IN ('CREATE AGGREGATE') EXECUTE FUNCTION event();
CREATE TYPE mood AS ENUM ('fair', 'good');
ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON kept USING (id IN (SELECT id FROM child));
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.tenant = 1', current_database()); END $$;`

// TestLooksOnEveryVersion: a look that does not load must be as good as one that does.
func TestLooksOnEveryVersion(t *testing.T) {
	for _, version := range []string{"13", "14", "15", "16", "17", "18"} {
		t.Run(version, func(t *testing.T) {
			dsn := pgtest.Start(t, pgtest.WithVersion(version), pgtest.WithConfig("autovacuum = off")).NewDatabase(t)
			execute(t, connect(t, dsn), lookDefinitions)
			testCoverage(t, dsn)
			testNoticing(t, dsn)
		})
	}
}

// TestLookReadsNothingWhileNoTransactionEnds by catalogs that can't be read.
func TestLookReadsNothingWhileNoTransactionEnds(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.WithConfig("autovacuum = off")).NewDatabase(t)
	conn, other := connect(t, dsn), connect(t, dsn)
	seen, _ := look(t, conn, nil)
	execute(t, other, "BEGIN; LOCK TABLE pg_ts_config_map")
	if _, loaded := look(t, conn, seen); loaded {
		t.Error("loaded without a change")
	}
}

// TestDefinitionsThatAreKept: after each change, a load that keeps texts gives what a fresh one does.
func TestDefinitionsThatAreKept(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn, other := connect(t, dsn), connect(t, dsn)
	execute(t, other, `
CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('fair', 'good'); CREATE TYPE s.pair AS (a int, b int);
CREATE DOMAIN s.small AS int;
CREATE TABLE s.t (id int, mood s.mood, x text, p s.pair, gone int); CREATE TABLE s.u (id int, y text);
CREATE FUNCTION s.f(int) RETURNS s.pair LANGUAGE sql IMMUTABLE AS 'SELECT 1, 2';
CREATE FUNCTION s.add(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OPERATOR s.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = s.add);
CREATE COLLATION s.k (LOCALE = 'C'); CREATE TEXT SEARCH CONFIGURATION s.c (COPY = simple);
CREATE VIEW s.v1 AS SELECT t.*, u.y, g.*, (t.p).a AS pa FROM s.t JOIN s.u USING (id), s.f(1) g WHERE mood = 'good' AND x < 'a' COLLATE s.k;
CREATE VIEW s.v2 AS SELECT v1.id, 's.t'::regclass AS r, 1::s.small AS d, id OPERATOR(s.@@@) 2 AS o, to_tsvector('s.c', x) AS w FROM s.v1;
CREATE MATERIALIZED VIEW s.m AS SELECT id FROM s.v2;`)
	seen, _ := look(t, conn, nil)
	for _, script := range []string{
		"ALTER TABLE s.t RENAME COLUMN x TO z", "ALTER TABLE s.u RENAME TO w", "ALTER TABLE s.t ADD COLUMN y text", "ALTER TABLE s.t DROP COLUMN y",
		"CREATE OR REPLACE VIEW s.v3 AS SELECT id FROM s.t", "CREATE OR REPLACE VIEW s.v3 AS SELECT id + 0 AS id FROM s.t", "ALTER VIEW s.v3 RENAME COLUMN id TO di",
		"ALTER TYPE s.mood RENAME VALUE 'good' TO 'better'", "ALTER TYPE s.pair RENAME ATTRIBUTE a TO c CASCADE", "ALTER DOMAIN s.small RENAME TO tiny",
		"ALTER FUNCTION s.f(int) RENAME TO g", "ALTER COLLATION s.k RENAME TO kk", "ALTER TEXT SEARCH CONFIGURATION s.c RENAME TO cc",
		"ALTER TYPE s.mood RENAME TO spirits", "ALTER OPERATOR s.@@@ (int, int) SET SCHEMA public", "ALTER SCHEMA s RENAME TO s2",
		"CREATE TABLE s2.another (id int)", "REFRESH MATERIALIZED VIEW s2.m", "TRUNCATE s2.t", "DROP VIEW s2.v3", "DROP TABLE s2.t CASCADE",
	} {
		execute(t, other, script)
		now, loaded := look(t, conn, seen)
		if !loaded {
			t.Errorf("not noticed: %s", script)
		}
		if fresh := load(t, other); now.Snapshot().Digest != fresh.Digest {
			t.Errorf("after %s the definitions are others than those of a fresh load", script)
		}
		seen = now
	}
}

// TestLoadDoesNotWaitForLocks: a view that is locked is left out, unless its text is known; and after that no lock is left.
func TestLoadDoesNotWaitForLocks(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn, other := connect(t, dsn), connect(t, dsn)
	var script strings.Builder
	script.WriteString("CREATE TABLE t (id int); CREATE TABLE p (id int); ALTER TABLE p ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON p USING (id IN (SELECT id FROM t));")
	for i := range 45 {
		fmt.Fprintf(&script, "CREATE VIEW v%d AS SELECT id FROM p;", i)
	}
	script.WriteString("CREATE MATERIALIZED VIEW m AS SELECT id FROM p;")
	execute(t, other, script.String())
	err := catalog.WhileLoaded(t.Context(), conn, func() {
		var locks int
		err := other.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE pid = $1 AND relation >= 16384", int32(conn.PgConn().PID())).Scan(&locks)
		if err != nil || locks != 0 {
			t.Errorf("%d locks on users' relations are held on (%v)", locks, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, other, "BEGIN; REFRESH MATERIALIZED VIEW m; LOCK TABLE t")
	seen, _ := look(t, conn, nil)
	s := seen.Snapshot()
	if seen.Missing() != 2 || s.Relation("public", "m").ViewDefinition != "" || s.Relation("public", "p").Policies[0].Using != "?" {
		t.Errorf("%d missing, %+v", seen.Missing(), s.Relation("public", "m"))
	}
	for i := range 45 {
		if s.Relation("public", fmt.Sprint("v", i)).ViewDefinition == "" {
			t.Errorf("no definition of v%d", i)
		}
	}
	if again, loaded := look(t, conn, seen); !loaded || again.Missing() != 2 {
		t.Error("what was missing is not looked for again")
	}
	execute(t, other, "ROLLBACK")
	seen, _ = look(t, conn, seen)
	if seen.Missing() != 0 || seen.Snapshot().Relation("public", "m").ViewDefinition == "" || seen.Snapshot().Relation("public", "p").Policies[0].Using == "?" {
		t.Errorf("%d missing", seen.Missing())
	}
	execute(t, other, "CREATE TABLE more (id int)")
	execute(t, other, "BEGIN; REFRESH MATERIALIZED VIEW m")
	seen, loaded := look(t, conn, seen)
	if m := seen.Snapshot().Relation("public", "m"); !loaded || seen.Missing() != 0 || m.ViewDefinition == "" {
		t.Errorf("loaded %v, %d missing: a known definition was asked for again: %+v", loaded, seen.Missing(), m)
	}
}
