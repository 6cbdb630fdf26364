package cachepolicy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// times has columns of the same names that are texts here and dates there. All texts say 'today'.
const times = `
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TABLE ta (d text, e date, f text[], value date);
CREATE TABLE tb (d date, e text, f date[], a jsonb);
CREATE TABLE tc (d timestamptz, e timestamp, g citext);
INSERT INTO ta VALUES ('today', '2001-01-01', '{today}', '2001-01-01');
INSERT INTO tb VALUES ('2001-01-01', 'today', '{2001-01-01}', '{"d": "today", "value": "today"}');
INSERT INTO tc VALUES ('2001-01-01', '2001-01-01', 'today');
CREATE TYPE pair AS (d text, e date);
CREATE TABLE pairs (p pair, ps pair[]);
INSERT INTO pairs VALUES ('(today,2001-01-01)', '{"(today,2001-01-01)"}');
CREATE VIEW va AS SELECT d AS e, e AS d FROM ta;
CREATE FUNCTION texts() RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$SELECT 'to' || 'day'$$;
CREATE FUNCTION d(ta) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'to' || 'day'$$;
CREATE FUNCTION label(ta) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'to' || 'day'$$;`

// TestTimeSources names forms that the generator below may miss.
func TestTimeSources(t *testing.T) {
	f := newFixtureOf(t, times)
	for sql, cached := range map[string]bool{
		"SELECT tb.d::date FROM tb":                                                                     true,
		"SELECT d::timestamptz, e::date FROM tc":                                                        true,
		"SELECT d::date FROM ta":                                                                        false,
		"SELECT d::date FROM va":                                                                        true,
		"SELECT e::date FROM va":                                                                        false,
		"SELECT tc.d::date FROM ta, tc":                                                                 true,
		"SELECT public.tc.d::date FROM public.tc":                                                       true,
		"SELECT x.d::date FROM ta x, tc":                                                                false,
		"SELECT (SELECT tc.d::date) FROM tc, ta":                                                        true,
		"SELECT value::date FROM ta":                                                                    true,
		"SELECT x.value::date FROM ta, tb, jsonb_each_text(tb.a) x":                                     false,
		"SELECT ta.value::date FROM ta, tb, jsonb_each_text(tb.a) x":                                    true,
		"SELECT (SELECT value::date FROM jsonb_each_text(tb.a) LIMIT 1) FROM ta, tb":                    false,
		"SELECT (SELECT value::date FROM unnest(ps) x (value)) FROM ta, pairs":                          false,
		"SELECT (SELECT d::date FROM unnest(ps)) FROM tb, pairs":                                        false,
		"SELECT (SELECT d::date FROM unnest(ps) AS x) FROM tb, pairs":                                   false,
		"SELECT (p).d::date FROM pairs, tb":                                                             false,
		"SELECT x.d::date FROM (SELECT (p).d FROM pairs) x, tb":                                         false,
		"SELECT x.d::date FROM (SELECT (p).* FROM pairs) x":                                             false,
		"SELECT ta.label::date FROM ta":                                                                 false,
		"SELECT x.d::date FROM texts() x (d)":                                                           false,
		"SELECT d::date FROM texts() d":                                                                 false,
		"SELECT d::date FROM unnest(ARRAY(SELECT tb.d FROM tb)) d":                                      true,
		"SELECT d::date FROM unnest(ARRAY(SELECT d FROM ta)) d":                                         false,
		"SELECT f[1]::date FROM tb":                                                                     true,
		"SELECT f[1]::date, 1 FROM ta":                                                                  false,
		"SELECT a['d']::date FROM tb":                                                                   false,
		"SELECT coalesce(tb.d, tc.d)::date FROM tb, tc":                                                 true,
		"SELECT coalesce(NULL, ta.d)::date FROM ta":                                                     false,
		"SELECT (CASE WHEN true THEN tb.d END)::date FROM tb":                                           true,
		"SELECT (CASE WHEN true THEN 'x' ELSE ta.d END)::date FROM ta":                                  false,
		"SELECT greatest(tb.d, '2020-01-01')::timestamp, nullif(tb.d, '2020-01-01')::timestamp FROM tb": true,
		"SELECT max(g)::date FROM tc":                                                                   false,
		"SELECT max(d)::date, (min(d) + interval '1 day')::date FROM tc":                                true,
		"SELECT lag(d, 1, '2020-01-01') OVER ()::date FROM tc":                                          true,
		"SELECT (lag(d, 1, '2020-01-01') OVER (ORDER BY d))::date FROM tc":                              true,
		"SELECT (e || '')::date FROM tb":                                                                false,
		"SELECT ('to' || 'day')::date FROM tb":                                                          false,
		"SELECT d::text::date FROM tb":                                                                  false,
		"SELECT d::timestamp::date FROM tb":                                                             true,
		"SELECT 'todayx'::varchar(5)::date FROM tb":                                                     false,
		"SELECT x.d::date FROM (VALUES ('2001-01-01'::date)) x (d), ta":                                 true,
		"SELECT column1::date FROM (VALUES ('2001-01-01'::date), (NULL)) x, ta":                         true,
		"SELECT column1::date FROM (VALUES ('2001-01-01'), ((SELECT d FROM ta))) x":                     false,
		"SELECT x.d::date FROM (SELECT 'x' AS d UNION ALL SELECT d FROM ta) x":                          false,
		"SELECT x.d::date FROM (SELECT d FROM tb UNION ALL SELECT d FROM tc) x":                         true,
		"SELECT x.d::date FROM (SELECT * FROM tb UNION ALL SELECT d, e, f, a FROM tb) x":                false,
		"SELECT x.k::date FROM (SELECT d, e FROM tb) x (k)":                                             true,
		"SELECT x.k::date FROM (SELECT e, d FROM tb) x (k)":                                             false,
		"SELECT x.k::date FROM tb AS x (k)":                                                             false,
		"SELECT x.e::date FROM ta AS x (e, z)":                                                          false,
		"SELECT j.d::date FROM (tb JOIN ta ON true) j (d)":                                              false,
		"WITH ta AS (SELECT d FROM tb) SELECT d::date FROM ta":                                          true,
		"WITH tb AS (SELECT d FROM ta) SELECT d::date FROM tb":                                          false,
		"WITH tb AS (SELECT d FROM ta) SELECT d::date FROM public.tb":                                   true,
		"WITH tb AS (SELECT d FROM tb) SELECT d::date FROM tb":                                          true,
		"WITH x (d) AS (SELECT e FROM tb) SELECT d::date FROM x":                                        false,
		"WITH x (e) AS (SELECT d FROM tb) SELECT e::date FROM x":                                        true,
		"WITH RECURSIVE x AS (SELECT d, 1 AS n FROM tc UNION ALL SELECT d, n + 1 FROM x WHERE n < 3) SELECT d::date FROM x":      true,
		"WITH RECURSIVE x AS (SELECT g AS d, 1 AS n FROM tc UNION ALL SELECT d, n + 1 FROM x WHERE n < 3) SELECT d::date FROM x": false,
		"WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT d FROM ta) SELECT d::date FROM x":                                   false,
		"SELECT x.d::date FROM (WITH ta AS (SELECT d FROM tb) SELECT * FROM ta) x":                                               true,
		"SELECT x.d::date FROM (SELECT * FROM (SELECT tb.*, ta.f AS g FROM tb, ta) y) x":                                         true,
		"SELECT x.d::date FROM (SELECT * FROM ta NATURAL JOIN tb) x":                                                             false,
		"SELECT d::date FROM tb JOIN tc USING (d)":                                                                               true,
		"SELECT date(d), date(tb.d), timestamptz(d) FROM tb":                                                                     true,
		"SELECT date(d) FROM ta": false,
		"SELECT date(max(d)), date(coalesce(d, d)) FROM tc GROUP BY d": true,
		"SELECT pg_catalog.date(d) FROM ta":                            false,
		"SELECT date(date_trunc('day', d)) FROM tc":                    true,
		"SELECT date('2001-01-01'), date($1) FROM tc":                  true,
		"SELECT timetz(d) FROM tc":                                     false,
		"SELECT d::daterange FROM tb":                                  true,
		"SELECT ARRAY[d, d]::date[] FROM tc":                           true,
		"SELECT ARRAY[d, d]::date[] FROM ta":                           false,
		"SELECT f::date[] FROM ta":                                     false,
		"SELECT ROW(d)::pair FROM tb":                                  false,
		"SELECT (SELECT d FROM tb)::date FROM pairs":                   true,
		"SELECT (SELECT tb.d FROM tb)::date FROM ta":                   true,
		"SELECT (SELECT d FROM tb)::date FROM ta":                      false, // nobody looks whether it is that of tb or ta
		"SELECT (SELECT d FROM ta)::date FROM tb":                      false,
		"SELECT d::date FROM (SELECT 1) x":                             false,
		"SELECT (ta).e::date FROM ta":                                  false,
	} {
		d := f.decide(sql)
		if (d.Verdict == cachepolicy.Cache) != cached {
			t.Errorf("%s\n\tverdict %v, reason %q (%s), want cached %v", sql, d.Verdict, d.Reason, d.Detail, cached)
		}
	}
	f.execute(t, `CREATE SCHEMA own; CREATE FUNCTION own.max(timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'today'$$;
CREATE FUNCTION own.plus(date, int) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'today'$$;
CREATE OPERATOR own.+ (LEFTARG = date, RIGHTARG = int, FUNCTION = own.plus);
CREATE FUNCTION own.generate_series(date) RETURNS TABLE (d text) LANGUAGE sql IMMUTABLE AS $$SELECT 'today'$$;
CREATE DOMAIN own.timestamp AS text;`)
	f.load(t)
	f.scope.Schemas = []string{"own", "pg_catalog", "public"}
	for _, sql := range []string{
		"SELECT max(d)::date FROM tc", "SELECT (d + 1)::date FROM tb", `SELECT d::"timestamp"::date FROM tb`,
		"SELECT (SELECT d::date FROM generate_series(tb.d)) FROM tb", "SELECT (SELECT d::date FROM own.generate_series(tb.d)) FROM tb",
	} {
		if d := f.decide(sql); d.Verdict != cachepolicy.Bypass {
			t.Errorf("%s with functions in the path: %+v", sql, d)
		}
	}
}

