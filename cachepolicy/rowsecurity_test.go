package cachepolicy_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
)

const policies = `
CREATE TABLE plain (id int);
CREATE TABLE members (team int, who name);
CREATE TABLE ruled (id int, team int, created timestamptz, day text, "Odd ""name" int);
CREATE TABLE weird."ta""ble" (id int, created timestamptz);
ALTER TABLE weird."ta""ble" ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON weird."ta""ble" USING (created::date > '2020-01-01');
CREATE FUNCTION calls() RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE FUNCTION steady() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN EXECUTE ''SELECT 1''; RETURN true; END';
CREATE FUNCTION fixed(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TABLE parts (id int, owner name) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON parts USING (owner = current_user);
CREATE VIEW over AS SELECT id FROM ruled;
CREATE VIEW members_view AS SELECT team FROM members WHERE who = current_setting('app.who')::name;
CREATE TABLE docs (id int, team int);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs USING (team IN (SELECT team FROM ruled));
ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
`

// TestPolicies gives one table a policy after the other.
func TestPolicies(t *testing.T) {
	f := newFixtureOf(t, "CREATE SCHEMA weird;"+policies)
	table := []string{"ruled"}
	for _, tc := range []struct {
		policy    string
		reason    cachepolicy.Reason
		relations []string
		settings  []string
	}{
		{"USING (true)", "", table, nil},
		{"USING (team = 1 AND id BETWEEN 1 AND 2 AND \"Odd \"\"name\" > 0 AND ruled.* IS NOT NULL)", "", table, nil},
		{"USING (day = current_user OR day = session_user OR day = user)", "", table, nil},
		{"AS RESTRICTIVE FOR SELECT TO pg_monitor USING (fixed(id))", "", table, nil},
		{"USING (team = current_setting('app.team')::int)", "", table, []string{"app.team"}},
		{"USING (team = nullif(current_setting('App.Team', true), '')::int)", "", table, []string{"app.team"}},
		{"USING (current_setting('work_mem') = '4MB')", "", table, nil},
		{"USING (pg_has_role(current_user, 'pg_monitor', 'member'))", "", table, nil},
		{"USING (created::date > '2020-01-01')", "", table, nil},
		{"USING (EXISTS (SELECT FROM members m WHERE m.team = ruled.team AND m.who = current_user))", "", []string{"members", "ruled"}, nil},
		{"USING (team IN (SELECT team FROM members_view))", "", []string{"members", "members_view", "ruled"}, []string{"app.who"}},
		{"USING (id IN (SELECT id FROM parts))", "", []string{"parts", "parts_1", "ruled"}, nil},
		// Only what restricts reading counts.
		{"FOR UPDATE USING (created > now())", "", table, nil},
		{"FOR DELETE USING (calls())", "", table, nil},
		{"FOR INSERT WITH CHECK (steady())", "", table, nil},
		{"USING (true) WITH CHECK (created > now())", "", table, nil},

		{"USING (created > now())", cachepolicy.ReasonStable, nil, nil},
		{"FOR SELECT USING (created > CURRENT_DATE)", cachepolicy.ReasonCurrentTime, nil, nil},
		{"TO pg_monitor USING (calls())", cachepolicy.ReasonVolatile, nil, nil},
		{"USING (steady())", cachepolicy.ReasonStable, nil, nil},
		{"USING (day::date > '2020-01-01')", cachepolicy.ReasonTimeCast, nil, nil},
		{"USING (team = current_setting(day)::int)", cachepolicy.ReasonStable, nil, nil},
		{"USING (day = current_setting('application_name'))", cachepolicy.ReasonStable, nil, nil},
		{"USING (has_table_privilege('plain', 'SELECT'))", cachepolicy.ReasonStable, nil, nil},
		{"USING (EXISTS (SELECT FROM pg_roles WHERE rolname = day))", cachepolicy.ReasonSystemCatalog, nil, nil},
		{"USING (EXISTS (SELECT FROM members m WHERE steady()))", cachepolicy.ReasonStable, nil, nil},
		{"USING (day IS JSON)", cachepolicy.ReasonUnsupported, nil, nil},
	} {
		if tc.policy == "USING (day IS JSON)" && f.snapshot.ServerVersion < 160000 {
			continue
		}
		f.execute(t, "DROP POLICY IF EXISTS p ON ruled; CREATE POLICY p ON ruled "+tc.policy)
		f.load(t)
		check := func(sql string, relations ...string) {
			t.Helper()
			d := f.decide(sql)
			if d.Reason != tc.reason || (d.Verdict == cachepolicy.Cache) != (tc.reason == "") {
				t.Errorf("%s with a policy %s\n\t%+v, want reason %q", sql, tc.policy, d, tc.reason)
				return
			}
			if tc.reason != "" {
				return
			}
			want := append(slices.Clone(tc.relations), relations...)
			slices.Sort(want)
			if got := f.names(d); !slices.Equal(got, want) || !slices.Equal(d.Settings, tc.settings) {
				t.Errorf("%s with a policy %s\n\trelations %v, settings %v, want %v, %v", sql, tc.policy, got, d.Settings, want, tc.settings)
			}
		}
		check("SELECT id FROM ruled")
		check("SELECT id FROM over", "over")
		check("SELECT id FROM docs", "docs") // whose policy reads the table
		if d := f.decide("SELECT id FROM plain"); d.Verdict != cachepolicy.Cache {
			t.Errorf("another table: %+v", d)
		}
	}
	f.execute(t, "ALTER TABLE ruled DISABLE ROW LEVEL SECURITY")
	f.load(t)
	if d := f.decide("SELECT id FROM ruled"); d.Verdict != cachepolicy.Cache {
		t.Errorf("a policy that isn't in force: %+v", d)
	}
	if d := f.decide(`SELECT id FROM weird."ta""ble"`); d.Verdict != cachepolicy.Cache {
		t.Errorf("quoted names: %+v", d)
	}
	if d := f.decide("SELECT id FROM parts_1"); d.Verdict != cachepolicy.Cache {
		t.Errorf("a partition: %+v", d)
	}
}

