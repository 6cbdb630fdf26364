package parser

import (
	"fmt"
	"strings"
	"testing"
)

// restrictions writes predicates and equalities as words: schema.relation/alias.column=value,value.
func restrictions(c *Command) string {
	column := func(r Relation, alias, column string) string {
		word := strings.TrimLeft(r.Catalog+"."+r.Schema+"."+r.Name, ".")
		if alias != "" {
			word += "/" + alias
		}
		return word + "." + column
	}
	var words []string
	for _, p := range c.Predicates {
		var values []string
		for _, v := range p.Values {
			word := v.Text
			switch v.Kind {
			case ValueParam:
				word = fmt.Sprintf("$%d", v.Param)
			case ValueText:
				word = "'" + v.Text + "'"
			}
			if v.Type != "" {
				word += "::" + v.Type
			}
			if v.Array {
				word += "[]"
			}
			values = append(values, word)
		}
		words = append(words, column(p.Relation, p.Alias, p.Column)+"="+strings.Join(values, ","))
	}
	for _, e := range c.Equalities {
		words = append(words, column(e.Left.Relation, e.Left.Alias, e.Left.Column)+"~"+
			column(e.Right.Relation, e.Right.Alias, e.Right.Column))
	}
	return strings.Join(words, " ")
}

func TestRestrictions(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		// Forms of a predicate.
		{"SELECT * FROM t WHERE a = 1", "t.a=1"},
		{"SELECT * FROM t WHERE 1 = a", "t.a=1"},
		{"SELECT * FROM t WHERE a = $2 AND (b = 'x' AND (c = true AND d = false))", "t.a=$2 t.b='x' t.c=true t.d=false"},
		{"SELECT * FROM t WHERE a = 0 AND b = ''", "t.a=0 t.b=''"},
		{"SELECT * FROM t WHERE a = -5 AND b = 5000000000 AND c = -9223372036854775808", "t.a=-5 t.b=5000000000 t.c=-9223372036854775808"},
		{"SELECT * FROM t WHERE a = 9223372036854775808", ""},
		{"SELECT * FROM t WHERE a = 007", "t.a=7"},
		{"SELECT * FROM t WHERE a = 0x1F", "t.a=31"},
		{"SELECT * FROM t WHERE a = 1.0", ""},
		{"SELECT * FROM t WHERE a = 1e3", ""},
		{"SELECT * FROM t WHERE a = B'1'", ""},
		{"SELECT * FROM t WHERE a = $0", ""},
		{"SELECT * FROM t WHERE a = NULL", ""},
		{"SELECT * FROM t WHERE a IN (1, $1, 'x')", "t.a=1,$1,'x'"},
		{"SELECT * FROM t WHERE a IN (1)", "t.a=1"},
		{"SELECT * FROM t WHERE a IN (1, NULL)", ""},
		{"SELECT * FROM t WHERE a IN (1, b)", ""},
		{"SELECT * FROM t WHERE a NOT IN (1, 2)", ""},
		{"SELECT * FROM t WHERE 1 IN (a, 2)", ""},
		{"SELECT * FROM t WHERE a IN (SELECT 1)", ""},
		{"SELECT * FROM t WHERE a IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16)", "t.a=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"},
		{"SELECT * FROM t WHERE a IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)", ""},
		{"SELECT * FROM t WHERE a = ANY ($1)", "t.a=$1[]"},
		{"SELECT * FROM t WHERE a = SOME ($1::int[])", "t.a=$1::int4[]"},
		{"SELECT * FROM t WHERE a = ANY (ARRAY[1, $1])", "t.a=1,$1"},
		{"SELECT * FROM t WHERE a = ANY (ARRAY['x'::uuid, $1])", "t.a='x'::uuid,$1"},
		{"SELECT * FROM t WHERE a = ANY (ARRAY['x', $1]::uuid[])", "t.a='x'::uuid,$1::uuid"},
		{"SELECT * FROM t WHERE a = ANY (ARRAY['x'::text]::uuid[])", ""},
		{"SELECT * FROM t WHERE a = ANY (ARRAY[1, NULL])", ""},
		{"SELECT * FROM t WHERE a = ANY (ARRAY[]::int[])", ""},
		{"SELECT * FROM t WHERE a = ANY (ARRAY[ARRAY[1]])", ""},
		{"SELECT * FROM t WHERE a = ANY ('{1,2}')", "t.a='1','2'"},
		{"SELECT * FROM t WHERE a = ANY ('{x,y}'::text[])", "t.a='x'::text,'y'::text"},
		{"SELECT * FROM t WHERE a = ANY ('{1,2}'::text)", ""},
		{"SELECT * FROM t WHERE a = ANY ('{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{1,null}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{1,}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{x y}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{\"x\"}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{\\x}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('{{1},{2}}')", ""},
		{"SELECT * FROM t WHERE a = ANY ('[0:1]={1,2}')", ""},
		{"SELECT * FROM t WHERE a = ANY (1)", ""},
		{"SELECT * FROM t WHERE $1 = ANY (a)", ""},
		{"SELECT * FROM t WHERE a = ANY (b)", ""},
		{"SELECT * FROM t WHERE a = ANY (SELECT 1)", ""},
		{"SELECT * FROM t WHERE a = ALL ($1)", ""},
		{"SELECT * FROM t WHERE a <> ALL ($1)", ""},
		{"SELECT * FROM t WHERE a < ANY ($1)", ""},

		// Casts.
		{"SELECT * FROM t WHERE a = 'x'::uuid AND b = $1::int AND c = CAST('1' AS bigint) AND d = date 'x'", "t.a='x'::uuid t.b=$1::int4 t.c='1'::int8 t.d='x'::date"},
		{"SELECT * FROM t WHERE a = 5::bigint AND b = 5::text AND c = 5::bool AND d = 5.7::int", "t.a=5::int8"},
		{"SELECT * FROM t WHERE a = true::bool AND b = true::int", "t.a=true::bool"},
		{"SELECT * FROM t WHERE a = 'x'::varchar(3)", ""},
		{"SELECT * FROM t WHERE a = 'x'::char", ""},
		{"SELECT * FROM t WHERE a = 'x'::s.u", ""},
		{"SELECT * FROM t WHERE a = 'x'::text::uuid", ""},
		{"SELECT * FROM t WHERE a = '{1}'::int[]", ""},
		{"SELECT * FROM t WHERE a = NULL::int", ""},
		{"SELECT * FROM t WHERE a = -5::int", ""},
		{"SELECT * FROM t WHERE a::text = 'x'", ""},
		{"SELECT * FROM t WHERE a = 'x' COLLATE \"C\"", ""},
		{"SELECT * FROM t WHERE a COLLATE \"C\" = 'x'", ""},
		{"SELECT * FROM t WHERE lower(a) = 'x' AND b = lower('x')", ""},

		// Conditions that are no AND of equalities.
		{"SELECT * FROM t WHERE a = 1 OR b = 2", ""},
		{"SELECT * FROM t WHERE (a = 1 OR b = 2) AND c = 3", "t.c=3"},
		{"SELECT * FROM t WHERE NOT (a = 1 AND b = 2)", ""},
		{"SELECT * FROM t WHERE NOT a = 1", ""},
		{"SELECT * FROM t WHERE (a = 1) IS TRUE", ""},
		{"SELECT * FROM t WHERE (a = 1) IS NOT FALSE", ""},
		{"SELECT * FROM t WHERE CASE WHEN a = 1 THEN true END", ""},
		{"SELECT * FROM t WHERE coalesce(a = 1, true)", ""},
		{"SELECT * FROM t WHERE a IS NOT DISTINCT FROM 1", ""},
		{"SELECT * FROM t WHERE a IS DISTINCT FROM 1", ""},
		{"SELECT * FROM t WHERE a <> 1 AND b > 1 AND c LIKE 'x' AND d BETWEEN 1 AND 1", ""},
		{"SELECT * FROM t WHERE (a, b) = (1, 2)", ""},
		{"SELECT * FROM t WHERE (a, b) IN ((1, 2))", ""},
		{"SELECT * FROM t WHERE a[1] = 1 AND (b).c = 1", ""},
		{"SELECT * FROM t WHERE a OPERATOR(pg_catalog.=) 1", "t.a=1"},
		{"SELECT * FROM t WHERE a OPERATOR(s.=) 1", ""},
		{"SELECT a = 1 FROM t", ""},
		{"SELECT * FROM t GROUP BY a HAVING a = 1", ""},
		{"SELECT count(*) FILTER (WHERE a = 1) FROM t", ""},
		{"SELECT count(*) FROM t WHERE a = 1 GROUP BY b HAVING count(*) = 2 ORDER BY c = 3 LIMIT 4", "t.a=1"},

		// Which entry a column belongs to.
		{"SELECT * FROM s.t WHERE a = 1", "s.t.a=1"},
		{"SELECT * FROM s.t WHERE t.a = 1 AND s.t.b = 2", "s.t.a=1 s.t.b=2"},
		{"SELECT * FROM t WHERE s.t.b = 2", ""},
		{"SELECT * FROM u.t WHERE s.t.b = 2", ""},
		{"SELECT * FROM c.s.t WHERE c.s.t.b = 2", ""},
		{"SELECT * FROM s.t x WHERE s.t.b = 2", ""},
		{"SELECT * FROM ONLY t AS \"X\" WHERE \"X\".A = 1", "t/X.a=1"},
		{"SELECT * FROM s.t t WHERE s.t.a = 1", ""},
		{"SELECT * FROM t x WHERE t.a = 1", ""},
		{"SELECT * FROM t AS x (a, b) WHERE a = 1", ""},
		{"SELECT * FROM t WHERE t.* = $1", ""},
		{"SELECT * FROM t WHERE ctid = '(0,1)' AND t.tableoid = 1 AND xmin = 1", ""},
		{"SELECT * FROM t, u WHERE a = 1", ""},
		{"SELECT * FROM t, u WHERE t.a = 1", "t.a=1"},
		{"SELECT * FROM t, f(t.x) WHERE t.a = 1 AND b = 2", "t.a=1"},
		{"SELECT * FROM t, LATERAL (SELECT t.x) u WHERE t.a = 1 AND u.b = 2", "t.a=1"},
		{"SELECT * FROM f() WHERE a = 1", ""},
		{"SELECT * FROM (SELECT * FROM t WHERE a = 1) x WHERE x.b = 2", ""},
		{"SELECT * FROM t TABLESAMPLE system (1) WHERE a = 1", ""},
		{"SELECT 1 WHERE 1 = 1", ""},

		// The relation has to be named once only.
		{"SELECT * FROM t a, t b WHERE a.x = 1", ""},
		{"SELECT * FROM t a JOIN t b ON a.x = b.y WHERE a.x = 1", ""},
		{"SELECT * FROM t a, s.t b WHERE a.x = 1", ""},
		{"SELECT * FROM t WHERE a = 1 AND b = (SELECT max(b) FROM t)", ""},
		{"SELECT *, (SELECT count(*) FROM s.t) FROM t WHERE a = 1", ""},
		{"SELECT * FROM t WHERE a = 1 AND EXISTS (SELECT 1 FROM u WHERE u.b = 2)", "t.a=1"},
		{"WITH x AS (SELECT * FROM t) SELECT * FROM t, x WHERE t.a = 1", ""},
		{"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM t WHERE a = 1", ""},
		{"WITH x AS (DELETE FROM u WHERE a = 1 RETURNING *) SELECT * FROM t WHERE b = 1", "t.b=1"},

		// CTEs, subqueries and set operations.
		{"WITH t AS (SELECT * FROM u WHERE a = 1) SELECT * FROM t WHERE a = 1", ""},
		{"WITH t AS (SELECT 1) SELECT * FROM s.t WHERE a = 1", "s.t.a=1"},
		{"WITH RECURSIVE t AS (SELECT * FROM u UNION SELECT * FROM t WHERE a = 1) SELECT * FROM t", ""},
		{"SELECT * FROM t WHERE a = 1 UNION SELECT * FROM u WHERE a = 1", ""},
		{"(SELECT * FROM t WHERE a = 1)", "t.a=1"},
		{"VALUES (1)", ""},

		// Joins.
		{"SELECT * FROM t JOIN u ON t.a = u.b AND u.c = 1 WHERE t.d = 2", "u.c=1 t.d=2 t.a~u.b"},
		{"SELECT * FROM t x, u y WHERE x.a = y.b", "t/x.a~u/y.b"},
		{"SELECT * FROM t WHERE t.a = t.b", ""},
		{"SELECT * FROM t JOIN u ON a = b AND c = 1", ""},
		{"SELECT * FROM t JOIN u USING (a) NATURAL JOIN v CROSS JOIN w WHERE t.a = 1 AND w.b = 2", "t.a=1 w.b=2"},
		{"SELECT * FROM (t JOIN u ON t.a = 1) JOIN v ON v.b = u.c", "t.a=1 v.b~u.c"},
		{"SELECT * FROM t LEFT JOIN u ON t.a = 1 AND u.b = 2", ""},
		{"SELECT * FROM t LEFT JOIN u ON true WHERE t.a = 1 AND u.b = 2 AND t.c = u.d", "t.a=1"},
		{"SELECT * FROM (t LEFT JOIN v ON true) RIGHT JOIN u ON true WHERE t.a = 1 AND v.a = 1", ""},
		{"SELECT * FROM t RIGHT JOIN u ON true WHERE t.a = 1 AND u.b = 2", "u.b=2"},
		{"SELECT * FROM t FULL JOIN u ON true WHERE t.a = 1 AND u.b = 2", ""},
		{"SELECT * FROM (t JOIN u ON t.a = 1) LEFT JOIN v ON true WHERE u.b = 2", "u.b=2"},
		{"SELECT * FROM v LEFT JOIN (t JOIN u ON t.a = 1) ON true WHERE u.b = 2 AND v.c = 3", "v.c=3"},
		{"SELECT * FROM (t LEFT JOIN u ON true) JOIN v ON u.a = 1 AND t.b = 2", "t.b=2"},
		{"SELECT * FROM (t JOIN u ON t.a = 1) AS j WHERE j.b = 2", ""},
		{"SELECT * FROM (t x JOIN u ON x.a = 1) AS j, v x WHERE x.b = 2", ""},
		{"SELECT * FROM t JOIN u USING (a) AS j WHERE j.a = 1 AND t.b = 2", ""},

		// Writes.
		{"UPDATE t SET b = 1 WHERE a = 1", "t.a=1"},
		{"UPDATE t SET a = 2 WHERE a = 1 AND c = 3", "t.c=3"},
		{"UPDATE t SET (b, a) = (SELECT 1, 2) WHERE a = 1", ""},
		{"UPDATE t SET a[1] = 2 WHERE a = 1", ""},
		{"UPDATE t AS x SET b = 1 FROM u WHERE x.a = $1 AND u.b = 2 AND x.c = u.d", "t/x.a=$1"},
		{"UPDATE t SET b = 1 FROM u WHERE a = 1", ""},
		{"UPDATE t SET b = 1 FROM t x WHERE t.a = 1", ""},
		{"UPDATE t SET b = 1 WHERE CURRENT OF c", ""},
		{"UPDATE t SET b = 1", ""},
		{"DELETE FROM t WHERE a IN ($1, $2)", "t.a=$1,$2"},
		{"DELETE FROM s.t x USING u WHERE x.a = 1 AND u.b = 2", "s.t/x.a=1"},
		{"DELETE FROM t WHERE a = 1 OR b = 2", ""},
		{"WITH t AS (SELECT 1) DELETE FROM t WHERE a = 1", ""},
		{"WITH x AS (DELETE FROM t WHERE a = 1 RETURNING *) INSERT INTO u SELECT * FROM x WHERE x.a = 1", ""},
		{"WITH x AS (DELETE FROM t RETURNING *) DELETE FROM t WHERE a = 1", ""},
		{"INSERT INTO t SELECT * FROM u WHERE a = 1", ""},
		{"INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE t.a = 1", ""},
		{"MERGE INTO t USING u ON t.a = 1 WHEN MATCHED THEN DELETE", ""},

		// Commands around another.
		{"PREPARE p AS SELECT * FROM t WHERE a = $1", "t.a=$1"},
		{"EXPLAIN ANALYZE DELETE FROM t WHERE a = 1", "t.a=1"},
		{"EXPLAIN DELETE FROM t WHERE a = 1", ""},
		{"COPY t FROM STDIN WHERE a = 1", ""},
	} {
		c := Analyze(test.text).Single()
		if c == nil {
			t.Errorf("%q: %v", test.text, Analyze(test.text).Err)
			continue
		}
		if got := restrictions(c); got != test.want {
			t.Errorf("%q\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

func TestRestrictionsAreBounded(t *testing.T) {
	many := Analyze("SELECT * FROM t JOIN u ON true WHERE true" + strings.Repeat(" AND t.a = 1 AND t.a = u.a", 100)).Single()
	if len(many.Predicates) != maxPredicates || len(many.Equalities) != maxPredicates {
		t.Errorf("%d predicates, %d equalities", len(many.Predicates), len(many.Equalities))
	}
	for entries, want := range map[int]int{maxEntries: 1, maxEntries + 1: 0} {
		var from strings.Builder
		for i := 1; i < entries; i++ {
			fmt.Fprintf(&from, ", t%d", i)
		}
		if c := Analyze("SELECT * FROM t" + from.String() + " WHERE t.a = 1").Single(); len(c.Predicates) != want {
			t.Errorf("%d relations: %d predicates", entries, len(c.Predicates))
		}
		inside := strings.Replace(from.String(), ",", "", 1)
		for _, command := range []string{"SELECT * FROM t", "DELETE FROM t"} {
			c := Analyze(command + " WHERE t.a = 1 AND EXISTS (SELECT FROM" + inside + ")").Single()
			if len(c.Predicates) != want {
				t.Errorf("%s with %d relations: %d predicates", command, entries, len(c.Predicates))
			}
		}
		functions := strings.Repeat(", f()", entries-1)
		if c := Analyze("SELECT * FROM t" + functions + " WHERE t.a = 1").Single(); len(c.Predicates) != want {
			t.Errorf("%d entries: %d predicates", entries, len(c.Predicates))
		}
	}
}

func TestSizeCountsRestrictions(t *testing.T) {
	const without, with = "SELECT * FROM t, u WHERE t.a <> 'x' AND t.b <> u.b", "SELECT * FROM t, u WHERE t.a = 'x' AND t.b = u.b"
	plain, restricted := Analyze(without), Analyze(with)
	if got, least := restricted.Size-plain.Size, 3*predicateSize; got < least {
		t.Errorf("a predicate and an equality count %d bytes, want %d", got, least)
	}
}

func TestConstants(t *testing.T) {
	for text, want := range map[string]int{
		"SELECT a FROM t WHERE b = $1":                                      0,
		"SELECT 1, 'x', 1.5, true, B'1', date 'x', NULL":                    6,
		"SELECT a FROM t WHERE b IN (1, 2) AND c = ANY (ARRAY[3]) LIMIT 10": 4,
		"SELECT (SELECT 1 FROM t WHERE f(2)) LIMIT ALL":                     2,
		"INSERT INTO t VALUES (1, $1), (2, NULL)":                           2,
		"UPDATE t SET a = 1 WHERE b = 'x'":                                  2,
		"EXPLAIN SELECT 1":                                                  0,
		"EXPLAIN ANALYZE SELECT 1":                                          1,
	} {
		if got := Analyze(text).Single().Constants; got != want {
			t.Errorf("%q: %d constants, want %d", text, got, want)
		}
	}
}