// queries makes up statements that cast something to a date.
type queries struct{ *rand.Rand }

func (q queries) pick(of ...string) string { return of[q.IntN(len(of))] }

func (q queries) column() string { return q.pick("d", "e", "f", "g", "value", "column1") }
func (q queries) alias() string  { return q.pick("x", "y", "ta", "tb", "d", "w") }

func (q queries) reference() string {
	if q.IntN(3) == 0 {
		return q.column()
	}
	return q.pick("ta", "tb", "tc", "x", "y", "w") + "." + q.column()
}

func (q queries) expression(depth int) string {
	if depth <= 0 || q.IntN(3) == 0 {
		return q.pick(q.reference(), q.reference(), q.reference(), "'2001-01-01'", "NULL")
	}
	a, b := q.expression(depth-1), q.expression(depth-1)
	switch q.IntN(13) {
	case 0:
		return "coalesce(" + a + ", " + b + ")"
	case 1:
		return "(CASE WHEN true THEN " + a + " ELSE " + b + " END)"
	case 2:
		return "(" + a + " + interval '1 day')"
	case 3:
		return "(" + a + ")::" + q.pick("text", "timestamp", "date")
	case 4:
		return "(" + q.query(depth-1) + " LIMIT 1)"
	case 5:
		return q.pick("max", "min", "array_agg", "lower", "date", "timestamptz") + "(" + a + ")"
	case 6:
		return "nullif(" + a + ", NULL)"
	case 7:
		return "greatest(" + a + ", " + b + ")"
	case 8:
		return "(" + a + ")[1]"
	case 9:
		return "(ARRAY[" + a + ", " + b + "])[1]"
	case 10:
		return "(" + a + " || '')"
	case 11:
		return "date_trunc('day', " + a + ")"
	}
	return "(" + a + " AT TIME ZONE 'UTC')"
}

