package proxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestRowSecurityByRole: what roles, memberships, policies and the tables that policies read say of a row holds for cached
// answers from the moment that it is acknowledged.
func TestRowSecurityByRole(t *testing.T) {
	const parameters = "default_query_exec_mode=cache_statement"
	r := start(t,
		"DROP ROLE IF EXISTS rls_ann, rls_bob, rls_team",
		"CREATE ROLE rls_ann", "CREATE ROLE rls_bob", "CREATE ROLE rls_team",
		"CREATE TABLE members (who name, project int)", "INSERT INTO members VALUES ('rls_ann', 1), ('rls_bob', 2)",
		"CREATE TABLE docs (id int, project int, owner name, secret bool)",
		"INSERT INTO docs SELECT i, i % 3, CASE i % 2 WHEN 0 THEN 'rls_ann' ELSE 'rls_bob' END, i > 8 FROM generate_series(1, 12) i",
		"ALTER TABLE docs ENABLE ROW LEVEL SECURITY", "ALTER TABLE members ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY own ON docs USING (owner = current_user)",
		"CREATE POLICY shared ON docs FOR SELECT USING (EXISTS (SELECT FROM members m WHERE m.who = current_user AND m.project = docs.project))",
		"CREATE POLICY open ON docs AS RESTRICTIVE USING (NOT secret OR pg_has_role(current_user, 'rls_team', 'member'))",
		"CREATE POLICY mine ON members USING (who = current_user)",
		"CREATE VIEW overview AS SELECT project, count(*) AS n FROM docs GROUP BY project",
		"GRANT SELECT ON docs, members, overview TO PUBLIC")
	t.Cleanup(func() {
		direct := r.direct()
		mustExec(t, direct, "DROP OWNED BY rls_ann, rls_bob, rls_team")
		mustExec(t, direct, "DROP ROLE rls_ann, rls_bob, rls_team")
	})
	writer := r.connect(parameters)
	readers := map[string][2]*pgx.Conn{}
	for _, role := range []string{"rls_ann", "rls_bob", "postgres"} {
		pair := [2]*pgx.Conn{r.connect(parameters), dial(t, r.Upstream+"&"+parameters)}
		for _, c := range pair {
			mustExec(t, c, "SET ROLE "+role)
		}
		readers[role] = pair
	}
	compare := func(step string) {
		t.Helper()
		r.waitReady()
		for range 2 {
			for role, pair := range readers {
				for _, sql := range []string{
					"SELECT string_agg(id::text, ',' ORDER BY id) FROM docs", "SELECT string_agg(project || '=' || n, ',' ORDER BY project) FROM overview",
				} {
					if got, want := value(t, pair[0], sql), value(t, pair[1], sql); got != want {
						t.Fatalf("%s: %s: %s answered %q, want %q", step, role, sql, got, want)
					}
				}
			}
		}
	}
	compare("at first")
	before := r.hits()
	compare("again")
	if hits := r.hits() - before; hits < 12 {
		t.Errorf("only %d hits", hits)
	}
	for _, statement := range []string{
		"INSERT INTO members VALUES ('rls_ann', 2)", "DELETE FROM members WHERE project = 1", "UPDATE docs SET owner = 'rls_ann' WHERE id = 3",
		"GRANT rls_team TO rls_bob", "ALTER POLICY own ON docs TO rls_team USING (owner = current_user AND id > 4)", "REVOKE rls_team FROM rls_bob",
		"ALTER ROLE rls_bob BYPASSRLS", "ALTER VIEW overview OWNER TO rls_bob", "ALTER TABLE docs OWNER TO rls_ann",
	} {
		mustExec(t, writer, statement)
		compare(statement)
	}
}

// TestPlansFromBeforeARevoke: a session that prepared its statement before goes on seeing what PostgreSQL shows it; the others do not.
func TestPlansFromBeforeARevoke(t *testing.T) {
	r := start(t, "DROP ROLE IF EXISTS plan_bob, plan_team", "CREATE ROLE plan_bob", "CREATE ROLE plan_team",
		"CREATE TABLE docs (id int)", "INSERT INTO docs VALUES (1)", "ALTER TABLE docs ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY p ON docs TO plan_team USING (true)", "GRANT SELECT ON docs TO PUBLIC", "GRANT plan_team TO plan_bob")
	t.Cleanup(func() {
		direct := r.direct()
		mustExec(t, direct, "DROP OWNED BY plan_bob, plan_team")
		mustExec(t, direct, "DROP ROLE plan_bob, plan_team")
	})
	const named, sql = "default_query_exec_mode=cache_statement", "SELECT count(*)::text FROM docs"
	open := func(c *pgx.Conn) *pgx.Conn {
		mustExec(t, c, "SET ROLE plan_bob")
		return c
	}
	old, oldDirect := open(r.connect(named)), open(dial(t, r.Upstream+"&"+named))
	for range 3 {
		if a, b := value(t, old, sql), value(t, oldDirect, sql); a != "1" || b != "1" {
			t.Fatalf("%s, %s", a, b)
		}
	}
	before := r.hits()
	if value(t, old, sql); r.hits() == before {
		t.Error("nothing was cached")
	}
	mustExec(t, r.connect(), "REVOKE plan_team FROM plan_bob")
	r.waitReady()
	for range 2 {
		if a, b := value(t, old, sql), value(t, oldDirect, sql); a != b {
			t.Errorf("the old plan gives %s, directly %s", a, b)
		}
		if got := value(t, open(r.connect(named)), sql); got != "0" {
			t.Errorf("a new session sees %s rows", got)
		}
	}
}
