package cachepolicy_test

import (
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
)

const readsSchema = `
CREATE SCHEMA one; CREATE SCHEMA two;
CREATE TABLE users (id int PRIMARY KEY, name text, born date); CREATE TABLE orders (id int, user_id int, amount numeric); CREATE TABLE rates (code text, rate numeric);
CREATE TABLE one.orders (id int, amount numeric); CREATE TABLE two.orders (id int, amount numeric); CREATE TABLE two.only_two (id int);
CREATE VIEW big AS SELECT id FROM orders WHERE amount > 100;
CREATE FUNCTION total(int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM orders WHERE user_id = $1';
CREATE FUNCTION total_plpgsql(u int) RETURNS numeric LANGUAGE plpgsql STABLE AS $$DECLARE r numeric; x orders%ROWTYPE;
  BEGIN SELECT sum(amount) INTO r FROM orders WHERE user_id = u; IF r IS NULL THEN RAISE EXCEPTION 'none'; END IF; FOR x IN SELECT * FROM orders LOOP r := r + 1; END LOOP; RETURN r; END$$;
CREATE FUNCTION big_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM big';
CREATE FUNCTION nested(int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT total($1) + (SELECT max(rate) FROM rates)';
CREATE FUNCTION recursive(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$BEGIN IF n <= 0 THEN RETURN (SELECT count(*) FROM rates); END IF; RETURN recursive(n - 1); END$$;
CREATE FUNCTION constant() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION pinned() RETURNS numeric LANGUAGE sql STABLE SET search_path = two AS 'SELECT sum(amount) FROM orders';
CREATE FUNCTION definer() RETURNS numeric LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT sum(amount) FROM orders';
CREATE FUNCTION standard() RETURNS numeric LANGUAGE sql STABLE RETURN (SELECT sum(amount) FROM one.orders);
CREATE FUNCTION listed() RETURNS SETOF rates LANGUAGE sql STABLE AS 'SELECT * FROM rates';
CREATE FUNCTION tenant() RETURNS text LANGUAGE sql STABLE AS $$SELECT current_setting('app.tenant', true)$$;
CREATE FUNCTION lying() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM rates';
CREATE FUNCTION lying_wildly() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT name || now() FROM users';
CREATE FUNCTION with_default(x numeric DEFAULT total(1)) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT x';
CREATE VIEW calling AS SELECT total(id) AS total FROM users;

CREATE FUNCTION drifting() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM rates';
CREATE FUNCTION calls_drifting() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT drifting()';
CREATE FUNCTION clock() RETURNS text LANGUAGE sql STABLE AS 'SELECT now()::text';
CREATE FUNCTION today() RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE d text := 'today'; BEGIN RETURN extract(day FROM d::date); END$$;
CREATE FUNCTION assigns(t text) RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE d date; BEGIN d := t; RETURN extract(day FROM d); END$$;
CREATE FUNCTION assigns_row(t text) RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE u users; BEGIN u.born := t; RETURN extract(day FROM u.born); END$$;
CREATE FUNCTION assigns_rowtype(t text) RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE u users%ROWTYPE; BEGIN u.born := t; RETURN extract(day FROM u.born); END$$;
CREATE FUNCTION returns(t text) RETURNS date LANGUAGE plpgsql STABLE AS $$BEGIN RETURN t; END$$;
CREATE FUNCTION casts(text) RETURNS date LANGUAGE sql STABLE AS 'SELECT $1::date';
CREATE FUNCTION dynamic() RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM rates' INTO n; RETURN n; END$$;
CREATE FUNCTION notices() RETURNS int LANGUAGE plpgsql STABLE AS $$BEGIN RAISE NOTICE 'x'; RETURN 1; END$$;
CREATE FUNCTION catalogs() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM pg_class';
CREATE FUNCTION fetches(c refcursor) RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE n int; BEGIN FETCH c INTO n; RETURN n; END$$;
CREATE FUNCTION works() RETURNS text LANGUAGE sql STABLE AS $$SELECT current_setting('application_name')$$;
CREATE FUNCTION as_somebody() RETURNS regclass LANGUAGE sql STABLE AS $$SELECT 'rates'::regclass$$;
CREATE FUNCTION temporary() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM pg_temp.x';
CREATE FUNCTION only_two() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM only_two';
CREATE FUNCTION foreign_rate(text) RETURNS numeric LANGUAGE plpgsql AS $$DECLARE n numeric; BEGIN EXECUTE 'SELECT rate FROM rates' INTO n; RETURN n; END$$;
`

