package soak

import (
	"fmt"
	"strings"
)

// world is a random schema with the statements that clients may send to it. It is immutable.
type world struct {
	version int  // server's major one
	murky   bool // triggers may run SQL that they make at run time: writes then end all caching for a while
	tables  []*table
	setup   []string // makes everything, in order, as the superuser

	common []string // templates of reads that may be cached
	cover  []string // templates that between them read every relation
	exotic []string // templates of other reads, and of what is seldom asked for

	routines []routine // functions that write
	reading  []string  // reads that call functions that read
}

// table is an ordinary table of schema app: id, parent, tenant, v, name and some columns of other types.
type table struct {
	name   string
	extra  []column
	parent *table // parent references its id, nil for none
	twin   bool   // alt has one of the same name
	deputy bool   // app.NAME_b can take its place
}

// column is a column of some type with a way to make its values.
type column struct {
	name, typ string
	value     string // SQL expression of $i, an int
	reads     []string
}

// columns are the types in use. In reads, $c stands for the column; they have no order of their own.
var columns = []column{
	{"amount", "numeric(12,3)", "$i / 7.0", []string{"$c", "round($c, 1)", "$c::text", "$c * 3", "to_char($c, 'FM999.00')"}},
	{"at", "timestamptz", "'2026-01-01 12:30:00+00'::timestamptz + $i * interval '7 hours 3 minutes'",
		[]string{"$c", "$c::text", "date_trunc('day', $c)", "extract(hour FROM $c)", "to_char($c, 'YYYY-MM-DD HH24:MI TZ')", "$c AT TIME ZONE 'Asia/Tokyo'", "$c::date"}},
	{"d", "date", "'2026-02-01'::date + $i", []string{"$c", "$c::text", "$c + 1", "extract(dow FROM $c)", "to_char($c, 'TMDay')"}},
	{"ts", "timestamp", "'2026-03-01 01:02:03'::timestamp + $i * interval '1 day'", []string{"$c", "$c::text", "$c::timestamptz", "$c::timestamptz::text"}},
	{"iv", "interval", "$i * interval '1 day 2 hours'", []string{"$c", "$c::text", "justify_hours($c)"}},
	{"f", "float8", "$i / 3.0", []string{"$c", "$c::text", "round($c::numeric, 2)", "sqrt($c)"}},
	{"data", "jsonb", `jsonb_build_object('a', $i, 'k', jsonb_build_array($i, 'x'))`,
		[]string{"$c", "$c->>'a'", "$c#>>'{k,0}'", "jsonb_array_length($c->'k')", `$c @> '{"a": 3}'`, "jsonb_path_query_first($c, '$.k[0]')"}},
	{"tags", "text[]", "ARRAY['t' || $i, 'ä']", []string{"$c", "$c[1]", "array_length($c, 1)", "'t3' = ANY ($c)", "$c || 'z'::text", "array_to_string($c, ',')"}},
	{"b", "bytea", "decode(lpad(to_hex($i), 4, '0'), 'hex')", []string{"$c", "$c::text", "encode($c, 'hex')", "length($c)"}},
	{"m", "app.mood", "(enum_range(NULL::app.mood))[1 + $i % 3]", []string{"$c", "$c::text", "$c > (enum_range(NULL::app.mood))[1]"}},
	{"u", "uuid", "md5($i::text)::uuid", []string{"$c", "$c::text"}},
	{"flag", "bool", "$i % 2 = 0", []string{"$c", "NOT $c", "$c::text"}},
	{"dom", "app.positive", "$i + 1", []string{"$c", "$c + 1", "$c::text"}},
	{"r", "int4range", "int4range($i, $i + 5)", []string{"$c", "upper($c)", "$c @> 4"}},
	{"cash", "money", "$i * 3.5::numeric::money", []string{"$c", "$c::text", "$c * 2"}},
	{"big", "int8", "$i * 10000000000", []string{"$c", "$c % 7", "$c::int8 / 2"}},
	{"ip", "inet", "('10.0.0.' || $i)::inet", []string{"$c", "host($c)", "$c <<= '10.0.0.0/8'"}},
	{"ch", "char(6)", "'c' || $i", []string{"$c", "$c || '|'", "length($c)"}},
	{"ci", `text COLLATE "C"`, "'Name ' || $i", []string{"$c", "upper($c)", "lower($c) LIKE 'name%'"}},
}

