package catalog_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// connect opens a connection that is closed at the end of the test.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, script string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
}

func load(t *testing.T, conn *pgx.Conn) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Load(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadRelations(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE SCHEMA sales;
CREATE TABLE customers (id int PRIMARY KEY, name text, at timestamptz, kind regclass);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE ON UPDATE SET NULL);
CREATE TABLE sales.customers (id int);
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE VIEW named AS SELECT c.id, upper(c.name) FROM customers c JOIN sales.customers s USING (id);
CREATE MATERIALIZED VIEW stored AS SELECT count(*) FROM orders;
CREATE SEQUENCE counter;
CREATE RULE nothing AS ON DELETE TO sales.customers DO INSTEAD NOTHING;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER audited AFTER INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER off AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION audit();
ALTER TABLE orders DISABLE TRIGGER off;
CREATE TEMP TABLE passing (id int);`)
	s := load(t, conn)

	if s.ServerVersion < 130000 || s.Database == "" {
		t.Errorf("version %d, database %q", s.ServerVersion, s.Database)
	}
	customers := s.Relation("public", "customers")
	orders := s.Relation("public", "orders")
	if customers == nil || orders == nil {
		t.Fatal("tables are missing")
	}
	if s.ByOID(customers.OID) != customers {
		t.Error("ByOID found another relation")
	}
	if customers.Kind != 'r' || customers.Persistence != 'p' || customers.RowSecurity || !orders.RowSecurity {
		t.Errorf("customers %+v, orders %+v", customers, orders)
	}
	if customers.UnsafeColumn != "kind" || orders.UnsafeColumn != "" {
		t.Errorf("unsafe columns %q, %q", customers.UnsafeColumn, orders.UnsafeColumn)
	}
	if customers.ColumnTypes["at"] != "timestamptz" || customers.ColumnTypes["name"] != "text" {
		t.Errorf("column types %v", customers.ColumnTypes)
	}
	want := []catalog.ForeignKey{{Referencing: orders.OID, OnUpdate: 'n', OnDelete: 'c'}}
	if !slices.Equal(customers.ReferencedBy, want) {
		t.Errorf("referenced by %v, want %v", customers.ReferencedBy, want)
	}
	if len(orders.Triggers) != 0 || len(customers.Triggers) != 0 {
		t.Errorf("disabled or internal triggers: %v %v", orders.Triggers, customers.Triggers)
	}

	parts, part := s.Relation("public", "parts"), s.Relation("public", "parts_1")
	if !slices.Equal(parts.Children, []uint32{part.OID}) || !slices.Equal(part.Parents, []uint32{parts.OID}) {
		t.Errorf("children %v, parents %v", parts.Children, part.Parents)
	}
	for _, r := range []*catalog.Relation{parts, part} {
		if len(r.Triggers) != 1 || !r.Triggers[0].Insert || !r.Triggers[0].Update || r.Triggers[0].Delete {
			t.Errorf("triggers of %s: %+v", r.Name, r.Triggers)
		}
	}

	sales := s.Relation("sales", "customers")
	named := s.Relation("public", "named")
	reads := []uint32{customers.OID, sales.OID}
	slices.Sort(reads)
	if !slices.Equal(named.ViewReads, reads) || named.ViewDefinition == "" || named.Rules || !sales.Rules {
		t.Errorf("view %+v, rules of sales.customers %v", named, sales.Rules)
	}
	if s.Relation("public", "stored").Kind != 'm' || s.Relation("public", "counter").Kind != 'S' {
		t.Error("kinds of the materialized view and the sequence")
	}
	if s.Relation("pg_catalog", "pg_class") == nil || s.Relation("information_schema", "tables") == nil {
		t.Error("the system's relations are missing")
	}
	for _, r := range []*catalog.Relation{s.Relation("public", "passing"), s.Relation("pg_temp", "passing")} {
		if r != nil {
			t.Errorf("temporary relation %v", r)
		}
	}
}

func TestResolve(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.t (id int); CREATE TABLE b.t (id int); CREATE TABLE b.only (id int);
CREATE FUNCTION a.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION b.f(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION b.lower(int) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE TYPE b.mood AS ENUM ('fair');`)
	s := load(t, conn)
	for _, tc := range []struct {
		schemas          []string
		schema, relation string
		want             string
	}{
		{[]string{"a", "b"}, "", "t", "a"},
		{[]string{"b", "a"}, "", "t", "b"},
		{[]string{"a", "b"}, "b", "t", "b"},
		{[]string{"a", "b"}, "", "only", "b"},
		{[]string{"a"}, "", "only", ""},
		{nil, "", "t", ""},
		{[]string{"a"}, "nowhere", "t", ""},
	} {
		r, ok := s.Resolve(tc.schemas, tc.schema, tc.relation)
		if ok != (tc.want != "") || ok && r.Schema != tc.want {
			t.Errorf("Resolve(%v, %q, %q) = %v, want schema %q", tc.schemas, tc.schema, tc.relation, r, tc.want)
		}
	}
	if n := len(s.Functions([]string{"a", "b"}, "", "f")); n != 2 {
		t.Errorf("%d candidates, want those of both schemas", n)
	}
	if n := len(s.Functions([]string{"a"}, "", "f")); n != 1 {
		t.Errorf("%d candidates, want 1", n)
	}
	system := len(s.Functions(nil, "pg_catalog", "lower"))
	if n := len(s.Functions([]string{"b"}, "", "lower")); n != system+1 {
		t.Errorf("%d candidates for lower, want pg_catalog's %d and b's", n, system)
	}
	if n := len(s.Functions([]string{"a"}, "", "lower")); n != system {
		t.Errorf("%d candidates for lower, want %d", n, system)
	}
	if s.Type([]string{"a"}, "", "mood") != nil || s.Type([]string{"a", "b"}, "", "mood") == nil || s.Type(nil, "", "int4") == nil {
		t.Error("types are not found by the path")
	}
	if len(s.Operators(nil, "", "+")) == 0 || len(s.Operators([]string{"a"}, "", "+++")) != 0 {
		t.Error("operators")
	}
}