func (q queries) item(depth int) string {
	names := q.pick("", "", " ("+q.column()+")", " ("+q.column()+", "+q.column()+")")
	switch n := q.IntN(8); {
	case depth <= 0 || n < 3:
		return q.pick("ta", "tb", "tc", "va", "w", "public.ta") + q.pick("", "", " AS "+q.alias()+names)
	case n == 3:
		return "unnest(" + q.expression(1) + ") " + q.alias() + names
	case n == 4:
		return "generate_series('2001-01-01'::date, '2001-01-01', '1 day') " + q.alias() + names
	case n == 5:
		return q.pick("jsonb_each_text('{\"a\": \"today \"}')", "texts()") + " " + q.alias() + names
	case n == 6:
		return "(VALUES (" + q.expression(1) + "), (" + q.expression(1) + ")) " + q.alias() + names
	}
	return q.pick("", "LATERAL ") + "(" + q.query(depth-1) + ") " + q.alias() + names
}

func (q queries) target(depth int) string {
	if q.IntN(5) == 0 {
		return q.pick("*", q.alias()+".*")
	}
	return q.expression(depth) + q.pick("", " AS "+q.column())
}

func (q queries) query(depth int) string {
	if depth > 0 && q.IntN(6) == 0 {
		return "(" + q.query(depth-1) + ") UNION ALL (" + q.query(depth-1) + ")"
	}
	from := q.item(depth)
	if q.IntN(3) == 0 {
		from += q.pick(", ", " CROSS JOIN ", " NATURAL JOIN ") + q.item(depth)
	}
	with := ""
	if depth > 0 && q.IntN(4) == 0 {
		with = q.pick("WITH ", "WITH RECURSIVE ") + q.pick("w", "ta", "tb") + q.pick("", " ("+q.column()+")") + " AS (" + q.query(depth-1) + ") "
	}
	return with + "SELECT " + q.target(depth-1) + q.pick("", ", "+q.target(0)) + " FROM " + from
}

