package cachepolicy_test

import (
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

func TestExtensions(t *testing.T) {
	f := newFixtureOf(t, `
CREATE EXTENSION citext; CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; CREATE EXTENSION unaccent; CREATE EXTENSION ltree;
CREATE EXTENSION intarray; CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION pgcrypto;
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION tablefunc; CREATE EXTENSION seg;
CREATE TABLE t (id int, name text, mail citext, h hstore, path ltree, ns int[], place cube, s seg, born date);
CREATE FUNCTION classes(int, int) RETURNS regclass LANGUAGE sql IMMUTABLE AS $$SELECT 'pg_class'::regclass$$;
CREATE OPERATOR ~~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = classes);
CREATE SCHEMA own;
CREATE FUNCTION own.unaccent(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT now()::text';
CREATE FUNCTION own.steady(text, text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT true';
CREATE OPERATOR own.% (LEFTARG = text, RIGHTARG = text, FUNCTION = own.steady);`)
	check := func(sql string, reason cachepolicy.Reason, settings ...string) {
		t.Helper()
		d := f.decide(sql)
		if d.Reason != reason || !slices.Equal(d.Settings, settings) {
			t.Errorf("%s\n\t%+v, want reason %q, settings %v", sql, d, reason, settings)
		}
	}
	for _, sql := range []string{
		"SELECT * FROM t",
		"SELECT min(mail), max(mail), count(DISTINCT mail), lower(mail), replace(mail, 'a', 'b') FROM t WHERE mail = 'X' AND mail LIKE 'a%' AND mail ~ 'b'",
		"SELECT similarity(name, 'x'), word_similarity(name, 'x'), show_trgm(name), name <-> 'x', name <->> 'y' FROM t ORDER BY name <-> 'z'",
		"SELECT h -> 'a', h ? 'a', h ?& ARRAY['a'], h || 'a=>1', h - 'a', akeys(h), hstore_to_jsonb(h), hstore(t), h @> 'a=>1'::hstore, e.key FROM t, each(h) e",
		"SELECT unaccent(name), unaccent('public.unaccent', name) FROM t",
		"SELECT path <@ 'a.b', path ~ '*.c'::lquery, subpath(path, 0, 1), nlevel(path), path || 'd' FROM t",
		"SELECT ns @@ '1&2'::query_int, sort(ns), uniq(ns), ns # 3, icount(ns), ns && ARRAY[1] FROM t",
		"SELECT cube_distance(place, cube(1)), place <-> cube(2), earth_distance(ll_to_earth(1, 2), ll_to_earth(3, 4)), s && s FROM t",
		"SELECT levenshtein(name, 'x'), soundex(name), metaphone(name, 3), difference(name, 'a') FROM t",
		"SELECT digest(name, 'sha1'), hmac(name, 'k', 'sha1'), crypt(name, 'xx'), uuid_generate_v5(uuid_ns_url(), name) FROM t",
		"SELECT (born + id)::timestamp, max(born)::timestamptz FROM t",
	} {
		check(sql, "")
	}
	check("SELECT id FROM t WHERE name % 'x'", "", "pg_trgm.similarity_threshold")
	check("SELECT id FROM t WHERE 'x' <% name OR name %> 'y'", "", "pg_trgm.word_similarity_threshold")
	check("SELECT id FROM t WHERE 'x' <<% name AND name %>> 'y' AND name % 'z'", "", "pg_trgm.similarity_threshold", "pg_trgm.strict_word_similarity_threshold")

	check("SELECT show_limit(), id FROM t", cachepolicy.ReasonStable)
	check("SELECT similarity_op(name, 'x'), id FROM t", cachepolicy.ReasonStable)
	check("SELECT set_limit(0.5), id FROM t", cachepolicy.ReasonVolatile)
	check("SELECT populate_record(t, h) FROM t", cachepolicy.ReasonStable)
	check("SELECT t #= h FROM t", cachepolicy.ReasonUnknownOperator)
	check("SELECT gen_random_bytes(2), uuid_generate_v4() FROM t", cachepolicy.ReasonVolatile)
	check("SELECT c.* FROM t, crosstab('SELECT 1') AS c (a int)", cachepolicy.ReasonStable)
	check("SELECT id ~~~~ 1 FROM t", cachepolicy.ReasonUnknownType)
	check("SELECT own.unaccent(name) FROM t", cachepolicy.ReasonStable)
	check("SELECT id FROM t WHERE name OPERATOR(own.%) 'x'", cachepolicy.ReasonUnknownOperator)
	f.scope.Schemas = []string{"pg_catalog", "public", "own"}
	check("SELECT id FROM t WHERE name % 'x'", cachepolicy.ReasonUnknownOperator)
	check("SELECT unaccent(name) FROM t", cachepolicy.ReasonStable)
}

// TestPopulateRecordReadsTheClock asks the server whether the exception above is needed.
func TestPopulateRecordReadsTheClock(t *testing.T) {
	f := newFixtureOf(t, "CREATE EXTENSION hstore; CREATE TABLE t (born date)")
	for _, sql := range []string{"SELECT (populate_record(NULL::t, 'born=>today')).born = current_date", "SELECT (NULL::t #= 'born=>today'::hstore).born = current_date"} {
		var today bool
		if err := f.conn.QueryRow(t.Context(), sql).Scan(&today); err != nil || !today {
			t.Errorf("%s: %v, %v", sql, today, err)
		}
	}
}
