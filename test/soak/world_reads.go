package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shapes are reads of one table: %[1]s is the table, %[2]s one of its further columns, %[3]s an expression of that, %[4]s another table, %[5]s a table that
// the first one references. A question mark stands for a small integer.
var shapes = []string{
	"SELECT * FROM %[1]s ORDER BY id",
	"SELECT * FROM %[1]s WHERE id = ?",
	"SELECT id, v, %[2]s FROM %[1]s WHERE id = ?",
	"SELECT v, name FROM %[1]s WHERE id IN (?, ?, ?) ORDER BY id",
	"SELECT id, %[3]s FROM %[1]s WHERE id = ANY (ARRAY[?, ?]::int[]) ORDER BY id",
	"SELECT id, %[3]s AS e FROM %[1]s ORDER BY id",
	"SELECT id, v FROM %[1]s WHERE tenant = ? ORDER BY id",
	"SELECT id, v FROM %[1]s WHERE tenant = ? AND v > ? ORDER BY v DESC, id LIMIT 3",
	"SELECT count(*), sum(v), min(name), max(v) FROM %[1]s",
	"SELECT tenant, count(*), sum(v), string_agg(name, ',' ORDER BY id) FROM %[1]s GROUP BY tenant HAVING count(*) > 0 ORDER BY tenant",
	"SELECT id, rank() OVER (ORDER BY v, id), lag(v) OVER (ORDER BY id) FROM %[1]s ORDER BY id",
	"SELECT a.id, b.id, b.v FROM %[1]s a JOIN %[5]s b ON b.id = a.parent ORDER BY 1, 2",
	"SELECT a.id, b.name FROM %[1]s a LEFT JOIN %[4]s b ON b.id = a.parent AND b.v > ? ORDER BY 1, 2",
	"SELECT a.id, l.n FROM %[1]s a, LATERAL (SELECT count(*) AS n FROM %[4]s b WHERE b.tenant = a.tenant) l ORDER BY 1",
	"SELECT id FROM %[1]s a WHERE EXISTS (SELECT FROM %[4]s b WHERE b.v = a.v + 100) ORDER BY id",
	"SELECT id FROM %[1]s WHERE v NOT IN (SELECT v FROM %[4]s WHERE v IS NOT NULL) ORDER BY id",
	"SELECT id, (SELECT max(v) FROM %[4]s b WHERE b.tenant = a.tenant) FROM %[1]s a ORDER BY id",
	"WITH w AS (SELECT id, v FROM %[1]s WHERE id > ?) SELECT count(*), sum(v) FROM w",
	"WITH w AS MATERIALIZED (SELECT tenant, v FROM %[1]s), x AS (SELECT tenant, v FROM %[4]s) SELECT w.tenant, sum(w.v + x.v) FROM w JOIN x USING (tenant) GROUP BY 1 ORDER BY 1",
	"WITH RECURSIVE w AS (SELECT id, parent, 1 AS depth FROM %[1]s WHERE id = ? UNION ALL SELECT t.id, t.parent, depth + 1 FROM %[1]s t JOIN w ON t.id = w.parent WHERE depth < 4) SELECT * FROM w ORDER BY depth, id",
	"SELECT id, v FROM %[1]s UNION ALL SELECT id, v FROM %[4]s ORDER BY 1, 2",
	"SELECT tenant FROM %[1]s INTERSECT SELECT tenant FROM %[4]s ORDER BY 1",
	"SELECT v FROM %[1]s EXCEPT SELECT v FROM %[4]s WHERE id <> ? ORDER BY 1",
	"SELECT DISTINCT ON (tenant) tenant, id, v FROM %[1]s ORDER BY tenant, v DESC, id",
	"SELECT tenant, count(*) FILTER (WHERE v > 100), grouping(tenant) FROM %[1]s GROUP BY ROLLUP (tenant) ORDER BY 3, 1",
	"SELECT id, CASE WHEN v > 100 THEN 'much' WHEN v IS NULL THEN 'none' ELSE v::text END FROM %[1]s ORDER BY id LIMIT ? OFFSET ?",
	"SELECT x.i, t.v FROM (VALUES (1), (2), (?)) x(i) LEFT JOIN %[1]s t ON t.id = x.i ORDER BY 1, 2",
	"SELECT g, t.name FROM generate_series(1, 4) g LEFT JOIN %[1]s t ON t.id = g ORDER BY 1, 2",
	"SELECT id FROM %[1]s WHERE name LIKE 'name %%' AND (id, v) > (?, ?) ORDER BY id",
	"SELECT to_jsonb(t) - 'touched' FROM %[1]s t ORDER BY id",
	"SELECT json_agg(v ORDER BY id), array_agg(name ORDER BY id) FROM %[1]s",
	"SELECT t FROM %[1]s t WHERE id = ?", "TABLE %[1]s ORDER BY id",
	"SELECT EXISTS (SELECT FROM %[1]s WHERE v = ?), NOT EXISTS (SELECT FROM %[1]s WHERE id = ?)",
	"SELECT v / (id - ?) FROM %[1]s ORDER BY id",
	"SELECT coalesce(%[2]s::text, '-') || name FROM %[1]s ORDER BY id",
	"SELECT id, touched IS NULL FROM %[1]s WHERE v BETWEEN ? AND 200 ORDER BY id",
	"SELECT app.plus(v) FROM %[1]s ORDER BY id", "SELECT id OPERATOR(app.<+>) ? FROM %[1]s ORDER BY id",
	"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM %[1]s",
	"SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(2, 3)) AS r(a, b) LEFT JOIN %[1]s t ON t.id = a ORDER BY 1, 2",
	"SELECT id, v FROM %[1]s ORDER BY id FETCH FIRST ? ROWS ONLY",
}

