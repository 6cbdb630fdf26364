package cachepolicy_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
)

const schema = `
CREATE EXTENSION citext;
CREATE SCHEMA sales;
CREATE TABLE users (id int PRIMARY KEY, name text, email citext, born date, created timestamptz, note varchar(10), tags text[], data jsonb);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id int, amount numeric, price money, created timestamptz, day text);
CREATE TABLE sales.leads (id int, created timestamp);
CREATE TABLE classes (id int, c regclass);
CREATE TABLE zoned (id int, at timetz);
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY RANGE (day);
CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM ('2021-01-01') TO ('2021-06-01');
CREATE TABLE animals (id int);
CREATE TABLE cats (lives int) INHERITS (animals);
CREATE TABLE secrets (id int);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE SEQUENCE counter;
CREATE FUNCTION fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION steady(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';
CREATE FUNCTION drifting(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION classy(int) RETURNS regclass LANGUAGE sql IMMUTABLE AS $$SELECT 'pg_class'::regclass$$;
CREATE FUNCTION sales.lower(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE FUNCTION sales.date_trunc(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION whim(users) RETURNS float LANGUAGE sql VOLATILE AS 'SELECT random()';
CREATE FUNCTION label(users) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.name';
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int);
CREATE AGGREGATE classy_all(int) (SFUNC = int4mul, STYPE = int, FINALFUNC = classy);
CREATE AGGREGATE hasty(int) (SFUNC = int4mul, STYPE = int, FINALFUNC = steady);
CREATE FUNCTION like_it(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION hate_it(int, int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT true';
CREATE OPERATOR ~~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = like_it);
CREATE OPERATOR !!!! (LEFTARG = int, RIGHTARG = int, FUNCTION = hate_it);
CREATE TYPE mood AS ENUM ('fair');
CREATE DOMAIN birthday AS date;
CREATE VIEW adults AS SELECT id, lower(name) AS name FROM users WHERE born < '2000-01-01';
CREATE VIEW buyers AS SELECT a.id, o.amount FROM adults a JOIN orders o ON o.user_id = a.id;
CREATE VIEW fresh AS SELECT id FROM orders WHERE created > now() - interval '1 day';
CREATE VIEW dated AS SELECT id, created::date AS created FROM orders;
CREATE VIEW today AS SELECT id FROM users WHERE born = CURRENT_DATE;
CREATE VIEW hidden AS SELECT id FROM secrets;
CREATE VIEW catalogs AS SELECT relname::text AS name FROM pg_class;
CREATE VIEW steadied AS SELECT steady(id) AS id FROM users;
CREATE VIEW ticking AS SELECT nextval('counter') AS n, id FROM users;
CREATE MATERIALIZED VIEW stored AS SELECT id, now() AS at FROM users;
CREATE VIEW over_stored AS SELECT id FROM stored;
`

