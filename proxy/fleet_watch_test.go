package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestStatementOutlivesItsProxy shuts a proxy down whose client went away while the server executed its write. The write commits later.
func TestStatementOutlivesItsProxy(t *testing.T) {
	fleet, _ := startFleet(t, 2, true, "CREATE TABLE t AS SELECT 0 AS n")
	holder, look := fleet[0].direct(), fleet[0].direct()
	mustExec(t, holder, "BEGIN")
	mustExec(t, holder, "SELECT n FROM t FOR UPDATE")
	writer, reader := fleet[0].connect(simple), fleet[1].connect(simple)
	value(t, writer, "SELECT count(*) FROM t") // its backend is there
	raw, err := writer.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	message, err := (&pgproto3.Query{String: "UPDATE t SET n = 1"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Conn.Write(message); err != nil {
		t.Fatal(err)
	}
	waits(t, look, "1")
	_ = raw.Conn.Close()
	fleet[0].stop(10 * time.Second)
	waits(t, look, "1")
	const sql = "SELECT n::text FROM t"
	for began := time.Now(); time.Since(began) < 4*time.Second; {
		if fleet[1].counts(reader, 2, sql) > 0 {
			t.Fatal("a row is cached that a statement of the server is about to change")
		}
	}
	mustExec(t, holder, "ROLLBACK")
	eventually(t, "the write is over", func() bool { return value(t, look, sql) == "1" })
	if got := value(t, reader, sql); got != "1" {
		t.Errorf("%s where the server says 1", got)
	}
}

// TestFirstOfAFleetKnowsNothing changes things while no proxy runs: what is in L2 was never compared with them.
func TestFirstOfAFleetKnowsNothing(t *testing.T) {
	for what, c := range map[string]struct{ sql, change, want string }{
		"rows":   {"SELECT n::text FROM t", "UPDATE t SET n = 2", "2"},
		"view":   {"SELECT n::text FROM v", "CREATE OR REPLACE VIEW v AS SELECT n + 1 AS n FROM t", "2"},
		"policy": {"SELECT count(*)::text FROM v", "ALTER POLICY p ON t USING (false)", "0"},
	} {
		t.Run(what, func(t *testing.T) {
			role := "watched_" + what // roles are the cluster's
			fleet, server := startFleet(t, 1, true, "CREATE TABLE t AS SELECT 1 AS n", "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
				"CREATE POLICY p ON t USING (true)", "CREATE ROLE "+role+" NOLOGIN", "GRANT SELECT ON t TO "+role,
				"CREATE VIEW v AS SELECT n FROM t", "ALTER VIEW v OWNER TO "+role)
			direct := fleet[0].direct()
			t.Cleanup(func() {
				_, _ = direct.Exec(context.Background(), "DROP OWNED BY "+role)
				_, _ = direct.Exec(context.Background(), "DROP ROLE "+role)
			})
			client := fleet[0].connect(simple)
			before := len(results(t, server))
			if got := value(t, client, c.sql); got != "1" {
				t.Fatal(got)
			}
			eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > before })
			_ = client.Close(context.Background())
			fleet[0].stop(10 * time.Second)
			mustExec(t, direct, c.change)
			next := joinFleet(t, fleet[0].Upstream, server, unchanged)
			if got := value(t, next.connect(simple), c.sql); got != c.want {
				t.Errorf("%s where the server says %s, after %d hits of L2", got, c.want, next.Status().L2.Hits)
			}
		})
	}
}
