package lint_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/cachepolicy/lint"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// fixture is a database that is checked.
type fixture struct {
	conn *pgx.Conn
}

func newFixture(t *testing.T, dsn, schema string) *fixture {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	f := &fixture{conn}
	f.exec(t, schema)
	return f
}

func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := f.conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func load(t *testing.T, yaml string) *config.Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pgrecall.yaml")
	if err := os.WriteFile(name, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// input asks the server for what Check judges.
func (f *fixture) input(t *testing.T, yaml string) lint.Input {
	t.Helper()
	c := load(t, yaml)
	server, err := lint.Ask(t.Context(), f.conn)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.Load(t.Context(), f.conn)
	if err != nil {
		t.Fatal(err)
	}
	scope := &cachepolicy.Scope{ID: 1}
	if err := f.conn.QueryRow(t.Context(), "SELECT current_database(), current_user, current_schemas(true)").
		Scan(&scope.Database, &scope.CurrentUser, &scope.Schemas); err != nil {
		t.Fatal(err)
	}
	scope.SessionUser = scope.CurrentUser
	return lint.Input{Policy: c.Policy, Snapshot: snapshot, Scope: scope, Server: server, Interval: c.CatalogInterval}
}

// line is a finding without the name of the test's database.
func line(f *lint.Finding, database string) string {
	text := strings.Join(strings.Fields(fmt.Sprint(f.Level, " ", f.Code, " ", f.Path, " ", f.Object)), " ") + ": " + f.What
	if f.Change != "" {
		text += "; " + f.Change
	}
	return strings.ReplaceAll(text, database, "DB")
}

// expect compares findings with the beginnings of their lines.
func expect(t *testing.T, in lint.Input, want ...string) {
	t.Helper()
	var got []string
	findings := lint.Check(in)
	for i := range findings {
		got = append(got, line(&findings[i], in.Snapshot.Database))
	}
	if !slices.EqualFunc(got, want, func(got, want string) bool {
		return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\*\*`, ".*") + "$").MatchString(got)
	}) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const shop = `
CREATE SCHEMA shop; CREATE SCHEMA ledger;
CREATE TABLE prices (id int PRIMARY KEY, price numeric);
CREATE TABLE shop.offer_1 (id int PRIMARY KEY, until date);
CREATE TABLE orders (id int PRIMARY KEY, total numeric, at timestamptz DEFAULT now());
CREATE TABLE items (id int PRIMARY KEY, "order" int REFERENCES orders ON DELETE CASCADE);
CREATE TABLE ledger.entries (id int PRIMARY KEY);
CREATE VIEW open_orders AS SELECT id, total FROM orders WHERE total > 0;
CREATE TABLE events (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE notes (id int, tenant text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON notes USING (tenant = current_setting('app.tenant', true));
`

// opaque is a function of which nobody knows what it does.
const opaque = `CREATE FUNCTION opaque() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';`

// opaqueTrigger is such a trigger.
const opaqueTrigger = `CREATE FUNCTION traced() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN NEW; END';
CREATE TRIGGER trace AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION traced();`

func TestSaneSchema(t *testing.T) {
	f := newFixture(t, pgtest.Shared(t).NewDatabase(t), shop)
	expect(t, f.input(t, ""))
	expect(t, f.input(t, `
rules:
  - {name: prices, match: {tables: [prices, "shop.offer_*"]}, ttl: 5s, stale_while_revalidate: 30s}
  - {match: {tables: [open_orders, events]}, ttl: 1h}
  - {match: {tables: ["*"], user: postgres}, ttl: 10m, consistency: ttl}
  - {match: {schema: ledger}, cache: never}
  - {ttl: 30s}
`))
}

// TestExample holds the example, with its rules in force, against the schema that it speaks of.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, pgtest.Shared(t).NewDatabase(t), shop)
	f.exec(t, `
CREATE ROLE metabase;
CREATE SCHEMA audit;
CREATE TABLE totals (id int); CREATE TABLE rates (id int); CREATE TABLE search_index (id int);
CREATE FUNCTION audit.notify_change() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';
CREATE FUNCTION refresh_totals() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';
CREATE FUNCTION exchange_rate() RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';
CREATE FUNCTION search() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; RETURN NEW; END';
CREATE TRIGGER orders_search AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION search();`)
	t.Cleanup(func() { _, _ = f.conn.Exec(context.Background(), "DROP ROLE metabase") })
	_, rules, _ := strings.Cut(string(data), "\nrules:\n")
	rules = "rules:\n" + regexp.MustCompile(`(?m)^  #(-|  )`).ReplaceAllString(rules, "  $1")
	if len(load(t, rules).Policy.Rules) != 3 {
		t.Fatal("not the example's rules")
	}
	expect(t, f.input(t, rules))
	expect(t, f.input(t, string(data)), `warning whole_database audit.notify_change: **`, `warning whole_database public.exchange_rate: **`,
		`warning whole_database public.orders: **`, `warning whole_database public.refresh_totals: **`)
}

// finds is a schema and a configuration with what is found.
type finds struct {
	schema, yaml string
	want         []string
}

// check runs cases, those of one schema in one database: no others must be there meanwhile.
func check(t *testing.T, cases map[string]finds) {
	t.Helper()
	bySchema := map[string]map[string]finds{}
	for name, c := range cases {
		if bySchema[c.schema] == nil {
			bySchema[c.schema] = map[string]finds{}
		}
		bySchema[c.schema][name] = c
	}
	for schema, cases := range bySchema {
		t.Run("in", func(t *testing.T) {
			f := newFixture(t, pgtest.Shared(t).NewDatabase(t), schema)
			for name, c := range cases {
				t.Run(name, func(t *testing.T) { expect(t, f.input(t, c.yaml), c.want...) })
			}
		})
	}
}

func TestRules(t *testing.T) {
	check(t, map[string]finds{
		"no such table": {shop, `rules: [{match: {tables: [orders, ordres]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[1]: no table or view of database DB matches "ordres"; did you mean public.orders?`}},
		"in another schema": {shop, `rules: [{match: {tables: [public.entries]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view of database DB matches "public.entries"; did you mean ledger.entries?`}},
		"in capitals": {shop, `rules: [{match: {tables: [Orders]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view of database DB matches "Orders"; did you mean public.orders, public.open_orders?`}},
		"never of nothing": {shop, `rules: [{match: {tables: [secrets]}, cache: never}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view of database DB matches "secrets": what the rule should keep out of the cache may be cached`}},
		"pattern of nothing": {shop, `rules: [{match: {tables: ["audit_*"]}, ttl: 5s}]`, []string{
			`warning no_table rules[0].match.tables[0]: no table or view of database DB matches "audit_*"`}},
		"system": {shop, `rules: [{match: {tables: [pg_class]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view of database DB matches "pg_class" (the system's own are never cached)`}},
		"a sequence": {`CREATE SEQUENCE counter`, `rules: [{match: {tables: [counter]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view of database DB matches "counter"`}},
		"no such schema": {shop, `rules: [{match: {schema: leger}, cache: never}]`, []string{
			`error no_table rules[0].match.schema: no schema with tables of database DB matches "leger": what the rule should keep out of the cache may be cached; did you mean ledger?`}},
		"schema and table": {shop, `rules: [{match: {schema: ledger, tables: [orders]}, ttl: 5s}]`, []string{
			`error no_table rules[0].match.tables[0]: no table or view in schema ledger of database DB matches "orders"; did you mean public.orders, public.open_orders?`}},
		"no such user": {shop, `rules: [{match: {user: postgers}, ttl: 5s}]`, []string{
			`error no_user rules[0].match.user: no role of the server matches "postgers", so the rule never applies; did you mean postgres?`}},
		"no such database": {shop, `rules: [{match: {database: postgras, tables: [not_looked_for]}, ttl: 5s}]`, []string{
			`error no_database rules[0].match.database: no database of the server matches "postgras", so the rule never applies; did you mean postgres?`}},
		"another database": {shop, `rules: [{match: {database: postgres, tables: [not_looked_for]}, ttl: 5s}]`, nil},

		"hidden": {shop, `rules: [{name: first, match: {schema: public}, ttl: 5s}, {match: {tables: [orders, items]}, ttl: 1s}]`, []string{
			`warning hidden rules[1]: never decides: rules[0] (first) stands before it and matches the same statements; **`}},
		"hidden by all": {shop, `rules: [{ttl: 5s}, {match: {user: postgres}, ttl: 1s}]`, []string{`warning hidden rules[1]: **`}},
		"hidden in part": {shop, `rules: [{match: {tables: [orders]}, ttl: 5s}, {match: {tables: [orders, items]}, ttl: 1s}]`, []string{
			`warning hidden rules[1].match.tables[0]: never decides: rules[0] stands **`}},
		"hidden never": {shop, `rules: [{match: {tables: ["*"]}, ttl: 5s}, {match: {schema: ledger}, cache: never}]`, []string{
			`error hidden rules[1]: does not keep from the cache what it should: rules[0] **; put this rule first`}},
		"hidden query": {shop, `rules: [{match: {query: "select *"}, ttl: 5s}, {match: {query: "SELECT  a, * from t"}, ttl: 1s}, {match: {query: "*"}, ttl: 1s}]`, []string{
			`warning hidden rules[1]: **`}},
		"hidden fingerprint": {shop, `rules: [{match: {fingerprint: 0x1f}, ttl: 5s}, {match: {fingerprint: 1F}, ttl: 1s}, {match: {fingerprint: 2f}, ttl: 1s}]`, []string{
			`warning hidden rules[1]: **`}},
		"hidden behind a view": {shop, `rules: [{match: {tables: [orders]}, cache: never}, {match: {tables: [open_orders]}, ttl: 5s}, {match: {tables: [prices]}, ttl: 5s}]`, []string{
			`warning hidden rules[1]: never decides: rules[0] **`}},
		"never but for a view": {shop, `rules: [{name: open, match: {tables: [open_orders]}, ttl: 5s}, {match: {tables: [orders, items]}, cache: never}]`, []string{
			`error hidden rules[1] public.open_orders: does not keep from the cache what it should: rules[0] (open) stands before it and caches public.open_orders, which reads public.orders; put this rule first`}},
		"hidden by a star": {shop, `rules: [{match: {user: "*"}, ttl: 5s}, {match: {tables: [orders]}, ttl: 1s}]`, []string{`warning hidden rules[1]: **`}},
		"not hidden": {shop, `rules: [{match: {tables: [orders], user: app}, ttl: 5s}, {match: {tables: [orders]}, ttl: 1s}, {match: {tables: ["*"]}, ttl: 1s}, {ttl: 2s}]`, []string{
			`error no_user rules[0].match.user: **`}},

		"long": {shop, `{cache: {default_ttl: 2h}, rules: [{match: {tables: [orders]}, ttl: 90m}, {match: {tables: [items]}, ttl: 1h}, {match: {tables: [prices]}, ttl: 12h, consistency: ttl}, {match: {tables: [events]}, ttl: 25h, consistency: ttl}]}`, []string{
			`warning long_ttl cache.default_ttl: consistency: strict holds for writes through pgrecall alone; what is written past it ** shows after 2h; at most 1h, or consistency: ttl **`,
			`warning long_ttl rules[0].ttl: ** shows after 1h30m; **`,
			`warning long_ttl rules[3].ttl: answers may be 25h old, whatever is written; at most 24h makes sense`}},
		"long by consistency": {shop, `{cache: {default_ttl: 2h, consistency: ttl}, rules: [{match: {tables: [orders]}, consistency: session}]}`, []string{
			`warning long_ttl rules[0].consistency: consistency: session holds **`}},
		"stale": {shop, `rules: [{match: {tables: [orders]}, ttl: 30s, consistency: ttl, stale_while_revalidate: 10m}, {match: {tables: [items]}, ttl: 30s, stale_while_revalidate: 10m}]`, []string{
			`warning stale rules[0].stale_while_revalidate: with consistency: ttl nothing but the TTL bounds how old an answer is, and this makes the 30s of it 10m30s: **`}},

		"column": {`CREATE TABLE odd (id int, of regclass)`, `rules: [{match: {tables: [odd]}, ttl: 5s}]`, []string{
			`warning not_cached rules[0].match.tables[0] public.odd: public.odd is never cached: a column's type ** (column_type: public.odd.of); change the column's type**`}},
		"column without a rule": {`CREATE TABLE odd (id int, of regclass)`, ``, nil},
		"view": {`CREATE TABLE t (at timestamptz); CREATE VIEW recent AS SELECT * FROM t WHERE at > now() - interval '1h'`, `rules: [{match: {tables: ["*"]}, ttl: 5s}]`, []string{
			`warning not_cached rules[0].match.tables[0] public.recent: public.recent is never cached: ** (stable_function: now); **`}},
		"unlogged": {`CREATE UNLOGGED TABLE jobs (id int)`, `rules: [{match: {tables: [jobs]}, ttl: 5s}]`, []string{
			`warning unlogged rules[0].match.tables[0] public.jobs: public.jobs is unlogged: a crash **(catalog.interval, 30s); **`}},
		"partition": {shop, `rules: [{match: {tables: [events_2026]}, ttl: 5s}]`, []string{
			`warning partition rules[0].match.tables[0] public.events_2026: public.events_2026 is part of a partitioned table: statements that read it through public.events are not ruled by this; name public.events`}},
		"partition and parent": {shop, `rules: [{match: {tables: ["events*"]}, ttl: 5s}]`, nil},
		"policy": {shop + `CREATE FUNCTION mine(text) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true';
			CREATE POLICY odd ON notes FOR SELECT USING (mine(tenant))`, `rules: [{match: {tables: [notes]}, ttl: 5s}]`, []string{
			`warning not_cached rules[0].match.tables[0] public.notes: public.notes is never cached: row security, policy odd: a volatile function ** (volatile_function: mine); **`}},
		"policy without a rule": {shop + `CREATE POLICY odd ON notes FOR SELECT USING (tenant < now()::text)`, ``, []string{
			`warning not_cached public.notes: never cached: row security, policy odd: ** (stable_function: now); **`}},
		"cast": {`CREATE FUNCTION conv(int) RETURNS date LANGUAGE sql STABLE AS 'SELECT current_date'; CREATE CAST (int AS date) WITH FUNCTION conv(int) AS ASSIGNMENT; CREATE TABLE t (id int)`, `rules: [{match: {tables: [t]}, ttl: 5s}]`, []string{
			`error nothing_cached: nothing of this database is cached: somebody made a cast **; drop the cast, **`}},
	})
}

