package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// stored waits until there is a result in L2 that was not there before.
func stored(t *testing.T, server *pgtest.Redis, before map[string]string) (name string) {
	t.Helper()
	eventually(t, "the result is in L2", func() bool {
		for name = range results(t, server) {
			if _, old := before[name]; !old {
				return true
			}
		}
		return false
	})
	return name
}

// TestResultOfANewerDefinitionIsNotJudgedByAnOlderPlan: a view is redefined while a session waits for another process's result.
func TestResultOfANewerDefinitionIsNotJudgedByAnOlderPlan(t *testing.T) {
	patience := []time.Duration{time.Millisecond, time.Minute} // the first one waits for nobody's lease
	fleet, server := startFleetWith(t, 2, true, func(o *proxy.Options) { o.Limits.FlightWait, patience = patience[0], patience[1:] },
		"CREATE TABLE t1 AS SELECT 1 AS n", "CREATE TABLE t2 AS SELECT 2 AS n", "CREATE VIEW v AS SELECT n FROM t1")
	one, two := fleet[0].connect(simple), fleet[1].connect(simple)
	const sql = "SELECT 'v', n::text FROM v"
	before := results(t, server)
	value(t, one, sql)
	name := stored(t, server, before)
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = client.Close() }()
	value(t, two, "SELECT count(*) FROM t1")                                 // settings are known from here on
	if err := client.Rename(t.Context(), name, name+"~").Err(); err != nil { // somebody has the lease
		t.Fatal(err)
	}
	waiting := ask(two, sql)
	eventually(t, "it waits for the lease", func() bool { return fleet[1].Status().L2.Waits > 0 })

	seen := []float64{fleet[0].sum(t, "pgrecall_invalidations_total"), fleet[1].sum(t, "pgrecall_invalidations_total")}
	mustExec(t, fleet[0].direct(), "CREATE OR REPLACE VIEW v AS SELECT n FROM t2")
	for i, r := range fleet {
		eventually(t, "it has seen the new view", func() bool { return r.sum(t, "pgrecall_invalidations_total") > seen[i] })
	}
	var got answer
	eventually(t, "the first process fills what the second waits for", func() bool {
		if now := value(t, one, sql); now != "v|2" {
			t.Fatal(now)
		}
		select {
		case got = <-waiting:
			return true
		default:
			return false
		}
	})
	if got.got != "2" {
		t.Fatalf("%q, %v", got.got, got.err)
	}
	mustExec(t, one, "UPDATE t2 SET n = 3")
	if got := value(t, two, sql); got != "v|3" {
		t.Errorf("%s after an acknowledged write of 3", got)
	}
}

// TestWriteThatADefinitionWidenedIsInTheLog: a write that waits fires a trigger that was made after it was sent.
func TestWriteThatADefinitionWidenedIsInTheLog(t *testing.T) {
	fleet, _ := startFleet(t, 2, true, "CREATE TABLE t1 (n int)", "CREATE TABLE t2 AS SELECT 0 AS n",
		`CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		   PERFORM pg_advisory_xact_lock(7); UPDATE t2 SET n = n + 1; RETURN NULL; END $$`)
	gate := fleet[0].direct()
	mustExec(t, gate, "SELECT pg_advisory_lock(7)")
	writer, definer, reader := fleet[0].connect(simple), fleet[1].connect(simple), fleet[1].connect(simple)
	value(t, writer, "SELECT count(*) FROM t1") // settings are known from here on
	value(t, definer, "SELECT count(*) FROM t1")
	mustExec(t, definer, "BEGIN")
	mustExec(t, definer, "LOCK TABLE t1 IN ACCESS EXCLUSIVE MODE")
	mustExec(t, definer, "CREATE TRIGGER fired AFTER INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION fired()")
	wrote := make(chan error, 1)
	go func() {
		_, err := writer.Exec(context.Background(), "INSERT INTO t1 VALUES (1)")
		wrote <- err
	}()
	waits(t, gate, "1")
	mustExec(t, definer, "COMMIT")
	waits(t, gate, "1")
	const sql = "SELECT n::text FROM t2"
	for range 3 { // it would be cached, here and in L2, if that were right
		if got := value(t, reader, sql); got != "0" {
			t.Fatal(got)
		}
	}
	mustExec(t, gate, "SELECT pg_advisory_unlock(7)")
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	for i, c := range []*pgx.Conn{reader, fleet[0].connect(simple)} {
		if got := value(t, c, sql); got != "1" {
			t.Errorf("reader %d: %s after an acknowledged write of 1; L2: %d hits", i, got, fleet[1-i].Status().L2.Hits)
		}
	}
}