func TestTypesAreSafeOrNot(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE EXTENSION citext;
CREATE FUNCTION drifting(int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE FUNCTION fixed(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN d_plain AS int CHECK (value > 0);
CREATE DOMAIN d_fixed AS int CHECK (fixed(value));
CREATE DOMAIN d_drifting AS int CHECK (drifting(value));
CREATE DOMAIN d_day AS date;
CREATE DOMAIN d_class AS regclass;
CREATE TYPE mood AS ENUM ('fair');
CREATE TYPE pair AS (a int, b text[]);
CREATE TYPE bad_pair AS (a int, b timetz);
CREATE TYPE int_range AS RANGE (subtype = int4);
CREATE TABLE t (id int);`)
	s := load(t, conn)
	for name, want := range map[string]bool{
		"int4": true, "_int4": true, "text": true, "json": true, "jsonb": true, "xml": true, "name": true, "int2vector": true,
		"timestamptz": true, "tstzrange": true, "int4range": true, "_tstzrange": true,
		"regclass": false, "_regclass": false, "regtype": false, "regrole": false, "timetz": false, "xid": false, "cid": false,
		"tid": false, "pg_snapshot": false, "aclitem": false, "refcursor": false, "record": false, "unknown": false,
		"d_plain": true, "d_fixed": true, "d_drifting": false, "d_day": true, "_d_day": true, "d_class": false, "_d_class": false,
		"mood": true, "_mood": true, "pair": true, "_pair": true, "bad_pair": false, "int_range": true, "t": true, "citext": true, "_citext": true,
	} {
		typ := s.Type([]string{"public"}, "", name)
		if typ == nil || typ.Safe != want {
			t.Errorf("%s: %+v, want safe %v", name, typ, want)
		}
	}
	if typ := s.Type([]string{"public"}, "", "_d_day"); typ == nil || typ.Base != "date" {
		t.Errorf("base of an array of a domain over date: %+v", typ)
	}
}

func TestVolatileFunctionsOfRelations(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE FUNCTION drifting(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION less(int, text) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = text, FUNCTION = less);
CREATE DOMAIN checked AS int CHECK (drifting(value) = 1);
CREATE DOMAIN defaulted AS int DEFAULT drifting(1);
CREATE TABLE t_default (id int DEFAULT drifting(1));
CREATE TABLE t_check (id int CHECK (drifting(id) = 1));
CREATE TABLE t_operator (id int CHECK (id <<< 'x'));
CREATE TABLE t_domain (id checked);
CREATE TABLE t_domain_default (id defaulted);
CREATE TABLE t_policy (id int);
CREATE POLICY p ON t_policy USING (drifting(id) = 1);
CREATE EXTENSION "uuid-ossp";
CREATE TABLE t_uuid (id uuid DEFAULT uuid_generate_v4());
CREATE FUNCTION steady(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE TABLE t_stable (id int DEFAULT steady(1));
CREATE TABLE t_builtin (id serial, at timestamptz DEFAULT now(), r float DEFAULT random());
CREATE TABLE t_fixed (id int DEFAULT fixed(1) CHECK (fixed(id) = 1));
CREATE INDEX ON t_fixed (fixed(id));`)
	s := load(t, conn)
	for relation, want := range map[string]bool{
		"t_default": true, "t_check": true, "t_operator": true, "t_domain": true, "t_domain_default": true, "t_policy": true,
		"t_uuid": false, "t_stable": false, "t_builtin": false, "t_fixed": false,
	} {
		if r := s.Relation("public", relation); r == nil || (len(r.VolatileFunctions) > 0) != want {
			t.Errorf("%s: %+v, want %v", relation, r, want)
		}
	}
}

// TestDigest changes one thing at a time: each must change the digest, and looking must not.
func TestDigest(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE TABLE t (id int, name text); CREATE TABLE other (id int);
CREATE TYPE mood AS ENUM ('fair');
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION vol(text) RETURNS mood LANGUAGE sql VOLATILE AS 'SELECT NULL::mood';`)
	last := load(t, conn)
	if again := load(t, conn); again.Digest != last.Digest {
		t.Fatal("the digest changed without a change")
	}
	execute(t, conn, "INSERT INTO t VALUES (1, 'x'); ANALYZE t; CREATE TEMP TABLE passing (id int)")
	if again := load(t, conn); again.Digest != last.Digest {
		t.Fatal("the digest changed by data")
	}
	for _, definition := range []string{
		"CREATE TABLE u (id int)",
		"ALTER TABLE u ADD COLUMN x text",
		"ALTER TABLE u ALTER COLUMN x TYPE varchar(7)",
		"ALTER TABLE u ALTER COLUMN x TYPE varchar(8)",
		"ALTER TABLE u RENAME COLUMN x TO y",
		"GRANT SELECT ON u TO PUBLIC",
		"GRANT UPDATE (y) ON u TO PUBLIC",
		"ALTER TABLE u OWNER TO pg_monitor",
		"REVOKE USAGE ON SCHEMA public FROM PUBLIC",
		"ALTER TABLE u ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY p ON u USING (true)",
		"ALTER POLICY p ON u USING (false)",
		"CREATE VIEW v AS SELECT id FROM t",
		"CREATE OR REPLACE VIEW v AS SELECT id + 0 AS id FROM t",
		"ALTER TYPE mood ADD VALUE 'good'",
		"ALTER TYPE mood RENAME VALUE 'good' TO 'better'",
		"CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2'",
		"ALTER FUNCTION f(int) STABLE",
		"REVOKE EXECUTE ON FUNCTION f(int) FROM PUBLIC",
		"CREATE OPERATOR @@@ (RIGHTARG = int, FUNCTION = f)",
		"ALTER TABLE t ADD CHECK (id > 0) NOT VALID",
		"ALTER TABLE t ADD PRIMARY KEY (id); ALTER TABLE other ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES t",
		"ALTER TABLE other DROP CONSTRAINT k; ALTER TABLE other ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES t ON DELETE CASCADE",
		"CREATE TABLE child () INHERITS (t)",
		"ALTER TABLE child NO INHERIT t",
		"CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER TABLE t DISABLE TRIGGER x",
		"CREATE RULE r AS ON INSERT TO u DO INSTEAD NOTHING",
		"CREATE EVENT TRIGGER happens ON ddl_command_end EXECUTE FUNCTION event()",
		"CREATE CAST (text AS mood) WITH FUNCTION vol(text) AS IMPLICIT",
		"CREATE TEXT SEARCH CONFIGURATION c (COPY = simple)",
		"ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR word",
		"CREATE COLLATION k (LOCALE = 'C')",
		"ALTER TABLE u RENAME TO w",
		"DROP TABLE w",
	} {
		execute(t, conn, definition)
		next := load(t, conn)
		if next.Digest == last.Digest {
			t.Errorf("the digest did not change by %s", definition)
		}
		last = next
	}
	if len(last.VolatileCasts) == 0 || !last.EventTriggers {
		t.Errorf("volatile casts %v, event triggers %v", last.VolatileCasts, last.EventTriggers)
	}
}

func TestCasts(t *testing.T) {
	for _, tc := range []struct {
		script                     string
		implicit, target, converts bool
	}{
		{"CREATE TYPE mood AS ENUM ('fair'); CREATE CAST (varchar AS mood) WITH INOUT AS IMPLICIT", false, false, false},
		{"CREATE CAST (text AS date) WITH INOUT AS ASSIGNMENT", true, false, false},
		{"CREATE TYPE p AS (a int); CREATE FUNCTION f(int) RETURNS p IMMUTABLE LANGUAGE sql AS 'SELECT NULL::p'; CREATE CAST (int AS p) WITH FUNCTION f(int) AS IMPLICIT", false, false, false},
		{"CREATE TYPE p AS (a int); CREATE FUNCTION f(int) RETURNS p STABLE LANGUAGE sql AS 'SELECT NULL::p'; CREATE CAST (int AS p) WITH FUNCTION f(int) AS ASSIGNMENT", false, false, true},
		{"CREATE TYPE p AS (a int); CREATE FUNCTION f(int) RETURNS p STABLE LANGUAGE sql AS 'SELECT NULL::p'; CREATE CAST (int AS p) WITH FUNCTION f(int)", false, true, false},
	} {
		conn := connect(t, pgtest.Shared(t).NewDatabase(t))
		execute(t, conn, tc.script)
		s := load(t, conn)
		typ := s.Type([]string{"public"}, "", "p")
		if s.UnsafeCasts != tc.implicit || (typ != nil && typ.UnsafeCast) != tc.target || (typ != nil && typ.Converts) != tc.converts {
			t.Errorf("%s: unsafe casts %v, target %+v", tc.script, s.UnsafeCasts, typ)
		}
	}
}

// TestOrdinaryAccount: an account without any right sees the same definitions.
func TestOrdinaryAccount(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn := connect(t, dsn)
	execute(t, conn, `
CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int); CREATE VIEW hidden.v AS SELECT id FROM hidden.t;
CREATE FUNCTION hidden.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON SCHEMA hidden FROM PUBLIC;
CREATE ROLE catalog_ordinary LOGIN;`)
	t.Cleanup(func() { _, _ = conn.Exec(context.Background(), "DROP ROLE catalog_ordinary") })
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.User = "catalog_ordinary"
	ordinary, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer ordinary.Close(context.Background())
	if s := load(t, ordinary); s.Digest != load(t, conn).Digest || s.Relation("hidden", "v").ViewDefinition == "" {
		t.Error("an ordinary account sees another catalog")
	}
}

// TestHiddenCalls: t.f calls f(t), which no list of calls tells.
func TestHiddenCalls(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE TABLE t (id int); INSERT INTO t VALUES (1);
CREATE FUNCTION row_volatile(t) RETURNS float LANGUAGE sql VOLATILE AS 'SELECT random()';
CREATE FUNCTION row_immutable(t) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION any_stable(anyelement, int DEFAULT 1) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION scalar(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';`)
	var ignored float64
	if err := conn.QueryRow(t.Context(), "SELECT t.row_volatile FROM t").Scan(&ignored); err != nil {
		t.Fatalf("the server does not do it any more: %v", err)
	}
	s := load(t, conn)
	for function, want := range map[string]bool{
		"row_volatile": true, "any_stable": true, "pg_typeof": true, "row_immutable": false, "scalar": false, "length": false,
	} {
		if slices.Contains(s.HiddenCalls, function) != want {
			t.Errorf("%s: want %v in %v", function, want, s.HiddenCalls)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	conn, err := pgx.Connect(b.Context(), pgtest.Shared(b).NewDatabase(b))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	for b.Loop() {
		if _, err := catalog.Load(b.Context(), conn); err != nil {
			b.Fatal(err)
		}
	}
}