// whole are relations that are read as a whole, with how many of their columns give their rows an order.
var whole = map[string]int{
	"app.simple": 2, "app.checked": 2, "app.nested": 2, "app.joined": 3, "app.over": 2, "app.unioned": 2, "app.stored": 3, "app.keyed": 2, "app.on_stored": 3,
	"app.diverted": 2, "app.replaced": 2, "app.rewritten": 2, "app.zoned": 2, "app.events": 4, "app.events_low": 4, "far.events_mid": 4, "far.events_mid_0": 4,
	"alt.events_mid_1": 4, "app.events_rest": 4, "app.hashed": 2, "far.hashed_1": 2, "app.part_child": 2, "app.animal": 3, "alt.cat": 4, "ONLY app.animal": 3,
	"app.kitten": 4, "app.stray": 3, "app.events_spare": 4, "app.ruled": 2, "app.counters": 2, "app.junk": 2, "app.loose": 2, "simple": 2, "nested": 2, "counters": 2,
	"junk": 2, "events": 4,
}

// guarded are reads that depend on who asks, on settings that only current_setting tells, or on functions that read.
var guarded = []string{
	"SELECT * FROM app.secured ORDER BY id", "SELECT id, v FROM app.secured WHERE id = ?", "SELECT count(*), sum(v) FROM app.secured", "SELECT * FROM app.owned ORDER BY id",
	"SELECT id, v FROM app.owned WHERE id > ? ORDER BY id", "SELECT * FROM app.mixed ORDER BY id", "SELECT count(*) FROM app.mixed", "SELECT * FROM app.tenants ORDER BY id",
	"SELECT * FROM app.mine ORDER BY id", "SELECT o.id, m.v FROM app.owned o JOIN app.mixed m USING (id) ORDER BY 1",
	"SELECT s.id, t.v FROM app.secured s LEFT JOIN app.t0 t USING (id) ORDER BY 1",
	"SELECT current_user, session_user, current_schema()", "SELECT id, current_user FROM app.junk ORDER BY id", "SELECT id FROM app.junk WHERE current_user = 'soak_reader' ORDER BY id",
	"SELECT current_setting('app.tenant', true), id FROM app.junk ORDER BY id", "SELECT current_setting('app.tenant', true) IS NULL, id FROM app.junk ORDER BY id",
	"SELECT id, v FROM app.mixed WHERE tenant::text = current_setting('app.tenant', true) ORDER BY id", "SELECT * FROM app.defaulting ORDER BY id", "SELECT count(*) FROM app.checking", "SELECT id, current_setting('TimeZone') FROM app.junk ORDER BY id",
	"SELECT app.sum_of(?)", "SELECT id, app.sum_of(id) FROM app.junk ORDER BY id", "SELECT id, v FROM app.rows_of(?) ORDER BY id", "SELECT app.bare(?)", "SELECT app.pinned(?)",
	"SELECT app.look(?)", "SELECT app.dynamic(?)", "SELECT app.as_owner(?)", "SELECT app.zone(), id FROM app.junk ORDER BY id", "SELECT * FROM app.calling ORDER BY 1",
	"SELECT j.id, r.v FROM app.junk j, app.rows_of(j.id) r ORDER BY 1, 2", "SELECT id FROM app.junk WHERE app.sum_of(1) > ? ORDER BY id",
	"SELECT last_value FROM app.numbers", "SELECT count(*) > 0 FROM pg_class WHERE relname = 'junk'", "SELECT has_table_privilege('app.junk', 'SELECT')",
	"SELECT to_regclass('app.junk') IS NULL", "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'app' AND table_name = 't0'",
	"SELECT * FROM app.junk WHERE id < ? ORDER BY id FOR SHARE", "SELECT 1", "VALUES (?), (?)", "SELECT now() > '2020-01-01' AS late, count(*) FROM app.junk",
	"SELECT '2026-03-04 05:06:07+00'::timestamptz, id FROM app.junk ORDER BY id", "SELECT '2026-03-04'::date::text, id FROM app.junk ORDER BY id",
	"SELECT 1.5::float8 / 7, interval '1 day 3 hours', '\\x0102'::bytea, id FROM app.junk ORDER BY id", `SELECT 'a\n', E'a\n', id FROM app.junk ORDER BY id`,
	"SELECT id FROM app.junk WHERE NULL = NULL ORDER BY id", "SELECT 12.5::money, to_char(1234.5, '9G999D9'), id FROM app.junk ORDER BY id",
	"SELECT count(*) FROM app.audit", "SELECT tbl, op, count(*) FROM app.audit GROUP BY 1, 2 ORDER BY 1, 2",
	"SELECT app.plus(v), app.total(id) OVER (ORDER BY id) FROM app.t0 ORDER BY id", "SELECT upper(name), id FROM app.events ORDER BY id, 1", "SELECT id, v, tableoid::regclass::text FROM app.animal ORDER BY 1, 2, 3",
	"SELECT id, xmin IS NULL FROM app.junk ORDER BY id",
	"SELECT id FROM app.junk TABLESAMPLE BERNOULLI (100) ORDER BY id", "SELECT to_tsvector('the running dogs') @@ 'run'::tsquery, id FROM app.junk ORDER BY id",
}