// TestCachedStatementsNeverReadTheClock executes what may be cached over tables whose texts all say 'today': the day of today
// must not come out.
func TestCachedStatementsNeverReadTheClock(t *testing.T) {
	f := newFixtureOf(t, times+"SET DateStyle = ISO")
	q := queries{rand.New(rand.NewPCG(1, 2))}
	var cached, executed, clock int
	for range 20000 {
		sql := fmt.Sprintf("SELECT (%s)::%s FROM %s", q.expression(2), q.pick("date", "timestamp", "date[]"), q.item(2))
		if q.IntN(4) == 0 {
			sql = "WITH w AS (" + q.query(1) + ") " + sql
		}
		d := f.decide(sql)
		if d.Verdict == cachepolicy.Cache {
			cached++
		} else if d.Reason != cachepolicy.ReasonTimeCast { // some of these are dangerous indeed
			continue
		}
		var today, result string
		err := f.conn.QueryRow(t.Context(), "SELECT current_date::text, coalesce(string_agg(x::text, ' '), '') FROM ("+sql+") x", pgx.QueryExecModeSimpleProtocol).
			Scan(&today, &result)
		if err != nil {
			continue
		}
		reads := strings.Contains(result, today)
		if d.Verdict == cachepolicy.Cache {
			executed++
		} else if reads {
			clock++
		}
		if reads && d.Verdict == cachepolicy.Cache {
			t.Errorf("%s\n\tis cached, and returned %s", sql, result)
		}
	}
	t.Logf("%d cached, %d of them executed, %d others read the clock", cached, executed, clock)
	if executed < 100 || clock < 10 {
		t.Errorf("only %d cached statements were executed, only %d others read the clock", executed, clock)
	}
}
