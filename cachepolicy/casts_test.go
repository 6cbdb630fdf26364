package cachepolicy_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

const castSchema = `
CREATE SEQUENCE ran;
CREATE TABLE plain (id int, name text);
INSERT INTO plain VALUES (1, 'x');

-- from a type of the user's, to one, from the rows of a table, and one that a statement has to name
CREATE TYPE thing AS ENUM ('a', 'b');
CREATE FUNCTION number(thing) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT nextval('ran')::int$$;
CREATE CAST (thing AS int) WITH FUNCTION number(thing) AS IMPLICIT;
CREATE TYPE tag AS (n int);
CREATE FUNCTION tagged(int) RETURNS tag LANGUAGE sql VOLATILE AS $$SELECT ROW(nextval('ran')::int)::tag$$;
CREATE CAST (int AS tag) WITH FUNCTION tagged(int) AS IMPLICIT;
CREATE TABLE rowed (a int);
CREATE FUNCTION number(rowed) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT nextval('ran')::int$$;
CREATE CAST (rowed AS int) WITH FUNCTION number(rowed) AS IMPLICIT;
CREATE TYPE seal AS (n int);
CREATE FUNCTION words(seal) RETURNS text LANGUAGE sql VOLATILE AS $$SELECT nextval('ran')::text$$;
CREATE CAST (seal AS text) WITH FUNCTION words(seal);
CREATE TYPE coin AS (n int);
CREATE FUNCTION coined(int) RETURNS coin LANGUAGE sql VOLATILE AS $$SELECT ROW(nextval('ran')::int)::coin$$;
CREATE CAST (int AS coin) WITH FUNCTION coined(int);

CREATE DOMAIN thing_domain AS thing;
CREATE DOMAIN coin_domain AS coin;
CREATE TYPE pair AS (t thing, n int);
CREATE TYPE purse AS (c coin, n int);
CREATE TABLE things (id int, what thing);
CREATE TABLE domains (d thing_domain);
CREATE TABLE pairs (p pair);
CREATE TABLE arrays (many thing[]);
CREATE TABLE seals (s seal);
INSERT INTO things VALUES (1, 'a'); INSERT INTO domains VALUES ('a'); INSERT INTO pairs VALUES (ROW('a', 1));
INSERT INTO arrays VALUES ('{a,b}'); INSERT INTO rowed VALUES (1); INSERT INTO seals VALUES (ROW(1)::seal);
CREATE VIEW used AS SELECT abs(what) AS n FROM things;
CREATE VIEW unused AS SELECT id, upper(name) AS name FROM plain;

CREATE FUNCTION first_thing() RETURNS thing LANGUAGE sql IMMUTABLE AS $$SELECT 'a'::thing$$;
CREATE FUNCTION first_pair(OUT n int, OUT t thing) LANGUAGE sql IMMUTABLE AS $$SELECT 1, 'a'::thing$$;
CREATE FUNCTION thing_of(plain) RETURNS thing LANGUAGE sql IMMUTABLE AS $$SELECT 'a'::thing$$;
CREATE FUNCTION takes(tag) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).n';
CREATE FUNCTION alike(tag, tag) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).n > 0 AND ($2).n > 0';
CREATE OPERATOR ### (LEFTARG = tag, RIGHTARG = tag, FUNCTION = alike);
CREATE FUNCTION reads() RETURNS int LANGUAGE sql STABLE AS 'SELECT abs(what) FROM things';
CREATE FUNCTION assigns() RETURNS int LANGUAGE plpgsql STABLE AS 'DECLARE n int; BEGIN n := what FROM things; RETURN n; END';
CREATE FUNCTION row_assigns() RETURNS int LANGUAGE plpgsql STABLE AS 'DECLARE r things%ROWTYPE; BEGIN r.what := ''a''; RETURN abs(r.what); END';
CREATE FUNCTION harmless(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM plain WHERE id = $1';
`

// TestConversionsThatNothingNames has the server run casts with volatile functions: no statement that runs one may be cached, and those
// in which their types do not occur may be.
func TestConversionsThatNothingNames(t *testing.T) {
	f := newFixtureOf(t, castSchema)
	ran := func() (n int64) {
		if err := f.conn.QueryRow(t.Context(), "SELECT last_value FROM ran").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	f.execute(t, "SELECT nextval('ran')")
	for _, sql := range []string{
		"SELECT abs(what) FROM things",
		"SELECT id FROM things WHERE what = 1",
		"SELECT sum(what) FROM things",
		"SELECT abs(x.w) FROM (SELECT what AS w FROM things) x",
		"WITH w AS (SELECT what AS w FROM things) SELECT abs(w) FROM w",
		"SELECT abs(d) FROM domains",
		"SELECT abs((p).t) FROM pairs",
		"SELECT abs(many[1]) FROM arrays",
		"SELECT abs(unnest(many)) FROM arrays",
		"SELECT abs(r) FROM rowed r",
		"SELECT abs(first_thing()) FROM plain",
		"SELECT abs(p.t) FROM plain, first_pair() p",
		"SELECT abs(p.thing_of) FROM plain p",
		"SELECT abs('a'::thing) FROM plain",
		"SELECT abs(thing 'a') FROM plain",
		"SELECT abs(x.t) FROM plain, jsonb_to_record('{\"t\": \"a\"}') AS x (t thing)",
		"SELECT abs(x.t) FROM plain, jsonb_populate_record(NULL::pair, '{\"t\": \"a\"}') x",
		"SELECT takes(id) FROM plain",
		"SELECT id FROM plain WHERE id ### 2",
		"SELECT id::tag FROM plain",
		"SELECT ARRAY[id]::tag[] FROM plain",
		"SELECT s::text FROM seals",
		"SELECT id::coin FROM plain",
		"SELECT CAST(ARRAY[id] AS coin[]) FROM plain",
		"SELECT id::coin_domain FROM plain",
		"SELECT ROW(id, 1)::purse FROM plain",
		"SELECT n FROM used",
		"SELECT reads() FROM plain",
		"SELECT assigns() FROM plain",
		"SELECT row_assigns() FROM plain",
	} {
		before := ran()
		rows, err := f.conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			rows.Close()
			err = rows.Err()
		}
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if ran() == before {
			t.Errorf("%s does not run a cast", sql)
		}
		if d := f.decide(sql); d.Verdict == cachepolicy.Cache {
			t.Errorf("%s is cached", sql)
		}
	}
	for _, sql := range []string{
		"SELECT id, abs(id), id::text, name || 'x' FROM plain WHERE id = 1",
		"SELECT * FROM unused WHERE id > 0",
		"SELECT sum(id), max(name) FROM plain GROUP BY id HAVING count(*) > 0",
		"SELECT harmless(id) FROM plain",
	} {
		if d := f.decide(sql); d.Verdict != cachepolicy.Cache {
			t.Errorf("%s: %+v", sql, d)
		}
	}
}

// TestConversionBetweenBuiltinTypes: such a cast may be anywhere.
func TestConversionBetweenBuiltinTypes(t *testing.T) {
	f := newFixtureOf(t, strings.Replace(castSchema, "CREATE TYPE thing", `
CREATE FUNCTION truth(text) RETURNS boolean LANGUAGE sql VOLATILE AS $$SELECT nextval('ran') > 0$$;
CREATE CAST (text AS boolean) WITH FUNCTION truth(text) AS ASSIGNMENT;
CREATE TYPE thing`, 1))
	if d := f.decide("SELECT id FROM plain"); d.Reason != cachepolicy.ReasonUnsafeCast {
		t.Errorf("%+v", d)
	}
}
