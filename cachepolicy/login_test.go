package cachepolicy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestLoginTriggers: what a trigger writes at each login is never cached, and all the rest is.
func TestLoginTriggers(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithVersion("17"))
	f := newFixtureOn(t, server.NewDatabase(t), `
CREATE TABLE plain (id int); CREATE TABLE logins (at timestamptz DEFAULT now()); CREATE VIEW last_login AS SELECT max(at) AS at FROM logins;
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO logins DEFAULT VALUES; END';
CREATE FUNCTION opaque() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE 'INSERT INTO logins DEFAULT VALUES'; END$$;
CREATE EVENT TRIGGER note ON login EXECUTE FUNCTION note()`)
	want := func(sql string, reason cachepolicy.Reason) {
		t.Helper()
		if d := f.decide(sql); d.Reason != reason {
			t.Errorf("%s: %+v, want %q", sql, d, reason)
		}
	}
	want("SELECT id FROM plain", cachepolicy.ReasonNone)
	want("SELECT at FROM logins", cachepolicy.ReasonLoginTrigger)
	want("SELECT at FROM last_login", cachepolicy.ReasonLoginTrigger)
	before := f.count(t, "SELECT count(*) FROM logins")
	other, err := pgx.ConnectConfig(t.Context(), f.conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Close(t.Context())
	if after := f.count(t, "SELECT count(*) FROM logins"); after == before {
		t.Errorf("a login wrote nothing: %d", after)
	}

	f.execute(t, "DROP EVENT TRIGGER note; CREATE EVENT TRIGGER note ON login EXECUTE FUNCTION opaque()")
	f.load(t)
	want("SELECT id FROM plain", cachepolicy.ReasonLoginTrigger)
	f.policy.Declared = &catalog.Declarations{Functions: []catalog.FunctionDeclaration{{Name: "opaque", Writes: []string{"logins"}}}}
	want("SELECT id FROM plain", cachepolicy.ReasonNone)
	want("SELECT at FROM logins", cachepolicy.ReasonLoginTrigger)
	f.execute(t, "ALTER EVENT TRIGGER note DISABLE")
	f.load(t)
	want("SELECT at FROM logins", cachepolicy.ReasonNone)
}

func (f *fixture) count(t *testing.T, sql string) (n int64) {
	t.Helper()
	if err := f.conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