// TestChangedDefinitionsThatNobodySaw: definitions and rights changed while no process was there to see it.
func TestChangedDefinitionsThatNobodySaw(t *testing.T) {
	for what, change := range map[string]struct{ statement, want string }{
		"policy": {"ALTER POLICY p ON t USING (false)", ""},
		"view":   {"CREATE OR REPLACE VIEW v AS SELECT n + 1 AS n FROM t", "2"},
	} {
		t.Run(what, func(t *testing.T) {
			fleet, server := startFleet(t, 1, true, "CREATE TABLE t AS SELECT 1 AS n", "CREATE VIEW v AS SELECT n FROM t",
				"ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE t FORCE ROW LEVEL SECURITY", "CREATE POLICY p ON t USING (true)")
			sql := "SELECT n::text FROM t"
			if what == "view" {
				sql = "SELECT n::text FROM v"
			}
			role := ""
			if what == "policy" {
				direct := fleet[0].direct()
				mustExec(t, direct, "DROP ROLE IF EXISTS shared_reader")
				mustExec(t, direct, "CREATE ROLE shared_reader LOGIN")
				mustExec(t, direct, "GRANT SELECT ON t TO shared_reader")
				t.Cleanup(func() {
					_, _ = direct.Exec(context.Background(), "REVOKE ALL ON t FROM shared_reader")
					_, _ = direct.Exec(context.Background(), "DROP ROLE shared_reader")
				})
				role = " user=shared_reader"
			}
			c := fleet[0].connect(simple, role)
			before := results(t, server)
			if got := value(t, c, sql); got != "1" {
				t.Fatal(got)
			}
			stored(t, server, before)
			_ = c.Close(context.Background())
			direct := fleet[0].direct()
			fleet[0].stop(10 * time.Second)
			mustExec(t, direct, change.statement)
			again := joinFleet(t, fleet[0].Upstream, server, unchanged)
			if got := value(t, again.connect(simple, role), sql); got != change.want {
				t.Errorf("%q, want %q; L2: %d hits", got, change.want, again.Status().L2.Hits)
			}
		})
	}
}

// TestNewProcessAfterACrash: a process that did not know the server before it crashed finds results of before in L2, and nobody has noticed the
// crash: nobody was connected.
func TestNewProcessAfterACrash(t *testing.T) {
	pg, redis := pgtest.Start(t), pgtest.StartRedis(t)
	rare := func(o *proxy.Options) { o.CatalogInterval = time.Hour }
	dsn := pg.NewDatabase(t)
	mustExec(t, dial(t, dsn), "CREATE UNLOGGED TABLE u AS SELECT 1 AS n")
	one := joinFleet(t, dsn, redis, rare)
	const sql = "SELECT count(*)::text FROM u"
	before := results(t, redis)
	c := one.connect(simple)
	if got := value(t, c, sql); got != "1" {
		t.Fatal(got)
	}
	stored(t, redis, before)
	_ = c.Close(context.Background())
	eventually(t, "nobody is connected", func() bool { return one.Status().Upstreams == 0 })
	must(t, pg.Kill(bounded(t)))
	must(t, pg.Restart(bounded(t)))
	two := joinFleet(t, dsn, redis, rare)
	if got := value(t, two.connect(simple), sql); got != "0" {
		t.Errorf("%s rows in an unlogged table after a crash; L2: %d hits", got, two.Status().L2.Hits)
	}
}

// sum returns the sum of a counter over its labels.
func (r *running) sum(t *testing.T, name string) (n float64) {
	t.Helper()
	families, err := r.Registerer.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