// TestTemporaryChildren: the session with the child sees rows in the parent that nobody else sees.
func TestTemporaryChildren(t *testing.T) {
	f := newFixtureOf(t, "CREATE TABLE top (id int); CREATE TABLE parent () INHERITS (top); CREATE TABLE other (id int)")
	f.execute(t, "CREATE TEMP TABLE child () INHERITS (parent)")
	f.load(t)
	for sql, want := range map[string]cachepolicy.Reason{
		"SELECT id FROM parent": cachepolicy.ReasonTemporary, "SELECT id FROM top": cachepolicy.ReasonTemporary, "SELECT id FROM other": "",
	} {
		if d := f.decide(sql); d.Reason != want {
			t.Errorf("%s: %+v", sql, d)
		}
	}
	f.execute(t, "DROP TABLE child")
	f.load(t)
	if d := f.decide("SELECT id FROM top"); d.Verdict != cachepolicy.Cache {
		t.Errorf("without the child: %+v", d)
	}
}

func (f *fixture) execute(t *testing.T, script string) {
	t.Helper()
	if _, err := f.conn.Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
}

func (f *fixture) load(t *testing.T) {
	t.Helper()
	var err error
	if f.snapshot, err = catalog.Load(t.Context(), f.conn); err != nil {
		t.Fatal(err)
	}
}

func TestRowSecurityIsTold(t *testing.T) {
	f := newFixtureOf(t, "CREATE TABLE free (id int); CREATE TABLE ruled (id int); ALTER TABLE ruled ENABLE ROW LEVEL SECURITY; CREATE VIEW v AS SELECT id FROM ruled; "+
		"CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM ruled'")
	for sql, want := range map[string]bool{"SELECT id FROM free": false, "SELECT id FROM ruled": true, "SELECT v.id FROM v, free": true} {
		if d := f.decide(sql); d.Verdict != cachepolicy.Cache || d.RowSecurity != want {
			t.Errorf("%s: %+v", sql, d)
		}
	}
	if d := f.decide("SELECT reads() FROM free"); d.Reason != cachepolicy.ReasonStable {
		t.Errorf("a function that reads under row security: %+v", d)
	}
	f.execute(t, "ALTER TABLE ruled DISABLE ROW LEVEL SECURITY")
	f.load(t)
	if d := f.decide("SELECT reads() FROM free"); d.Verdict != cachepolicy.Cache || d.RowSecurity {
		t.Errorf("the same without row security: %+v", d)
	}
}