// TestDecideWithFunctions: a function's answers are cached where its body shows what they depend on.
func TestDecideWithFunctions(t *testing.T) {
	f := newFixtureOf(t, "SET check_function_bodies = off;"+readsSchema)
	for _, tc := range []struct {
		sql       string
		reason    cachepolicy.Reason
		relations []string
	}{
		{"SELECT total(id) FROM users", "", []string{"orders", "users"}},
		{"SELECT total_plpgsql(1) FROM users", "", []string{"orders", "users"}},
		{"SELECT total(1)", "", []string{"orders"}},
		{"SELECT big_count()", "", []string{"big", "orders"}},
		{"SELECT nested(1)", "", []string{"orders", "rates"}},
		{"SELECT recursive(3), nested(2)", "", []string{"orders", "rates"}},
		{"SELECT constant() FROM users", "", []string{"users"}},
		{"SELECT pinned()", "", []string{"two.orders"}},
		{"SELECT definer()", "", []string{"one.orders", "orders", "two.orders"}},
		{"SELECT standard()", "", []string{"one.orders"}},
		{"SELECT * FROM listed()", "", []string{"rates"}},
		{"SELECT lying()", "", []string{"rates"}},
		{"SELECT lying_wildly() FROM rates", "", []string{"rates"}},
		{"SELECT with_default()", "", []string{"orders"}},
		{"SELECT * FROM calling", "", []string{"calling", "orders", "users"}},
		{"SELECT id FROM users WHERE name = tenant()", "", []string{"users"}},

		{"SELECT drifting()", cachepolicy.ReasonVolatile, nil},
		{"SELECT calls_drifting()", cachepolicy.ReasonStable, nil},
		{"SELECT clock() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT today() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT assigns(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT assigns_row(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT assigns_rowtype(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT returns(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT casts(name) FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT dynamic() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT notices() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT catalogs() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT fetches('c') FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT works() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT as_somebody() FROM users", cachepolicy.ReasonUnknownType, nil},
		{"SELECT temporary() FROM users", cachepolicy.ReasonStable, nil},
		{"SELECT only_two() FROM users", cachepolicy.ReasonStable, nil},
	} {
		d := f.decide(tc.sql)
		if d.Reason != tc.reason || (d.Verdict == cachepolicy.Cache) != (tc.reason == "") || !slices.Equal(f.names(d), tc.relations) {
			t.Errorf("%s\n\t%v %s (%s) %v, want %s %v", tc.sql, d.Verdict, d.Reason, d.Detail, f.names(d), tc.reason, tc.relations)
		}
	}
	if d := f.decide("SELECT id FROM users WHERE name = tenant()"); !slices.Equal(d.Settings, []string{"app.tenant"}) {
		t.Errorf("a setting that a function reads isn't told: %q", d.Settings)
	}
	if !slices.Contains(f.snapshot.CustomSettings, "app.tenant") {
		t.Errorf("custom settings %q", f.snapshot.CustomSettings)
	}
	f.scope.Schemas = []string{"pg_catalog", "two", "public"}
	if d := f.decide("SELECT total(1), only_two()"); !slices.Equal(f.names(d), []string{"two.only_two", "two.orders"}) {
		t.Errorf("under another path: %v %s", f.names(d), d.Detail)
	}
	f.scope.Temporary, f.scope.TemporaryNames = true, map[string]bool{"orders": true}
	if d := f.decide("SELECT total(1)"); d.Reason != cachepolicy.ReasonStable {
		t.Errorf("a temporary relation may stand in for one of a function: %v", d)
	}
}

// TestDecideWithDeclaredFunctions: what is declared counts.
func TestDecideWithDeclaredFunctions(t *testing.T) {
	f := newFixtureOf(t, "SET check_function_bodies = off;"+readsSchema)
	f.policy.Declared = &catalog.Declarations{Functions: []catalog.FunctionDeclaration{
		{Name: "foreign_rate", Reads: []string{"public.rates"}, Cache: true},
		{Name: "public.drifting", Reads: []string{"rates"}},
		{Name: "dynamic", Reads: []string{"rates", "big"}},
		{Name: "notices", Reads: []string{"nowhere"}},
		{Name: "clo*", Effects: catalog.EffectsNone, Cache: true},
		{Name: "today", Effects: catalog.EffectsNone},
	}}
	if err := f.policy.Compile(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		sql       string
		reason    cachepolicy.Reason
		relations []string
	}{
		{"SELECT foreign_rate('EUR')", "", []string{"rates"}},
		{"SELECT dynamic() FROM users", "", []string{"big", "orders", "rates", "users"}},
		{"SELECT clock() FROM users", "", []string{"users"}},
		{"SELECT drifting()", cachepolicy.ReasonVolatile, nil},
		{"SELECT calls_drifting()", cachepolicy.ReasonStable, nil},
		{"SELECT notices() FROM users", cachepolicy.ReasonUnknownRelation, nil},
		{"SELECT today() FROM users", cachepolicy.ReasonStable, nil},
	} {
		d := f.decide(tc.sql)
		if d.Reason != tc.reason || !slices.Equal(f.names(d), tc.relations) {
			t.Errorf("%s\n\t%s (%s) %v, want %s %v", tc.sql, d.Reason, d.Detail, f.names(d), tc.reason, tc.relations)
		}
	}
}
