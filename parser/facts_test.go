package parser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// short writes facts as words, sorted.
func short(c *Command) map[string]string {
	join := func(words []string) string { slices.Sort(words); return strings.Join(words, " ") }
	var reads, writes, functions, operators, casts []string
	for _, r := range c.Reads {
		reads = append(reads, strings.TrimLeft(r.Catalog+"."+r.Schema+"."+r.Name, "."))
	}
	ops := []string{"?", "insert", "update", "delete", "merge", "truncate", "copy", "refresh"}
	for _, w := range c.Writes {
		word := ops[w.Op] + ":" + strings.TrimLeft(w.Schema+"."+w.Name, ".")
		if w.Cascade {
			word += "+"
		}
		writes = append(writes, word)
	}
	for _, f := range c.Functions {
		word := fmt.Sprintf("%s/%d", strings.TrimLeft(f.Schema+"."+f.Name, "."), f.Args)
		if f.Variadic {
			word += "v"
		}
		if f.Named {
			word += "n"
		}
		functions = append(functions, word)
	}
	for _, o := range c.Operators {
		operators = append(operators, strings.TrimLeft(o.Schema+"."+o.Name, "."))
	}
	sources := []string{"other", "constant", "param", "column", "function"}
	for _, t := range c.Casts {
		word := strings.TrimLeft(t.Schema+"."+t.Type, ".")
		if t.Array {
			word += "[]"
		}
		casts = append(casts, word+"<"+sources[t.Source]+":"+t.Column+t.Function)
	}
	var flags []string
	for name, on := range map[string]bool{
		"locking": c.Locking, "into": c.Into, "time": c.CurrentTime, "identity": c.SessionIdentity, "literal": c.TimeLiteral,
		"system": c.SystemColumn, "sample": c.TableSample, "special": c.RangeTableFunc, "executes": c.ExecutesUnknown,
		"unsupported": c.Unsupported, "copyin": c.CopyIn, "setting": c.SettingUnknown,
	} {
		if on {
			flags = append(flags, name)
		}
	}
	return map[string]string{
		"reads": join(reads), "writes": join(writes), "functions": join(functions), "operators": join(operators),
		"casts": join(casts), "flags": join(flags), "attributes": join(slices.Clone(c.Attributes)),
		"settings": join(slices.Clone(c.SettingsRead)),
	}
}

