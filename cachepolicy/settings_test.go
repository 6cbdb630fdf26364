package cachepolicy_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestSettingsOfADecision(t *testing.T) {
	f := newFixtureOf(t, `
CREATE TABLE t (id int, name text, tenant text);
CREATE VIEW tenants AS SELECT id FROM t WHERE tenant = current_setting('app.tenant', true);
CREATE SCHEMA bad;
CREATE FUNCTION bad.current_setting(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE DOMAIN bad.text AS pg_catalog.text;`)
	for _, tc := range []struct {
		sql      string
		reason   cachepolicy.Reason
		settings []string
	}{
		{"SELECT id FROM t", "", nil},
		{"SELECT id FROM t WHERE tenant = current_setting('app.tenant')", "", []string{"app.tenant"}},
		{"SELECT id, pg_catalog.current_setting('z.Z'), current_setting('APP.b.c', true), current_setting('z.z') FROM t", "", []string{"app.b.c", "z.z"}},
		{"SELECT id FROM tenants WHERE id = current_setting('a.id'::text)::int", "", []string{"a.id", "app.tenant"}},
		{"SELECT current_setting('TimeZone'), current_setting('search_path'), id FROM t", "", nil},
		{"SELECT current_setting('server_version'), id FROM t", "", nil},

		{"SELECT current_setting($1), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting(name), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('app.tenant'), current_setting('app.' || name), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('Application_Name'), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('statement_timeout'), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('transaction_isolation'), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('role'), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('is_superuser'), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('app.user-agent', true), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('app.é', true), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('', true), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('.', true), id FROM t", cachepolicy.ReasonStable, nil},
		{"SELECT current_setting('app.day')::date, id FROM t", cachepolicy.ReasonTimeCast, nil},
		{"SELECT bad.current_setting('app.tenant'), id FROM t", cachepolicy.ReasonVolatile, nil},
	} {
		d := f.decide(tc.sql)
		if d.Reason != tc.reason || !slices.Equal(d.Settings, tc.settings) {
			t.Errorf("%s\n\t%+v, want reason %q, settings %v", tc.sql, d, tc.reason, tc.settings)
		}
	}
	f.scope.Schemas = []string{"bad", "pg_catalog", "public"}
	if d := f.decide("SELECT current_setting('app.tenant'), id FROM t"); d.Verdict != cachepolicy.Bypass {
		t.Errorf("a function of the same name in the path: %+v", d)
	}
	f.execute(t, "DROP FUNCTION bad.current_setting")
	f.load(t)
	if d := f.decide("SELECT current_setting('app.tenant'), id FROM t"); d.Reason != cachepolicy.ReasonUnknownType {
		t.Errorf("a type text in the path: %+v", d)
	}
}

// TestSettingInKey looks at every setting of the server: what pg_settings shows is in the key unless the probe leaves it out, and
// what it doesn't show never is.
func TestSettingInKey(t *testing.T) {
	for _, version := range []string{"13", "15", "18"} {
		conn := connect(t, pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
		rows, err := conn.Query(t.Context(), `SELECT name, name ~ $1 FROM pg_settings WHERE name NOT LIKE '%.%'`,
			"^("+cachepolicy.SettingsOutsideKeys+")$")
		if err != nil {
			t.Fatal(err)
		}
		shown := make(map[string]bool)
		var name string
		var outside bool
		_, err = pgx.ForEachRow(rows, []any{&name, &outside}, func() error {
			shown[name] = true
			if cachepolicy.SettingInKey(name) == outside {
				t.Errorf("version %s: %s is in the key: %v", version, name, !outside)
			}
			return nil
		})
		if err != nil || len(shown) < 300 {
			t.Errorf("version %s: %d settings, %v", version, len(shown), err)
		}
		for _, name := range []string{"role", "session_authorization", "is_superuser", "seed"} {
			var value string
			if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil || shown[name] {
				t.Errorf("version %s: %s is shown: %v, %v", version, name, shown[name], err)
			}
			if cachepolicy.SettingInKey(name) {
				t.Errorf("version %s: %s is in the key", version, name)
			}
		}
	}
	for _, name := range []string{"", "app.tenant", "work_mem ", "é", "Role", "LOG_min_messages"} {
		if cachepolicy.SettingInKey(name) {
			t.Errorf("%q is in the key", name)
		}
	}
}
