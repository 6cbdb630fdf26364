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