// roles are made once for a server. The suffix tells what the role is about.
var roles = []string{"soak_reader", "soak_tenant_1", "soak_tenant_2", "soak_auditor", "soak_owner", "soak_writer"}

// roleSetup makes the roles. Roles outlive a database: what a run granted is taken back by a new server.
func roleSetup() []string {
	statements := make([]string, 0, len(roles)+2)
	for _, role := range roles {
		statements = append(statements, "CREATE ROLE "+role+" LOGIN")
	}
	return append(statements, "GRANT soak_auditor TO soak_reader", "GRANT soak_tenant_1 TO soak_writer")
}

// newWorld makes up a schema.
func newWorld(d dice, version int) *world {
	w := &world{version: version, murky: d.oneIn(8)}
	w.setup = append(w.setup,
		"CREATE SCHEMA app", "CREATE SCHEMA alt", "CREATE SCHEMA front", "CREATE SCHEMA far",
		"GRANT USAGE ON SCHEMA app, alt, front, far TO PUBLIC", "GRANT CREATE ON SCHEMA app, alt, front, far TO soak_owner, soak_writer",
		"CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy')", "CREATE DOMAIN app.positive AS int CHECK (VALUE > 0)",
		"CREATE SEQUENCE app.numbers", "CREATE TABLE app.audit (id bigserial PRIMARY KEY, tbl text, op text, row_id int, v int)",
		"CREATE TABLE app.counters (name text PRIMARY KEY, n int NOT NULL DEFAULT 0)",
		"CREATE TABLE app.junk AS SELECT i AS id, i * 2 AS v FROM generate_series(1, 5) i",
		"CREATE UNLOGGED TABLE app.loose (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED)",
		"INSERT INTO app.loose SELECT i, i FROM generate_series(1, 6) i",
	)
	for i := range 8 {
		w.addTable(d, i)
	}
	w.addPartitions()
	w.addSecurity(d)
	w.addFunctions(d)
	w.addTriggers(d)
	w.addViews(d)
	w.addRoutines(d)
	w.addReads(d)
	w.addCover()
	w.setup = append(w.setup,
		"GRANT SELECT ON ALL TABLES IN SCHEMA app, alt, far TO soak_reader, soak_tenant_1, soak_tenant_2, soak_owner",
		"GRANT ALL ON ALL TABLES IN SCHEMA app, alt, far TO soak_writer", "GRANT ALL ON ALL SEQUENCES IN SCHEMA app TO PUBLIC",
		"ANALYZE")
	return w
}

func (w *world) addTable(d dice, i int) {
	t := &table{name: fmt.Sprintf("t%d", i), twin: i == 1 || d.oneIn(3), deputy: i == 2 || d.oneIn(3)}
	for _, at := range d.Perm(len(columns))[:2+d.IntN(3)] {
		t.extra = append(t.extra, columns[at])
	}
	references := ""
	if i > 0 && !d.oneIn(4) {
		t.parent = w.tables[d.IntN(len(w.tables))]
		actions := []string{"CASCADE", "CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT"}
		references = fmt.Sprintf(" DEFAULT 1 REFERENCES app.%s ON DELETE %s ON UPDATE %s", t.parent.name, d.pick(actions), d.pick(actions))
		if d.oneIn(3) {
			references += " DEFERRABLE INITIALLY DEFERRED"
		}
	}
	var list, names, values strings.Builder
	for _, c := range t.extra {
		fmt.Fprintf(&list, ", %s %s", c.name, c.typ)
		fmt.Fprintf(&names, ", %s", c.name)
		fmt.Fprintf(&values, ", %s", strings.ReplaceAll(c.value, "$i", "i"))
	}
	make := func(name, references string, offset int) {
		w.setup = append(w.setup, fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, parent int%s, tenant int, v int, name text%s, touched timestamptz)", name, references, list.String()),
			fmt.Sprintf("INSERT INTO %s (id, parent, tenant, v, name%s) SELECT i, 1 + i %% 8, i %% 3, i + %d, 'name ' || i%s FROM generate_series(1, 12) i", name, names.String(), offset, values.String()))
	}
	make("app."+t.name, references, 100*i)
	if d.oneIn(2) {
		w.setup = append(w.setup, "CREATE INDEX ON app."+t.name+" (tenant)", "CREATE INDEX ON app."+t.name+" (v)")
	}
	if t.twin {
		make("alt."+t.name, "", 100*i+5000)
	}
	if t.deputy {
		make("app."+t.name+"_b", "", 100*i+7000)
	}
	w.tables = append(w.tables, t)
}