// fixture is a database with the schema above, loaded.
type fixture struct {
	conn     *pgx.Conn
	snapshot *catalog.Snapshot
	scope    cachepolicy.Scope
	policy   cachepolicy.Policy
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureOf(t, schema)
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// newFixtureOf makes a database with a schema of its own.
func newFixtureOf(t *testing.T, schema string) *fixture {
	t.Helper()
	return newFixtureOn(t, pgtest.Shared(t).NewDatabase(t), schema)
}

func newFixtureOn(t *testing.T, dsn, schema string) *fixture {
	t.Helper()
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.Load(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{conn: conn, snapshot: snapshot, policy: cachepolicy.Default()}
	f.scope = cachepolicy.Scope{
		Database: snapshot.Database, CurrentUser: "app", SessionUser: "app", Schemas: []string{"pg_catalog", "public"},
	}
	if err := f.policy.Compile(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) decide(sql string) cachepolicy.Decision {
	return cachepolicy.Decide(parser.Analyze(sql), &f.scope, f.snapshot, &f.policy)
}

// names are the relations of a decision, sorted by name.
func (f *fixture) names(d cachepolicy.Decision) []string {
	var names []string
	for _, oid := range d.Relations {
		r := f.snapshot.ByOID(oid)
		name := r.Name
		if r.Schema != "public" {
			name = r.Schema + "." + name
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestDecide(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		sql       string
		reason    cachepolicy.Reason
		relations []string // for what is cached
	}{
		{"SELECT * FROM users WHERE id = $1", "", []string{"users"}},
		{"select u.name, count(*) from users u join public.orders o on o.user_id = u.id group by 1 having sum(o.amount) > 10 order by 2 desc limit 5", "", []string{"orders", "users"}},
		{"TABLE sales.leads", "", []string{"sales.leads"}},
		{"WITH x AS (SELECT id FROM users) SELECT * FROM x", "", []string{"users"}},
		{"SELECT id FROM users UNION ALL SELECT id FROM orders", "", []string{"orders", "users"}},
		{"SELECT CURRENT_USER, id FROM users", "", []string{"users"}},

		// Statement.
		{"SELEC", cachepolicy.ReasonNotParsed, nil},
		{"", cachepolicy.ReasonNotRead, nil},
		{"SELECT id FROM users; SELECT id FROM orders", cachepolicy.ReasonMultiStatement, nil},
		{"INSERT INTO users (id) VALUES (1)", cachepolicy.ReasonNotRead, nil},
		{"SHOW work_mem", cachepolicy.ReasonNotRead, nil},
		{"EXPLAIN SELECT id FROM users", cachepolicy.ReasonNotRead, nil},
		{"SELECT id INTO copied FROM users", cachepolicy.ReasonNotRead, nil},
		{"WITH d AS (DELETE FROM users RETURNING id) SELECT * FROM d", cachepolicy.ReasonWritesInWith, nil},
		{"SELECT id FROM users FOR UPDATE", cachepolicy.ReasonLocking, nil},
		{"SELECT id FROM (SELECT id FROM users FOR SHARE) x", cachepolicy.ReasonLocking, nil},
		{"SELECT id FROM users WHERE born = CURRENT_DATE", cachepolicy.ReasonCurrentTime, nil},
		{"SELECT id FROM users WHERE born = 'today'", cachepolicy.ReasonTimeLiteral, nil},
		{"SELECT id FROM users WHERE born = DATE ' Yesterday '", cachepolicy.ReasonTimeLiteral, nil},
		{"SELECT ctid FROM users", cachepolicy.ReasonSystemColumn, nil},
		{"SELECT id FROM users TABLESAMPLE SYSTEM (10)", cachepolicy.ReasonTableSample, nil},
		{"SELECT 1", cachepolicy.ReasonNoRelation, nil},
		{"VALUES (1)", cachepolicy.ReasonNoRelation, nil},

		// Relations.
		{"SELECT * FROM nowhere", cachepolicy.ReasonUnknownRelation, nil},
		{"SELECT * FROM leads", cachepolicy.ReasonUnknownRelation, nil},
		{"SELECT * FROM elsewhere.public.users", cachepolicy.ReasonUnknownRelation, nil},
		{"SELECT * FROM pg_class", cachepolicy.ReasonSystemCatalog, nil},
		{"SELECT * FROM information_schema.tables", cachepolicy.ReasonSystemCatalog, nil},
		{"SELECT * FROM pg_temp.users", cachepolicy.ReasonTemporary, nil},
		{"SELECT * FROM pg_temp_3.users", cachepolicy.ReasonTemporary, nil},
		{"SELECT * FROM counter", cachepolicy.ReasonRelationKind, nil},
		{"SELECT * FROM secrets", "", []string{"secrets"}},
		{"SELECT id FROM classes", cachepolicy.ReasonColumnType, nil},
		{"SELECT id FROM zoned", cachepolicy.ReasonColumnType, nil},
		{"SELECT * FROM parts", "", []string{"parts", "parts_1", "parts_2", "parts_2_1"}},
		{"SELECT * FROM parts_2", "", []string{"parts_2", "parts_2_1"}},
		{"SELECT * FROM parts_1", "", []string{"parts_1"}},
		{"SELECT * FROM animals", "", []string{"animals", "cats"}},

		// Views.
		{"SELECT * FROM adults", "", []string{"adults", "users"}},
		{"SELECT * FROM buyers", "", []string{"adults", "buyers", "orders", "users"}},
		{"SELECT * FROM dated", "", []string{"dated", "orders"}},
		{"SELECT * FROM fresh", cachepolicy.ReasonStable, nil},
		{"SELECT * FROM today", cachepolicy.ReasonCurrentTime, nil},
		{"SELECT * FROM hidden", "", []string{"hidden", "secrets"}},
		{"SELECT * FROM catalogs", cachepolicy.ReasonSystemCatalog, nil},
		{"SELECT * FROM steadied", cachepolicy.ReasonStable, nil},
		{"SELECT * FROM ticking", cachepolicy.ReasonVolatile, nil},
		{"SELECT id FROM stored", "", []string{"stored"}},
		{"SELECT id FROM over_stored", "", []string{"over_stored", "stored"}},

		// Functions.
		{"SELECT upper(name), length(name), coalesce(note, ''), fixed(id) FROM users", "", []string{"users"}},
		{"SELECT to_char(created, 'YYYY'), date_trunc('day', created), extract(year FROM created), date_part('day', created) FROM users", "", []string{"users"}},
		{"SELECT created AT TIME ZONE 'UTC', concat(id, name), format('%s', id), string_agg(name, ',') FROM users GROUP BY 1, 2, 3", "", []string{"users"}},
		{"SELECT json_agg(u), row_to_json(u), to_jsonb(u), jsonb_build_object('a', id) FROM users u GROUP BY u.*, id", "", []string{"users"}},
		{"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY id), count(*) FROM orders", "", []string{"orders"}},
		{"SELECT row_number() OVER (ORDER BY id), lag(id, 1, 0) OVER (ORDER BY id) FROM users", "", []string{"users"}},
		{"SELECT id FROM users WHERE to_tsvector(name) @@ plainto_tsquery('x')", "", []string{"users"}},
		{"SELECT id, unnest(tags), generate_series(1, 3), jsonb_array_elements(data) FROM users", "", []string{"users"}},
		{"SELECT concat(VARIADIC tags) FROM users", "", []string{"users"}},
		{"SELECT make_interval(days => id) FROM users", "", []string{"users"}},
		{"SELECT current_schema(), current_database(), id FROM users", "", []string{"users"}},
		{"SELECT now(), id FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT age(created, born) FROM users", "", []string{"users"}},
		{"SELECT age(born) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT random(), id FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT id FROM users ORDER BY random()", cachepolicy.ReasonVolatile, nil},
		{"SELECT nextval('counter'), id FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT clock_timestamp(), id FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT pg_advisory_lock(id) FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT set_config('a.b', name, false) FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT pg_typeof(id) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT has_table_privilege(name, 'SELECT') FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT to_regclass(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT query_to_xml('SELECT 1', true, true, ''), id FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT jsonb_populate_record(u, data) FROM users u", cachepolicy.ReasonStable, nil},
		{"SELECT pg_partition_root(id) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT steady(id) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT drifting(id) FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT classy(id) FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT product(id) FROM users", "", []string{"users"}},
		{"SELECT classy_all(id) FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT hasty(id) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT nothing_known(id) FROM users", cachepolicy.ReasonUnknownFunction, nil},
		{"SELECT upper(name, name, name) FROM users", cachepolicy.ReasonUnknownFunction, nil},
		{"SELECT sales.lower(name) FROM users", cachepolicy.ReasonVolatile, nil},
		{"SELECT pg_catalog.lower(name) FROM users", "", []string{"users"}},
		{"SELECT u.whim FROM users u", cachepolicy.ReasonVolatile, nil},
		{"SELECT (u).whim FROM users u", cachepolicy.ReasonVolatile, nil},
		{"SELECT u.label FROM users u", "", []string{"users"}},
		{"SELECT u.pg_typeof FROM users u", cachepolicy.ReasonStable, nil},
		{"SELECT u.row_to_json FROM users u", "", []string{"users"}},

		// Operators.
		{"SELECT id FROM users WHERE id BETWEEN 1 AND 2 AND name LIKE 'a%' AND data @> '{}' AND email = 'x'", "", []string{"users"}},
		{"SELECT id ~~~~ 1 FROM users", "", []string{"users"}},
		{"SELECT id !!!! 1 FROM users", cachepolicy.ReasonUnknownOperator, nil},
		{"SELECT id <#> 1 FROM users", cachepolicy.ReasonUnknownOperator, nil},

		// Casts.
		{"SELECT id::text, name::varchar(3), '1'::int, CAST(id AS numeric), tags::text, 'fair'::mood, email::citext FROM users", "", []string{"users"}},
		{"SELECT 'users'::regclass, id FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT id FROM users WHERE name::regtype = 'int'::regtype", cachepolicy.ReasonUnknownType, nil},
		{"SELECT id::unheard_of FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT created::timetz FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT '2020-01-01'::date, $1::timestamptz, created::date, date_trunc('day', created)::date FROM users", "", []string{"users"}},
		{"SELECT users.created::date, count(*) FROM users JOIN orders ON orders.user_id = users.id GROUP BY 1", "", []string{"orders", "users"}},
		{"SELECT (created AT TIME ZONE 'UTC')::date FROM users", "", []string{"users"}},
		{"SELECT name::date FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT name::birthday FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT tags::date[] FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT name::daterange FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT (data->>'at')::timestamptz FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT day::date FROM orders", cachepolicy.ReasonTimeCast, nil},
		{"SELECT day::date FROM orders, parts", cachepolicy.ReasonTimeCast, nil},
		{"SELECT elsewhere::date FROM orders", cachepolicy.ReasonTimeCast, nil},
		{"SELECT date(name), id FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT timestamptz(name) FROM users", cachepolicy.ReasonTimeCast, nil},
		{"SELECT regclass(name) FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT text(id), int4(name), mood(name) FROM users", "", []string{"users"}},
		// The name of a column may mean something else.
		{"SELECT x.created::date FROM (SELECT name AS created FROM users) x", cachepolicy.ReasonTimeCast, nil},
		{"SELECT x.created::date FROM users AS x (id, created)", cachepolicy.ReasonTimeCast, nil},
		{"SELECT x.created::date FROM users u, unnest(u.tags) AS x (created)", cachepolicy.ReasonTimeCast, nil},
		{"WITH x (created) AS (SELECT name FROM users) SELECT created::date FROM x", cachepolicy.ReasonTimeCast, nil},
	} {
		d := f.decide(tc.sql)
		if d.Reason != tc.reason || (d.Verdict == cachepolicy.Cache) != (tc.reason == "") {
			t.Errorf("%s\n\tverdict %v, reason %q (%s), want reason %q", tc.sql, d.Verdict, d.Reason, d.Detail, tc.reason)
			continue
		}
		if got := f.names(d); !slices.Equal(got, tc.relations) {
			t.Errorf("%s\n\trelations %v, want %v", tc.sql, got, tc.relations)
		}
		if !slices.IsSorted(d.Relations) {
			t.Errorf("%s\n\trelations aren't sorted: %v", tc.sql, d.Relations)
		}
	}
}

func TestDecideWithoutACatalog(t *testing.T) {
	policy := cachepolicy.Default()
	d := cachepolicy.Decide(parser.Analyze("SELECT * FROM t"), &cachepolicy.Scope{}, nil, &policy)
	if d.Verdict != cachepolicy.Bypass || d.Reason != cachepolicy.ReasonNoCatalog {
		t.Errorf("%+v", d)
	}
}

// TestSearchPathDecidesWhatAFunctionMeans: a function anywhere in the path may be the one that is called.
func TestSearchPathDecidesWhatAFunctionMeans(t *testing.T) {
	f := newFixture(t)
	f.scope.Schemas = []string{"pg_catalog", "public", "sales"}
	if d := f.decide("SELECT lower(name) FROM users"); d.Reason != cachepolicy.ReasonVolatile {
		t.Errorf("lower: %+v", d)
	}
	if d := f.decide("SELECT date_trunc('day', created)::date FROM users"); d.Reason != cachepolicy.ReasonTimeCast {
		t.Errorf("date_trunc: %+v", d)
	}
	if d := f.decide("SELECT * FROM leads"); d.Verdict != cachepolicy.Cache {
		t.Errorf("leads: %+v", d)
	}
	if d := f.decide("SELECT * FROM adults"); d.Verdict != cachepolicy.Cache {
		t.Errorf("a view's functions depend on the session's path: %+v", d)
	}
}

func TestForeignTables(t *testing.T) {
	f := newFixture(t)
	_, err := f.conn.Exec(t.Context(), `
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE far (id int) SERVER s;
CREATE TABLE split (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE split_far PARTITION OF split FOR VALUES IN (1) SERVER s;`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if f.snapshot, err = catalog.Load(t.Context(), f.conn); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT * FROM far", "SELECT * FROM split"} {
		if d := f.decide(sql); d.Reason != cachepolicy.ReasonForeignTable {
			t.Errorf("%s: %+v", sql, d)
		}
	}
}

// TestTimeTextsAreReallyDangerous asks the server, so that the rules above are there for a reason.
func TestTimeTextsAreReallyDangerous(t *testing.T) {
	f := newFixture(t)
	for _, sql := range []string{
		"SELECT v::date = current_date FROM (VALUES ('today')) x (v)",
		"SELECT date(v) = current_date FROM (VALUES ('today'::text)) x (v)",
		"SELECT lower(v::daterange) = current_date FROM (VALUES ('[today,)')) x (v)",
	} {
		var same bool
		if err := f.conn.QueryRow(t.Context(), sql).Scan(&same); err != nil || !same {
			t.Errorf("%s: %v, %v", sql, same, err)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	conn, err := pgx.Connect(b.Context(), pgtest.Shared(b).NewDatabase(b))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(b.Context(), schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		b.Fatal(err)
	}
	snapshot, err := catalog.Load(b.Context(), conn)
	if err != nil {
		b.Fatal(err)
	}
	policy := cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20}
	scope := cachepolicy.Scope{Schemas: []string{"pg_catalog", "public"}}
	stmt := parser.Analyze("SELECT upper(b.name), count(*) FROM adults b JOIN orders o ON o.user_id = b.id WHERE b.id = 1 GROUP BY 1")
	b.ReportAllocs()
	for b.Loop() {
		cachepolicy.Decide(stmt, &scope, snapshot, &policy)
	}
}

// TestNeverLooksBehindViews: a rule that says never holds for what stands behind a view or partitioned table; a rule
// with a TTL is for what the query names.
func TestNeverLooksBehindViews(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		sql, table string
		never      bool
	}{
		{"SELECT * FROM buyers", "users", true},
		{"SELECT * FROM buyers", "buyers", true},
		{"SELECT * FROM buyers", "leads", false},
		{"SELECT * FROM parts", "parts_2_1", true},
		{"SELECT * FROM parts_2_1", "parts", false},
	} {
		f.policy = cachepolicy.Default()
		f.policy.Rules = []cachepolicy.Rule{{Cache: cachepolicy.CacheNever, Match: cachepolicy.Match{Tables: []string{tc.table}}}}
		if d := f.decide(tc.sql); (d.Reason == cachepolicy.ReasonRuleNever) != tc.never {
			t.Errorf("%s, never %s: %+v", tc.sql, tc.table, d)
		}
	}
	f.policy = cachepolicy.Default()
	f.policy.Rules = []cachepolicy.Rule{{TTL: time.Second, Match: cachepolicy.Match{Tables: []string{"users"}}}}
	if d := f.decide("SELECT * FROM buyers"); d.Rule != nil {
		t.Errorf("a TTL rule for a table behind the view was used: %+v", d)
	}
}