func TestFacts(t *testing.T) {
	for _, test := range []struct{ text, fact, want string }{
		// Reads.
		{"SELECT * FROM a, b.c, d.e.f, \"G h\", A", "reads", "G h a b.c d.e.f"},
		{"SELECT (SELECT 1 FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c) AND x IN (SELECT y FROM d) ORDER BY (SELECT 1 FROM e) LIMIT (SELECT 1 FROM f)", "reads", "a b c d e f"},
		{"SELECT 1 FROM a JOIN (b LEFT JOIN c ON (SELECT true FROM d)) ON true, LATERAL (SELECT * FROM e) x, ROWS FROM (f((SELECT 1 FROM g)))", "reads", "a b c d e g"},
		{"SELECT 1 FROM a UNION (SELECT 1 FROM b INTERSECT SELECT 1 FROM c) EXCEPT VALUES ((SELECT 1 FROM d))", "reads", "a b c d"},
		{"SELECT sum(x) FILTER (WHERE (SELECT true FROM a)) OVER (PARTITION BY (SELECT 1 FROM b) ORDER BY (SELECT 1 FROM c)) FROM d WINDOW w AS (ORDER BY (SELECT 1 FROM e))", "reads", "a b c d e"},
		{"SELECT 1 FROM a GROUP BY GROUPING SETS ((x), (SELECT 1 FROM b)) HAVING (SELECT true FROM c)", "reads", "a b c"},
		{"SELECT DISTINCT ON ((SELECT 1 FROM a)) ARRAY(SELECT 1 FROM b), ARRAY[(SELECT 1 FROM c)], ROW((SELECT 1 FROM d)), (x)[(SELECT 1 FROM e)]", "reads", "a b c d e"},
		{"SELECT CASE (SELECT 1 FROM a) WHEN (SELECT 1 FROM b) THEN (SELECT 1 FROM c) ELSE (SELECT 1 FROM d) END, coalesce((SELECT 1 FROM e)), greatest((SELECT 1 FROM f))", "reads", "a b c d e f"},
		{"SELECT (SELECT 1 FROM a) COLLATE \"C\" IS NULL, ((SELECT true FROM b)) IS TRUE, (SELECT 1 FROM c)::int, NOT (SELECT true FROM d), f(x => (SELECT 1 FROM e))", "reads", "a b c d e"},
		{"SELECT * FROM ONLY a TABLESAMPLE system ((SELECT 1 FROM b))", "reads", "a b"},
		{"TABLE a", "reads", "a"},
		{"COPY a TO STDOUT", "reads", "a"},
		{"COPY (SELECT * FROM a) TO STDOUT", "reads", "a"},
		{"EXPLAIN ANALYZE SELECT * FROM a", "reads", "a"},
		{"EXPLAIN SELECT * FROM a", "reads", ""},
		{"DECLARE c CURSOR FOR SELECT * FROM a", "reads", "a"},
		{"CREATE TEMP TABLE x AS SELECT * FROM a", "reads", "a"},
		{"SELECT * FROM json_table((SELECT j FROM a), '$' COLUMNS (x int PATH '$.x' DEFAULT (SELECT 1 FROM b) ON EMPTY)) t", "reads", "a b"},
		{"SELECT * FROM xmltable('/r' PASSING (SELECT x FROM a) COLUMNS b int DEFAULT (SELECT 1 FROM c)) t", "reads", "a c"},
		{"SELECT xmlelement(name x, (SELECT 1 FROM a)), xmlserialize(content (SELECT x FROM b) AS text), json_object('k': (SELECT 1 FROM c)), json_array(SELECT 1 FROM d), json_arrayagg((SELECT 1 FROM e) ORDER BY (SELECT 1 FROM f)), json_value((SELECT j FROM g), '$' PASSING (SELECT 1 FROM h) AS v)", "reads", "a b c d e f g h"},

		// CTEs hide unqualified names in their scope only.
		{"WITH a AS (SELECT * FROM a) SELECT * FROM a, public.a", "reads", "a public.a"},
		{"WITH a AS (SELECT 1) SELECT * FROM a", "reads", ""},
		{"WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b", "reads", "b"},
		{"WITH RECURSIVE a AS (SELECT * FROM b UNION SELECT * FROM a), b AS (SELECT * FROM c) SELECT * FROM a", "reads", "c"},
		{"SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a", "reads", "a"},
		{"WITH a AS (SELECT 1) SELECT (SELECT 1 FROM a WHERE EXISTS (SELECT 1 FROM a, b))", "reads", "b"},
		{"WITH a AS (SELECT 1) SELECT 1 FROM a UNION SELECT 1 FROM a ORDER BY (SELECT 1 FROM a)", "reads", ""},
		{"(WITH a AS (SELECT 1) SELECT 1 FROM a) UNION SELECT 1 FROM a", "reads", "a"},
		{"WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b) SELECT * FROM b", "reads", "b"},
		{"WITH a AS (SELECT 1) INSERT INTO a SELECT * FROM a", "reads", ""},
		{"WITH a AS (SELECT 1) INSERT INTO a SELECT * FROM a", "writes", "insert:a"},

		// Writes, and what they read.
		{"INSERT INTO s.t SELECT * FROM a ON CONFLICT (x) WHERE (SELECT true FROM b) DO UPDATE SET y = (SELECT 1 FROM c) WHERE (SELECT true FROM d) RETURNING (SELECT 1 FROM e)", "reads", "a b c d e"},
		{"INSERT INTO s.t VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 1", "writes", "insert:s.t update:s.t"},
		{"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "writes", "insert:t"},
		{"UPDATE t SET (x, y) = (SELECT 1, 2 FROM a), z[(SELECT 1 FROM b)] = 1 FROM c WHERE (SELECT true FROM d) RETURNING (SELECT 1 FROM e)", "reads", "a b c d e"},
		{"UPDATE ONLY t AS u SET x = 1", "writes", "update:t"},
		{"DELETE FROM t USING a, b WHERE (SELECT true FROM c) RETURNING (SELECT 1 FROM d)", "reads", "a b c d"},
		{"MERGE INTO t USING (SELECT * FROM a) s ON (SELECT true FROM b) WHEN MATCHED AND (SELECT true FROM c) THEN UPDATE SET x = (SELECT 1 FROM d) WHEN NOT MATCHED THEN INSERT VALUES ((SELECT 1 FROM e))", "reads", "a b c d e"},
		{"MERGE INTO t USING a ON true WHEN MATCHED THEN DO NOTHING", "writes", "merge:t"},
		{"WITH d AS (DELETE FROM t RETURNING *), i AS (INSERT INTO u SELECT * FROM d RETURNING *) UPDATE v SET x = 1 FROM i", "writes", "delete:t insert:u update:v"},
		{"TRUNCATE ONLY a, s.b CASCADE", "writes", "truncate:a+ truncate:s.b+"},
		{"TRUNCATE a", "writes", "truncate:a"},
		{"COPY t (a) FROM STDIN WHERE f(a)", "writes", "copy:t"},
		{"COPY t FROM STDIN", "flags", "copyin"},
		{"COPY t FROM '/x'", "flags", ""},
		{"COPY t FROM PROGRAM 'x'", "flags", "executes"},
		{"COPY t TO PROGRAM 'x'", "flags", "executes"},
		{"REFRESH MATERIALIZED VIEW s.v", "writes", "refresh:s.v"},
		{"PREPARE p AS DELETE FROM t", "writes", "delete:t"},
		{"EXPLAIN DELETE FROM t", "writes", ""},

		// Functions.
		{"SELECT f(), s.g(1, 2), pg_catalog.h(VARIADIC x), k(a => 1), count(*), F()", "functions", "count/0 f/0 k/1n pg_catalog.h/1v s.g/2"},
		{"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x), string_agg(a, ',' ORDER BY b)", "functions", "percentile_cont/2 string_agg/2"},
		{"SELECT extract(year FROM x), x AT TIME ZONE 'UTC', (a, b) OVERLAPS (c, d), substring(a FROM 1)", "functions",
			"pg_catalog.extract/2 pg_catalog.overlaps/4 pg_catalog.substring/2 pg_catalog.timezone/2"},
		{"SELECT a LIKE b ESCAPE 'x', a SIMILAR TO b", "functions", "pg_catalog.like_escape/2 pg_catalog.similar_to_escape/1"},
		{"SELECT 1 ORDER BY f() LIMIT g()", "functions", "f/0 g/0"},
		{"INSERT INTO t VALUES (nextval('s'))", "functions", "nextval/1"},
		{"SELECT * FROM f() WITH ORDINALITY, ROWS FROM (g(), h(1))", "functions", "f/0 g/0 h/1"},
		{"EXPLAIN ANALYZE SELECT f()", "functions", "f/0"},
		{"CALL s.p(1, f())", "functions", "f/0 s.p/2"},
		{"EXECUTE p (f())", "functions", "f/0"},

		// Operators.
		{"SELECT a + b, -a, a OPERATOR(s.@@) b, a = ANY (b), a <> ALL (b)", "operators", "+ - <> = s.@@"},
		{"SELECT a IN (1, 2), b NOT IN (1)", "operators", "<> ="},
		{"SELECT a IN (SELECT 1)", "operators", "="},
		{"SELECT a NOT IN (SELECT 1)", "operators", "="},
		{"SELECT a < ANY (SELECT 1), (a, b) > (SELECT 1, 2)", "operators", "< >"},
		{"SELECT a BETWEEN 1 AND 2", "operators", "<= >="},
		{"SELECT a NOT BETWEEN SYMMETRIC 1 AND 2", "operators", "< >"},
		{"SELECT a LIKE b, a NOT ILIKE b, a SIMILAR TO b", "operators", "!~~* ~ ~~"},
		{"SELECT NULLIF(a, b)", "operators", "="},
		{"SELECT a IS DISTINCT FROM b", "operators", "="},
		{"SELECT a IS NOT DISTINCT FROM b", "operators", "="},
		{"SELECT CASE a WHEN 1 THEN 2 END", "operators", "="},
		{"SELECT CASE WHEN a THEN 2 END", "operators", ""},
		{"SELECT 1 FROM a JOIN b USING (x)", "operators", "="},
		{"SELECT 1 FROM a NATURAL JOIN b", "operators", "="},
		{"SELECT 1 ORDER BY a USING OPERATOR(s.<)", "operators", "s.<"},

		// Casts.
		{"SELECT a.b::int, $1::s.t[], 'x'::text, f(1)::date, (1 + 1)::float8, NULL::bool, interval '1 day', date 'x'", "casts",
			"bool<constant: date<constant: date<function:f float8<other: int4<column:b interval<constant: text<constant: s.t[]<param:"},
		{"SELECT CAST(a AS character varying(10)), '1'::pg_catalog.int8", "casts", "int8<constant: varchar<column:a"},
		{"SELECT * FROM json_to_record(x) AS (a s.t, b int[])", "casts", "int4[]<other: s.t<other:"},
		{"SELECT json_value(x, '$' RETURNING s.t)", "casts", "s.t<other:"},

		// Names after a dot may be functions.
		{"SELECT a, t.b, (t).c, (f(x)).d, t.*, s.t.e, (a[1]).g", "attributes", "b c d e g"},

		// Settings.
		{"SELECT current_setting('App.Tenant'), pg_catalog.current_setting(E'x\\x2Ey', true), current_setting('a.b'::text), current_setting('a.b'::pg_catalog.text)", "settings", "a.b app.tenant x.y"},
		{"SELECT * FROM t WHERE id = (SELECT current_setting('a.b')::int) ORDER BY s.current_setting('c.d')", "settings", "a.b c.d"},
		{"SELECT current_setting('a.b'), current_setting('ÄÉ.B')", "settings", "ÄÉ.b a.b"},
		{"SELECT current_setting('a.b')", "flags", ""},
		{"SELECT current_setting($1)", "flags", "setting"},
		{"SELECT current_setting('a.' || 'b')", "flags", "setting"},
		{"SELECT current_setting(name, true) FROM t", "flags", "setting"},
		{"SELECT current_setting('a.b'::varchar)", "flags", "setting"},
		{"SELECT current_setting('a.b'::name)", "flags", "setting"},
		{"SELECT current_setting('a.b'::text[])", "flags", "setting"},
		{"SELECT current_setting('a.b'::s.text)", "flags", "setting"},
		{"SELECT current_setting(NULL)", "flags", "setting"},
		{"SELECT current_setting(1)", "flags", "setting"},
		{"SELECT current_setting()", "flags", "setting"},
		{"SELECT current_setting(setting_name => 'a.b')", "flags", "setting"},
		{"SELECT current_setting(VARIADIC 'a.b')", "flags", "setting"},
		{"SELECT current_settings($1)", "flags", ""},

		// Flags.
		{"SELECT 1 FOR SHARE", "flags", "locking"},
		{"SELECT * FROM (SELECT 1 FROM a FOR NO KEY UPDATE) x", "flags", "locking"},
		{"SELECT CURRENT_DATE", "flags", "time"},
		{"SELECT localtimestamp(3)", "flags", "time"},
		{"SELECT CURRENT_USER", "flags", "identity"},
		{"SELECT current_schema", "flags", "identity"},
		{"SELECT 'Now'::timestamptz", "flags", "literal"},
		{"SELECT * FROM t WHERE a > 'today'", "flags", "literal"},
		{"SELECT 'nowhere', \"now\", now", "flags", ""},
		{"SELECT t.ctid FROM t", "flags", "system"},
		{"SELECT xmin, tableoid FROM t", "flags", "system"},
		{"SELECT tableoid FROM t", "flags", ""},
		{"SELECT * FROM t TABLESAMPLE bernoulli (1)", "flags", "sample"},
		{"SELECT xmlconcat(a)", "flags", "special"},
		{"SELECT a IS JSON", "flags", "special"},
		{"DO 'x'", "flags", "executes"},
	} {
		c := Analyze(test.text).Single()
		if c == nil {
			t.Errorf("%q: %v", test.text, Analyze(test.text).Err)
			continue
		}
		want := test.want
		words := strings.Fields(want)
		if test.fact == "reads" {
			words = []string{want}
		}
		slices.Sort(words)
		if got := short(c)[test.fact]; got != strings.Join(words, " ") {
			t.Errorf("%s of %q\n got %s\nwant %s", test.fact, test.text, got, strings.Join(words, " "))
		}
		if c.Unsupported {
			t.Errorf("%q: %s is not handled", test.text, c.UnsupportedWhat)
		}
	}
}

func TestEachCommandOfAText(t *testing.T) {
	s := Analyze("CREATE TABLE a (x int); INSERT INTO a VALUES ($2); SELECT * FROM a")
	if s.Err != nil || len(s.Commands) != 3 || s.Single() != nil {
		t.Fatalf("%+v", s)
	}
	if s.Commands[0].Kind != KindDefinition || s.Commands[1].Kind != KindWrite || s.Commands[2].Kind != KindSelect {
		t.Errorf("%+v", s.Commands)
	}
	if s.Commands[1].MaxParam != 2 || s.Commands[2].MaxParam != 0 {
		t.Errorf("parameters %d, %d", s.Commands[1].MaxParam, s.Commands[2].MaxParam)
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{"PREPARE P AS SELECT 1": "p", "EXECUTE p": "p", "DEALLOCATE \"P\"": "P", "DEALLOCATE ALL": "", "EXPLAIN ANALYZE EXECUTE p": ""} {
		if c := Analyze(text).Single(); c.StatementName != want {
			t.Errorf("%q: %q", text, c.StatementName)
		}
	}
	for text, want := range map[string]Kind{"PREPARE p AS SELECT 1": KindSelect, "EXPLAIN DELETE FROM t": KindWrite, "DECLARE c CURSOR FOR SELECT 1": KindSelect, "COPY (SELECT 1) TO STDOUT": KindSelect, "SELECT 1": KindUnknown} {
		if c := Analyze(text).Single(); c.Inner != want {
			t.Errorf("%q: inner kind %d", text, c.Inner)
		}
	}
	long := strings.Repeat("x", 70)
	if c := Analyze("SELECT * FROM " + long).Single(); c.Reads[0].Name != long[:63] {
		t.Errorf("%q was not truncated", c.Reads[0].Name)
	}
}