// addPartitions makes partitioned and inheriting tables.
func (w *world) addPartitions() {
	w.setup = append(w.setup,
		"CREATE TABLE app.events (id int, tenant int, v int, name text) PARTITION BY RANGE (id)",
		"CREATE TABLE app.events_low PARTITION OF app.events FOR VALUES FROM (0) TO (5)",
		"CREATE TABLE far.events_mid PARTITION OF app.events FOR VALUES FROM (5) TO (20) PARTITION BY LIST (tenant)",
		"CREATE TABLE far.events_mid_0 PARTITION OF far.events_mid FOR VALUES IN (0, 1)",
		"CREATE TABLE alt.events_mid_1 PARTITION OF far.events_mid DEFAULT",
		"CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT",
		"INSERT INTO app.events SELECT i, i % 3, i, 'event ' || i FROM generate_series(1, 24) i",
		"CREATE TABLE app.hashed (id int PRIMARY KEY, v int) PARTITION BY HASH (id)",
		"CREATE TABLE app.hashed_0 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
		"CREATE TABLE far.hashed_1 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
		"INSERT INTO app.hashed SELECT i, i FROM generate_series(1, 10) i",
		"CREATE TABLE app.part_child (id int PRIMARY KEY, h int REFERENCES app.hashed ON DELETE CASCADE ON UPDATE CASCADE, v int)",
		"INSERT INTO app.part_child SELECT i, i, i FROM generate_series(1, 10) i",
		"CREATE TABLE app.animal (id int, v int, name text)", "CREATE TABLE alt.cat (lives int DEFAULT 9) INHERITS (app.animal)",
		"CREATE TABLE app.kitten () INHERITS (alt.cat)", "CREATE TABLE app.stray (id int, v int, name text)",
		"INSERT INTO app.animal SELECT i, i, 'animal' FROM generate_series(1, 3) i", "INSERT INTO alt.cat SELECT i, i, 'cat' FROM generate_series(4, 6) i",
		"INSERT INTO app.kitten SELECT i, i, 'kitten' FROM generate_series(7, 8) i", "INSERT INTO app.stray SELECT i, i, 'stray' FROM generate_series(9, 9) i",
		"CREATE TABLE app.events_spare (id int, tenant int, v int, name text)", "INSERT INTO app.events_spare SELECT i, 0, i, 'spare' FROM generate_series(100, 103) i",
	)
}

// addSecurity makes tables with row security: by tenant setting, by role, by both and by membership.
func (w *world) addSecurity(d dice) {
	for _, name := range []string{"secured", "owned", "mixed"} {
		w.setup = append(w.setup,
			fmt.Sprintf("CREATE TABLE app.%s (id int PRIMARY KEY, tenant int, owner name, v int)", name),
			fmt.Sprintf("INSERT INTO app.%s SELECT i, i %% 3, 'soak_tenant_' || (1 + i %% 2), i FROM generate_series(1, 12) i", name),
			fmt.Sprintf("ALTER TABLE app.%s OWNER TO soak_owner", name), fmt.Sprintf("ALTER TABLE app.%s ENABLE ROW LEVEL SECURITY", name))
	}
	w.setup = append(w.setup,
		"ALTER TABLE app.secured FORCE ROW LEVEL SECURITY",
		"CREATE POLICY by_tenant ON app.secured USING (tenant = nullif(current_setting('app.tenant', true), '')::int)",
		"CREATE POLICY by_role ON app.owned USING (owner = current_user)",
		"CREATE POLICY by_both ON app.mixed USING (owner = current_user OR tenant::text = current_setting('app.tenant', true))",
		"CREATE POLICY auditors ON app.mixed AS PERMISSIVE FOR SELECT TO soak_auditor USING (v > 3)")
	if d.oneIn(2) {
		w.setup = append(w.setup, "CREATE POLICY small ON app.owned AS RESTRICTIVE FOR SELECT USING (v < 100000)")
	}
}
