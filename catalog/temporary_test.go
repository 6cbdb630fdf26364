package catalog_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestTemporaryNames asks each version, under a search path and an encoding that would change what a careless query means.
func TestTemporaryNames(t *testing.T) {
	for _, version := range []string{"13", "15", "18"} {
		conn := connect(t, pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
		names := func() map[string]bool {
			t.Helper()
			var value *string
			if err := conn.QueryRow(t.Context(), "SELECT "+catalog.TemporaryNames, pgx.QueryExecModeExec).Scan(&value); err != nil {
				t.Fatal(err)
			}
			if value == nil {
				value = new(string)
			}
			names, err := catalog.ParseTemporaryNames(*value)
			if err != nil || names == nil {
				t.Fatalf("%q: %v", *value, err)
			}
			return names
		}
		if got := names(); len(got) != 0 {
			t.Errorf("version %s: without a temporary schema: %v", version, got)
		}
		execute(t, conn, `
CREATE SCHEMA shadow;
CREATE FUNCTION shadow.wrong("char", "char") RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR shadow.= (LEFTARG = "char", RIGHTARG = "char", FUNCTION = shadow.wrong);
CREATE TABLE shadow.pg_class (id int);
CREATE FUNCTION calls(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE DOMAIN positive AS int CHECK (calls(value) > 0);
CREATE TYPE mood AS ENUM ('fair');
CREATE TABLE real (id int);

CREATE TEMP TABLE plain (id serial PRIMARY KEY, name text DEFAULT upper('x') CHECK (name <> ''), at timestamptz DEFAULT now(), m mood, ms mood[]);
CREATE TEMP TABLE "Größe ""x""" (id int);
CREATE TEMP TABLE copied AS SELECT 1 AS id;
CREATE TEMP TABLE defaulted (id int DEFAULT calls(1));
CREATE TEMP TABLE checked (id int CHECK (calls(id) > 0));
CREATE TEMP TABLE indexed (id int); CREATE INDEX indexed_i ON indexed (calls(id));
CREATE TEMP TABLE domained (id positive);
CREATE TEMP TABLE domains (ids positive[]);
CREATE TEMP TABLE fired (id int); CREATE TRIGGER t AFTER INSERT ON fired EXECUTE FUNCTION fires();
CREATE TEMP TABLE ruled (id int); CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING;
CREATE TEMP TABLE secured (id int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE TEMP TABLE child () INHERITS (real);
CREATE TEMP TABLE parent (id int); CREATE TEMP TABLE parent_1 () INHERITS (parent);
CREATE TEMP TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TEMP VIEW viewed AS SELECT * FROM real;
CREATE TEMP SEQUENCE counted;
CREATE DOMAIN pg_temp.odd AS int;
CREATE TYPE pg_temp.pair AS (a int);
SET search_path = shadow, public, pg_catalog;
SET client_encoding = 'LATIN1';`)
		got := names()
		for name, want := range map[string]bool{
			"plain": true, `Größe "x"`: true, "copied": true,
			"defaulted": false, "checked": false, "indexed": false, "indexed_i": false, "domained": false, "domains": false, "fired": false,
			"ruled": false, "secured": false, "child": false, "parent": false, "parent_1": false, "parts": false, "viewed": false,
			"counted": false, "odd": false, "pair": false, "_plain": false, "plain_pkey": false,
		} {
			if plain, found := got[name]; !found || plain != want {
				t.Errorf("version %s: %s found %v, plain %v", version, name, found, plain)
			}
		}
		if _, found := got["real"]; found {
			t.Errorf("version %s: a real table", version)
		}
		execute(t, conn, "RESET client_encoding; RESET search_path; DISCARD TEMP")
		if got := names(); len(got) != 0 {
			t.Errorf("version %s: after DISCARD: %v", version, got)
		}
	}
}

func TestTemporaryShadows(t *testing.T) {
	for _, tc := range []struct {
		temporary             catalog.Temporary
		known, plain, unknown bool
	}{
		{catalog.Temporary{}, false, false, false},
		{catalog.Temporary{Exists: true}, true, false, true},
		{catalog.Temporary{Exists: true, Names: map[string]bool{"t": true}}, true, true, false},
		{catalog.Temporary{Exists: true, Names: map[string]bool{"t": false}}, true, false, false},
		{catalog.Temporary{Exists: true, Names: map[string]bool{}}, false, false, false},
	} {
		if tc.temporary.Shadows("t") != tc.known || tc.temporary.Plain("t") != tc.plain || tc.temporary.Shadows("u") != tc.unknown {
			t.Errorf("%+v", tc)
		}
	}
}
