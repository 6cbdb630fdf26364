package catalog_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestRightsOnEveryVersion: what changes rights, and a right that was given and taken back, changes the digest; what replaces storage or counts does not.
func TestRightsOnEveryVersion(t *testing.T) {
	for _, version := range []string{"13", "14", "15", "16", "17", "18"} {
		t.Run(version, func(t *testing.T) {
			conn := connect(t, pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
			execute(t, conn, `
CREATE TABLE docs (id int PRIMARY KEY, owner text); ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE TABLE bare (id int); CREATE TABLE keyed (id int PRIMARY KEY);
CREATE VIEW v AS SELECT id FROM docs;
CREATE MATERIALIZED VIEW m AS SELECT id FROM docs; CREATE UNIQUE INDEX ON m (id)`)
			last := load(t, conn).Digest
			changes := func(want bool, scripts ...string) {
				t.Helper()
				for _, script := range scripts {
					execute(t, conn, script)
					next := load(t, conn).Digest
					if (next != last) != want {
						t.Errorf("the digest changed: %v by %s", !want, script)
					}
					last = next
				}
			}
			changes(true,
				"ALTER TABLE docs FORCE ROW LEVEL SECURITY", "ALTER VIEW v SET (security_barrier)", "ALTER VIEW v SET (security_barrier = false)",
				"ALTER TEXT SEARCH CONFIGURATION english ALTER MAPPING FOR asciiword WITH simple", "REVOKE EXECUTE ON FUNCTION upper(text) FROM PUBLIC",
				"ALTER TABLE docs DISABLE ROW LEVEL SECURITY; ALTER TABLE docs ENABLE ROW LEVEL SECURITY",
				"GRANT SELECT ON bare TO PUBLIC; REVOKE SELECT ON bare FROM PUBLIC", "GRANT SELECT (id) ON docs TO PUBLIC; REVOKE SELECT (id) ON docs FROM PUBLIC",
				"CREATE OR REPLACE VIEW v AS SELECT id FROM docs WHERE false; CREATE OR REPLACE VIEW v AS SELECT id FROM docs")
			// The first TRUNCATE takes away the version of the row that rights were changed in.
			execute(t, conn, "TRUNCATE docs, keyed")
			last = load(t, conn).Digest
			changes(false,
				"TRUNCATE docs", "TRUNCATE keyed", "CREATE INDEX ON docs (owner)", "CREATE INDEX ON bare (id)", "REFRESH MATERIALIZED VIEW m", "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
				"INSERT INTO docs SELECT generate_series(1, 1000), 'x'", "ANALYZE", "VACUUM", "VACUUM FREEZE", "VACUUM FULL docs", "CLUSTER docs USING docs_pkey", "REINDEX TABLE docs")
			changes(true, "ALTER TABLE keyed ENABLE ROW LEVEL SECURITY; ALTER TABLE keyed DISABLE ROW LEVEL SECURITY",
				"ALTER TABLE docs DISABLE ROW LEVEL SECURITY; CREATE INDEX ON docs (id); ALTER TABLE docs ENABLE ROW LEVEL SECURITY")
		})
	}
}

// TestNothingLeftButCounters: what was so for a moment is noticed, if nothing is left of it but the server's counters (since version 15).
func TestNothingLeftButCounters(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	conn, past := connect(t, dsn), connect(t, dsn)
	execute(t, past, "CREATE ROLE reader; CREATE ROLE team; CREATE TABLE t (id int)")
	execute(t, past, "SELECT pg_stat_force_next_flush()") // or it would be reported within 10 s
	for _, script := range []string{
		"GRANT team TO reader; REVOKE team FROM reader", "ALTER ROLE reader BYPASSRLS; ALTER ROLE reader NOBYPASSRLS",
		"CREATE POLICY p ON t USING (true); DROP POLICY p ON t",
	} {
		before, _ := look(t, conn, nil)
		execute(t, past, script)
		execute(t, past, "SELECT pg_stat_force_next_flush()")
		if after, _ := look(t, conn, before); after.Snapshot().Under == before.Snapshot().Under {
			t.Errorf("not noticed: %s", script)
		}
	}
	before, _ := look(t, conn, nil)
	if after, loaded := look(t, conn, before); loaded || after.Snapshot().Under != before.Snapshot().Under {
		t.Error("something else counts")
	}
}