// failing are reads that fail, at least at first.
var failing = []string{
	"SELECT * FROM app.no_such_table", "SELECT nothing FROM app.junk", "SELECT * FROM front.shadow ORDER BY 1", "SELECT * FROM shadow ORDER BY 1", "SELECT app.nothing(?)", "SELEC ?",
	"SELECT u FROM app.loose ORDER BY 1", "SELECT w, v FROM app.junk ORDER BY 1, 2", "SELECT more, id FROM t3 ORDER BY 2", "SELECT * FROM alt.events_rest_gone",
}

// commonReads is how many reads an epoch asks for again and again.
const commonReads = 32

// addCover makes the reads that between them see every relation.
func (w *world) addCover() {
	for _, t := range w.tables {
		w.cover = append(w.cover, "SELECT * FROM app."+t.name+" ORDER BY id", "SELECT count(*), sum(v) FROM "+t.name)
		if t.twin {
			w.cover = append(w.cover, "SELECT * FROM alt."+t.name+" ORDER BY id")
		}
		if t.deputy {
			w.cover = append(w.cover, "SELECT * FROM app."+t.name+"_b ORDER BY id")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		w.cover = append(w.cover, "SELECT * FROM "+name+" ORDER BY "+"1, 2, 3, 4"[:3*whole[name]-2])
	}
	w.cover = append(w.cover, guarded[:11]...)
	w.cover = append(w.cover, w.reading...)
	w.cover = append(w.cover, "SELECT tbl, op, count(*), sum(v) FROM app.audit GROUP BY 1, 2 ORDER BY 1, 2", "SELECT app.plus(v) FROM app.junk ORDER BY 1", "SELECT * FROM app.calling ORDER BY 1",
		"SELECT app.bare(2), id FROM app.junk ORDER BY id", "SELECT id, app.look(id) FROM app.junk ORDER BY id", "SELECT * FROM app.checking ORDER BY id", "SELECT * FROM app.defaulting ORDER BY id",
		"SELECT * FROM app.through ORDER BY id", "SELECT max(d), min(m) FROM (SELECT current_user AS d, id AS m FROM app.junk) x")
}

// addReads makes the pool that readers draw from. Names are with their schema or without, which search_path then decides.
func (w *world) addReads(d dice) {
	for _, t := range w.tables {
		for _, shape := range shapes {
			if !d.oneIn(3) {
				continue
			}
			w.common = append(w.common, w.shape(d, t, shape))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		switch w.common = append(w.common, "SELECT * FROM "+name+" ORDER BY "+"1, 2, 3, 4"[:3*whole[name]-2]); {
		case strings.Contains(name, "counters"), strings.Contains(name, "stored"):
		case d.oneIn(2):
			w.common = append(w.common, "SELECT count(*), count(DISTINCT v) FROM "+name)
		default:
			w.common = append(w.common, "SELECT v FROM "+name+" WHERE id = ? ORDER BY 1", "SELECT id, v FROM "+name+" WHERE id IN (?, ?) ORDER BY 1, 2")
		}
	}
	w.exotic = append(append(w.exotic, guarded...), w.reading...)
	d.Shuffle(len(w.common), func(i, j int) { w.common[i], w.common[j] = w.common[j], w.common[i] })
	w.common = w.common[:commonReads]
	d.Shuffle(len(w.exotic), func(i, j int) { w.exotic[i], w.exotic[j] = w.exotic[j], w.exotic[i] })
}

func (w *world) shape(d dice, t *table, shape string) string {
	name := func(t *table) string {
		switch {
		case d.oneIn(2):
			return t.name
		case t.twin && d.oneIn(4):
			return "alt." + t.name
		}
		return "app." + t.name
	}
	other := w.tables[d.IntN(len(w.tables))]
	parent := t.parent
	if parent == nil {
		parent = other
	}
	c := t.extra[d.IntN(len(t.extra))]
	expression := strings.ReplaceAll(d.pick(c.reads), "$c", c.name)
	return fmt.Sprintf(shape, name(t), c.name, expression, name(other), name(parent))
}
