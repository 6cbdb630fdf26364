package catalog_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// largeDatabase returns connections to a database with so many tables and as many views.
func largeDatabase(b *testing.B, tables int) (conn, other *pgx.Conn) {
	b.Helper()
	dsn := pgtest.Start(b).NewDatabase(b)
	open := func() *pgx.Conn {
		conn, err := pgx.Connect(b.Context(), dsn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	conn, other = open(), open()
	_, err := other.Exec(b.Context(), fmt.Sprintf(`
DO $$ BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, a int DEFAULT 1, b text, c timestamptz, d numeric, e text, f int CHECK (f > 0), g jsonb, h uuid)', i);
  EXECUTE format('CREATE VIEW v%%s AS SELECT x.id, x.a, upper(x.b) AS b, y.c, count(*) AS n FROM t%%s x JOIN t%%s y USING (id) WHERE x.f > 3 GROUP BY 1, 2, 3, 4', i, i, greatest(i - 1, 1));
  IF i %% 50 = 0 THEN COMMIT; END IF;
END LOOP; END $$`, tables), pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		_, err = other.Exec(b.Context(), "VACUUM ANALYZE")
	}
	if err != nil {
		b.Fatal(err)
	}
	return conn, other
}

// BenchmarkLook measures looks at databases with so many tables and as many views: "check" when transactions have ended that changed no definition,
// "quiet" when none has, "load" all of it, "added" after a new table.
func BenchmarkLook(b *testing.B) {
	for _, tables := range []int{10, 3000} {
		b.Run(strconv.Itoa(tables), func(b *testing.B) {
			conn, other := largeDatabase(b, tables)
			for name, change := range map[string]string{
				"quiet": "SELECT 1", "check": "SELECT pg_current_xact_id()", "load": "", "added": "DROP TABLE IF EXISTS pg_temp.x; CREATE TEMP TABLE x (id int)",
			} {
				b.Run(name, func(b *testing.B) {
					seen, _, err := catalog.Look(b.Context(), conn, nil)
					for b.Loop() {
						if err != nil {
							b.Fatal(err)
						}
						if name == "load" {
							seen = nil
						}
						b.StopTimer()
						if _, err = other.Exec(b.Context(), change, pgx.QueryExecModeSimpleProtocol); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
						seen, _, err = catalog.Look(b.Context(), conn, seen)
					}
				})
			}
		})
	}
}