func TestWrites(t *testing.T) {
	check(t, map[string]finds{
		"trigger": {shop + opaqueTrigger, ``, []string{
			`warning whole_database public.orders: INSERT of public.orders invalidates the whole database: trigger trace on public.orders: function public.traced: **; ` +
				`declare it under functions: {name: public.traced, writes: [...]}, or effects: none if it writes nothing (neither if it changes settings or defines things); or the trigger under triggers: {name: trace, table: public.orders, writes: [...]}`}},
		"one trigger of many tables": {shop + opaqueTrigger + `CREATE TRIGGER trace AFTER INSERT OR UPDATE OR TRUNCATE ON prices EXECUTE FUNCTION traced();`, ``, []string{
			`warning whole_database public.orders: INSERT, UPDATE, TRUNCATE of public.orders, public.prices invalidates **`}},
		"declared function": {shop + opaqueTrigger, `functions: [{name: traced, writes: [items]}]`, nil},
		"declared trigger":  {shop + opaqueTrigger, `triggers: [{name: trace, effects: none}]`, nil},
		"default": {opaque + `CREATE TABLE t (id int DEFAULT opaque())`, ``, []string{
			`warning whole_database public.t: INSERT, UPDATE, DELETE, TRUNCATE of public.t invalidates the whole database: function public.opaque: **; declare it under functions: {name: public.opaque, **`}},
		"rule": {shop + `CREATE RULE r AS ON INSERT TO prices DO ALSO NOTIFY prices`, ``, []string{
			`warning whole_database public.prices: ** of public.prices invalidates the whole database: rule on prices; nothing can be declared for rules: make a trigger of it`}},
		"foreign table": {`CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;
			CREATE FOREIGN TABLE far (id int) SERVER s; CREATE FOREIGN TABLE read (id int) SERVER s OPTIONS (updatable 'false')`,
			`rules: [{match: {tables: [far]}, ttl: 5s}]`, []string{
				`warning not_cached rules[0].match.tables[0] public.far: public.far is never cached: a foreign table's rows change elsewhere (foreign_table: public.far); take it out of the rule; a materialized view over it can be cached`,
				`warning whole_database public.far: INSERT, UPDATE, DELETE of public.far invalidates the whole database: write to far; nothing can be declared for it: write to it seldom`}},
		"function": {opaque + `CREATE FUNCTION outer_one() RETURNS int LANGUAGE sql AS 'SELECT opaque()'`, ``, []string{
			`warning whole_database public.opaque: each call invalidates the whole database: function public.opaque: **; declare it under functions: {name: public.opaque, **`}},
		"settings": {`CREATE FUNCTION become(int) RETURNS text LANGUAGE sql AS $$SELECT set_config('app.tenant', $1::text, false)$$`, ``, []string{
			`warning whole_database public.become: each call invalidates the whole database: function public.become: set_config in a function; it changes settings, of which a declaration must not be silent: **`}},
		"declared settings": {`CREATE FUNCTION become(int) RETURNS text LANGUAGE sql AS $$SELECT set_config('app.tenant', $1::text, false)$$`, `functions: [{name: become, effects: none}]`, []string{
			`error contradicted functions[0]: function public.become changes settings, but what is declared is taken to change no settings and to define nothing: **; remove the declaration`}},
		"declared settings of a trigger": {`CREATE TABLE t (id int); CREATE FUNCTION become() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.tenant', '1', true); RETURN NEW; END$$;
			CREATE TRIGGER become BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION become()`, `triggers: [{name: become, effects: none}]`, []string{
			`error contradicted triggers[0]: function public.become changes settings, **`}},
		"declared definition": {`CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE x (id int); END'`, `functions: [{name: make, effects: none}]`, []string{
			`error contradicted functions[0]: function public.make defines things (CREATE TABLE), **`}},
		"declared for another path": {`CREATE SCHEMA app; CREATE TABLE x (id int PRIMARY KEY); CREATE TABLE y (x int REFERENCES x ON DELETE CASCADE); CREATE TABLE app.x (id int);
			CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'DELETE FROM x'; CREATE FUNCTION clear_all() RETURNS void LANGUAGE sql AS 'DELETE FROM public.x'`,
			`functions: [{name: clear, writes: [app.x]}, {name: clear_all, writes: [y]}]`, []string{
				`warning needless functions[0]: **`, `error contradicted functions[1]: function public.clear_all: the body writes public.x, **`}},
		"definition": {`CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE x (id int); END'`, ``, []string{
			`warning whole_database public.make: ** it defines things (CREATE TABLE), of which **`}},
		"path": {`CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int); CREATE FUNCTION put() RETURNS int LANGUAGE sql AS 'INSERT INTO hidden.t VALUES (1) RETURNING id';
			CREATE FUNCTION lost() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM t; RETURN 1; END'`, ``, []string{
			`warning whole_database public.lost: each call invalidates the whole database: function public.lost: unknown relation t; qualify the name with its schema, or check as the application's role (--user); **`}},
		"cast": {opaque + `CREATE TYPE pair AS (a int); CREATE FUNCTION conv(pair) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN EXECUTE ''x''; RETURN 1; END';
			DROP FUNCTION opaque; CREATE CAST (pair AS int) WITH FUNCTION conv(pair)`, ``, []string{
			`error whole_database public.conv: the function of a cast may run in any statement, and each invalidates the whole database: function public.conv: **`}},
	})
}

