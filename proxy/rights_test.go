package proxy_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestRightsChangedPastPgrecall: what changes, past pgrecall, which rows a role may see or what built-in objects do is noticed when pgrecall has looked
// again; a right that was given for a moment, too, if only the row's version tells of it.
func TestRightsChangedPastPgrecall(t *testing.T) {
	r := start(t,
		"DROP ROLE IF EXISTS rights_reader, rights_team", "CREATE ROLE rights_reader", "CREATE ROLE rights_team",
		"CREATE TABLE docs (id int, owner name)", "INSERT INTO docs VALUES (1, 'rights_reader'), (2, 'somebody')",
		"CREATE POLICY p ON docs USING (owner = current_user OR pg_has_role(current_user, 'rights_team', 'member'))", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY",
		"CREATE TABLE own AS SELECT * FROM docs", "ALTER TABLE own OWNER TO rights_reader",
		"CREATE POLICY p ON own USING (owner = current_user)", "ALTER TABLE own ENABLE ROW LEVEL SECURITY",
		"CREATE VIEW v AS SELECT id FROM docs", "GRANT SELECT ON docs, v TO rights_reader")
	past := r.direct()
	t.Cleanup(func() {
		mustExec(t, past, "DROP OWNED BY rights_reader, rights_team")
		mustExec(t, past, "DROP ROLE rights_reader, rights_team")
	})
	c, asked := r.connect(simple), r.direct()
	mustExec(t, c, "SET ROLE rights_reader")
	mustExec(t, asked, "SET ROLE rights_reader")
	for _, test := range []struct{ name, given, read, taken string }{
		{"force", "", "SELECT count(*)::text FROM own", "ALTER TABLE own FORCE ROW LEVEL SECURITY"},
		{"invoker", "", "SELECT count(*)::text FROM v", "ALTER VIEW v SET (security_invoker = true)"},
		{"text search", "", "SELECT to_tsvector('english', 'cats')::text FROM docs", "ALTER TEXT SEARCH CONFIGURATION english ALTER MAPPING FOR asciiword WITH simple"},
		{"row security", "ALTER TABLE docs DISABLE ROW LEVEL SECURITY", "SELECT count(*)::text FROM docs", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.given != "" {
				mustExec(t, past, test.given)
			} else {
				eventually(t, "a hit", func() bool { return r.counts(c, 2, test.read) > 0 })
			}
			before := value(t, c, test.read)
			mustExec(t, past, test.taken)
			want := value(t, asked, test.read)
			if before == want {
				t.Fatalf("%s changes nothing", test.taken)
			}
			eventually(t, "noticed: "+test.taken, func() bool { return value(t, c, test.read) == want })
		})
	}
}

// TestSuccessorUnderOtherRights: what one process kept in L2 under rights that were changed past it answers nobody in a process that has seen the new ones.
func TestSuccessorUnderOtherRights(t *testing.T) {
	dsn, server := pgtest.Shared(t).NewDatabase(t), pgtest.StartRedis(t)
	past := dial(t, dsn)
	for _, sql := range []string{
		"DROP ROLE IF EXISTS rights_owner", "CREATE ROLE rights_owner", "CREATE TABLE docs (id int, secret bool)", "INSERT INTO docs VALUES (1, false), (2, true)",
		"ALTER TABLE docs OWNER TO rights_owner", "CREATE POLICY p ON docs USING (NOT secret)", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY",
	} {
		mustExec(t, past, sql)
	}
	t.Cleanup(func() {
		past := dial(t, dsn)
		mustExec(t, past, "DROP OWNED BY rights_owner")
		mustExec(t, past, "DROP ROLE rights_owner")
	})
	count := func(r *running) string {
		c := r.connect(simple)
		mustExec(t, c, "SET ROLE rights_owner")
		return value(t, c, "SELECT count(*)::text FROM docs")
	}
	if got := count(joinFleet(t, dsn, server, unchanged)); got != "2" {
		t.Fatal(got)
	}
	eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > 0 })
	mustExec(t, past, "ALTER TABLE docs FORCE ROW LEVEL SECURITY")
	if got := count(joinFleet(t, dsn, server, unchanged)); got != "1" {
		t.Errorf("%s rows where the policy shows one", got)
	}
}