func TestDeclarations(t *testing.T) {
	const audited = shop + `
CREATE TABLE log (id int);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER audit AFTER INSERT ON prices FOR EACH ROW EXECUTE FUNCTION audit();
CREATE FUNCTION put() RETURNS void LANGUAGE sql AS 'INSERT INTO items VALUES (1, 1)';
CREATE FUNCTION rate() RETURNS numeric LANGUAGE sql STABLE AS 'SELECT max(price) FROM prices';
CREATE FUNCTION opaque_rate() RETURNS numeric LANGUAGE plpgsql STABLE AS 'BEGIN EXECUTE ''SELECT 1''; RETURN 1; END';
CREATE FUNCTION told() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';`
	f := newFixture(t, pgtest.Shared(t).NewDatabase(t), audited)
	for name, test := range map[string]struct {
		yaml string
		want []string
	}{
		"no such function": {`functions: [{name: puts, effects: none}]`, []string{
			`error no_function functions[0].name: no function or procedure of database DB matches "puts"; did you mean public.put?`}},
		"pattern of no function": {`functions: [{name: "jobs.*", effects: none}]`, []string{`warning no_function functions[0].name: **`}},
		"of the system": {`functions: [{name: random, effects: none}]`, []string{
			`error no_function functions[0].name: "random" is a function of pg_catalog, of which nothing can be declared; remove the declaration`}},
		"void": {`functions: [{name: put, writes: [itmes]}]`, []string{
			`error void functions[0].writes[0]: no relation of database DB matches "itmes", so the declaration is void: each call invalidates the whole database; did you mean public.items?`}},
		"void reads": {`functions: [{name: opaque_rate, reads: [prices, rates]}]`, []string{`error void functions[0].reads[1]: **`}},
		"needless": {`functions: [{name: put, writes: [items]}]`, []string{
			`warning needless functions[0]: function public.put: pgrecall sees by itself that it writes public.items; **`}},
		"needless of a trigger's": {`functions: [{name: stamp, effects: none}]`, []string{
			`warning needless functions[0]: function public.stamp: pgrecall sees by itself that it writes nothing; **`}},
		"needless reads": {`functions: [{name: rate, reads: [prices]}]`, []string{`warning needless functions[0]: function public.rate: **`}},
		"of use":         {`functions: [{name: opaque_rate, reads: [prices]}, {name: told, effects: none, cache: true}]`, nil},
		"contradicted": {`functions: [{name: put, effects: none}]`, []string{
			`error contradicted functions[0]: function public.put: the body writes public.items, which is not declared: **; add it to writes, or **`}},
		"contradicted by a trigger's": {`functions: [{name: audit, writes: [orders]}]`, []string{
			`error contradicted functions[0]: function public.audit: the body writes public.log, **`}},
		"contradicted reads": {`functions: [{name: rate, reads: [orders]}]`, []string{
			`error contradicted functions[0]: function public.rate: the body reads public.prices, which is not declared: **; add it to reads`}},
		"hidden": {`functions: [{name: "opaque_*", reads: [prices]}, {name: opaque_rate, reads: [orders]}]`, []string{
			`warning hidden functions[1]: never counts: declarations before it match the same; **`}},

		"no such trigger": {`triggers: [{name: adit, table: prices, effects: none}]`, []string{
			`error no_trigger triggers[0].name: no enabled trigger of database DB matches "adit" on prices; did you mean audit?`}},
		"no such table": {`triggers: [{name: audit, table: price, effects: none}]`, []string{
			`error no_trigger triggers[0].table: no table of database DB matches "price"; did you mean public.prices?`}},
		"void of a trigger":         {`triggers: [{name: audit, writes: [logs]}]`, []string{`error void triggers[0].writes[0]: **; did you mean public.log?`}},
		"needless trigger":          {`triggers: [{name: audit, writes: [log]}]`, []string{`warning needless triggers[0]: trigger audit on public.prices: pgrecall sees by itself that it writes public.log; **`}},
		"contradicted by a trigger": {`triggers: [{name: audit, effects: none}]`, []string{`error contradicted triggers[0]: trigger audit on public.prices: the body writes public.log, **`}},
		"hidden trigger": {`triggers: [{name: "*", table: prices, writes: [log, items]}, {name: audit, writes: [log]}]`, []string{
			`warning needless triggers[0]: **`, `warning hidden triggers[1]: **`}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, f.input(t, test.yaml), test.want...) })
	}
}
