package proxy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/proxy"
)

const itemSchema = `
CREATE TABLE item (id int PRIMARY KEY, name text, n int NOT NULL DEFAULT 0);
CREATE TABLE part (id int PRIMARY KEY, item int REFERENCES item ON DELETE CASCADE ON UPDATE CASCADE, name text);
CREATE TABLE audit (id serial, what text);
CREATE TABLE watched (id int PRIMARY KEY, name text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES ('sneak'); RETURN 1; END $$;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES ('proc'); END $$;
CREATE VIEW short AS SELECT id, name FROM item WHERE id < 100;
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM item;
CREATE TABLE part_root (id int, name text) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part_root FOR VALUES FROM (0) TO (100);
CREATE TABLE part_high PARTITION OF part_root FOR VALUES FROM (100) TO (200);
INSERT INTO item (id, name) VALUES (1,'one'),(2,'two'),(3,'three');
INSERT INTO part VALUES (10,1,'wheel'),(20,2,'door');
INSERT INTO watched VALUES (1,'w');
INSERT INTO part_root VALUES (1,'low'),(101,'high');
REFRESH MATERIALIZED VIEW total;
`

// reads are what may be cached, by relation.
var reads = []string{
	`SELECT id, name, n FROM item ORDER BY id`,
	`SELECT id, item, name FROM part ORDER BY id`,
	`SELECT what FROM audit ORDER BY id`,
	`SELECT id, name FROM watched ORDER BY id`,
	`SELECT id, name FROM short ORDER BY id`,
	`SELECT n FROM total`,
	`SELECT id, name FROM part_root ORDER BY id`,
	`SELECT id, name FROM part_low ORDER BY id`,
	`SELECT i.name, p.name FROM item i JOIN part p ON p.item = i.id ORDER BY 1, 2`,
}

// writes change rows in every way that a write can.
var writes = []string{
	`INSERT INTO item (id, name) VALUES (4, 'four')`,
	`INSERT INTO item (id, name) VALUES (4, 'vier') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name`,
	`UPDATE item SET name = 'uno' WHERE id = 1`,
	`UPDATE item SET id = 11 WHERE id = 1`,
	`DELETE FROM item WHERE id = 2`,
	`WITH gone AS (DELETE FROM part WHERE id = 10 RETURNING *) SELECT count(*) FROM gone`,
	`WITH moved AS (UPDATE item SET n = n + 1 RETURNING id) INSERT INTO part SELECT id + 100, id, 'auto' FROM moved`,
	`MERGE INTO item USING (VALUES (3), (5)) v(id) ON item.id = v.id WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, 'new')`,
	`EXPLAIN ANALYZE UPDATE item SET n = n + 10`,
	`EXPLAIN (ANALYZE, TIMING OFF) INSERT INTO item (id, name) VALUES (6, 'six')`,
	`INSERT INTO watched VALUES (2, 'trigger')`,
	`UPDATE watched SET name = 'again'`,
	`SELECT sneak()`,
	`SELECT sneak() FROM item`,
	`CALL proc()`,
	`DO $$ BEGIN UPDATE item SET name = 'done' WHERE id = 3; END $$`,
	`UPDATE short SET name = 'through the view' WHERE id = 3`,
	`REFRESH MATERIALIZED VIEW total`,
	`UPDATE part_low SET name = 'lower'`,
	`INSERT INTO part_root VALUES (2, 'second'), (102, 'third')`,
	`UPDATE part_root SET id = id + 99 WHERE id = 2`,
	`BEGIN; UPDATE item SET name = 'in a block'; COMMIT`,
	`UPDATE item SET n = 77; SELECT 1`,
	`SELECT 1; UPDATE item SET n = 78`,
	`TRUNCATE part_low`,
	`TRUNCATE item CASCADE`,
	`ALTER TABLE item ADD COLUMN extra int DEFAULT 5`,
	`ALTER TABLE item DROP COLUMN extra`,
	`CREATE OR REPLACE VIEW short AS SELECT id, name FROM item WHERE id < 2`,
	`DROP TABLE part_high`,
}

func TestEveryWriteIsSeen(t *testing.T) {
	for _, protocol := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		t.Run(protocol.String(), func(t *testing.T) {
			r := start(t, itemSchema)
			writer, direct := r.connect(), r.direct()
			readers := map[string]*pgx.Conn{"simple": r.connect(), "exec": r.connect()}
			for _, write := range writes {
				if protocol != pgx.QueryExecModeSimpleProtocol && (write[0:5] == "BEGIN" || write == writes[22] || write == writes[23]) {
					continue // several statements
				}
				eventually(t, "reads hit before "+write, func() bool {
					t.Logf("%+v", r.Status())
					before := r.hits()
					for _, query := range reads {
						value(t, readers["simple"], query, pgx.QueryExecModeSimpleProtocol)
						value(t, readers["exec"], query, pgx.QueryExecModeExec)
					}
					return r.hits()-before == int64(2*len(reads))
				})
				mustExec(t, writer, write, protocol)
				for _, query := range reads {
					want := value(t, direct, query, pgx.QueryExecModeSimpleProtocol)
					if got := value(t, readers["simple"], query, pgx.QueryExecModeSimpleProtocol); got != want {
						t.Errorf("after %s\n%s\n got %s\nwant %s", write, query, got, want)
					}
					wantExec := value(t, direct, query, pgx.QueryExecModeExec)
					if got := value(t, readers["exec"], query, pgx.QueryExecModeExec); got != wantExec {
						t.Errorf("after %s (extended)\n%s\n got %s\nwant %s", write, query, got, wantExec)
					}
				}
			}
		})
	}
}

func TestBlocks(t *testing.T) {
	r := start(t, itemSchema)
	const query = `SELECT name FROM item WHERE id = 1`
	a, b := r.connect(), r.connect()
	warm := func() {
		t.Helper()
		eventually(t, "the read is a hit", func() bool {
			before := r.hits()
			value(t, b, query)
			return r.hits() > before
		})
	}
	expect := func(c *pgx.Conn, want string) {
		t.Helper()
		if got := value(t, c, query); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	warm()
	mustExec(t, a, `BEGIN`)
	before := r.hits()
	expect(a, "one")
	if r.hits() == before {
		t.Error("a read in a READ COMMITTED block that has only read was not a hit")
	}
	mustExec(t, a, `UPDATE item SET name = 'A' WHERE id = 1`)
	expect(a, "A")
	before = r.hits()
	expect(b, "one")
	if r.hits() == before {
		t.Error("an uncommitted write took the cached answer away from others")
	}
	mustExec(t, a, `COMMIT`)
	expect(b, "A")
	warm()
	mustExec(t, a, `BEGIN`)
	mustExec(t, a, `UPDATE item SET name = 'B' WHERE id = 1`)
	mustExec(t, a, `ROLLBACK`)
	before = r.hits()
	expect(b, "A")
	if r.hits() == before {
		t.Error("a rolled back write invalidated")
	}
	expect(a, "A")
	mustExec(t, a, `BEGIN`)
	mustExec(t, a, `SAVEPOINT s`)
	mustExec(t, a, `UPDATE item SET name = 'C' WHERE id = 1`)
	mustExec(t, a, `ROLLBACK TO s`)
	mustExec(t, a, `UPDATE item SET name = name || '2' WHERE id = 1`)
	mustExec(t, a, `COMMIT AND CHAIN`)
	expect(b, "A2")
	expect(a, "A2")
	mustExec(t, a, `UPDATE item SET name = 'D' WHERE id = 1`)
	mustExec(t, a, `END`)
	expect(b, "D")

	// Old snapshots neither answer nor fill.
	for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
		warm()
		mustExec(t, a, `BEGIN ISOLATION LEVEL `+level)
		expect(a, value(t, r.direct(), query))
		mustExec(t, b, `UPDATE item SET name = 'E' || name WHERE id = 1`)
		before = r.hits()
		old := value(t, a, query)
		if r.hits() != before {
			t.Errorf("%s: a hit", level)
		}
		if now := value(t, b, query); now == old || now != value(t, r.direct(), query) {
			t.Errorf("%s: %q, the old snapshot's is %q", level, now, old)
		}
		mustExec(t, a, `COMMIT`)
		expect(b, value(t, r.direct(), query))
	}
	old := r.connect() // has prepared nothing under other settings
	mustExec(t, old, `SET default_transaction_isolation = 'repeatable read'`)
	warm()
	before = r.hits()
	for _, text := range []string{`BEGIN`, `COMMIT`} {
		mustExec(t, old, text)
		for range 2 {
			value(t, old, query)
			value(t, old, query, pgx.QueryExecModeSimpleProtocol)
		}
	}
	if r.hits() != before {
		t.Error("a hit under default_transaction_isolation = repeatable read")
	}
}

// Every write that a client has seen acknowledged must be seen by every read that starts afterwards: writers count rows up, and
// readers check that no answer is older than the highest count acknowledged before they asked.
func TestNoReadIsOlderThanAnAcknowledgedWrite(t *testing.T) {
	const rows, clients = 4, 4
	r := startOn(t, start(t).Upstream, func(o *proxy.Options) { o.Limits.FlightWait = 50 * time.Millisecond },
		`CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL)`, `INSERT INTO counter SELECT g, 0 FROM generate_series(0, 3) g`)
	var acknowledged [rows]atomic.Int64
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for w := range rows { // one writer for each row, so that its values grow in the order of the acknowledgements
		c := r.connect()
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for n := int64(1); ctx.Err() == nil; n++ {
				mode := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}[rnd.IntN(3)]
				block := rnd.IntN(3) == 0
				if block {
					mustExec(t, c, `BEGIN`, mode)
				}
				mustExec(t, c, `UPDATE counter SET n = $2 WHERE id = $1`, mode, w, n)
				if block {
					mustExec(t, c, `COMMIT`, mode)
				}
				acknowledged[w].Store(n)
			}
		})
	}
	var total, stale atomic.Int64
	for i := range clients {
		c := r.connect()
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(2, uint64(i)))
			for ctx.Err() == nil {
				mode := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}[rnd.IntN(3)]
				id := rnd.IntN(rows)
				least := acknowledged[id].Load()
				got, err := strconv.ParseInt(value(t, c, fmt.Sprintf(`SELECT n::text FROM counter WHERE id = %d`, id), mode), 10, 64)
				total.Add(1)
				if err != nil || got < least {
					stale.Add(1)
					t.Errorf("row %d: read %d after %d was acknowledged (%v)", id, got, least, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d reads, %d stale, %+v", total.Load(), stale.Load(), r.Status().Outcomes)
}

// TestErrorsInvalidateNothing: what an error has undone is as it was. What is not undone by it is not.
func TestErrorsInvalidateNothing(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)",
			"CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (2); COMMIT; PERFORM 1/0; END'")
		c, other := r.connect(parameters...), r.connect(parameters...)
		count := func() string { return value(t, other, "SELECT count(*)::text FROM t") }
		count()
		hits := r.hits()
		for range 3 {
			for _, sql := range []string{"SELECT * FROM nowhere", "INSERT INTO t VALUES (1)", "DELETE FROM nowhere", "UPDATE t SET id = 1/(id-1)"} {
				if _, err := c.Exec(bounded(t), sql); err == nil {
					t.Fatalf("%s: no error", sql)
				}
			}
			if got := count(); got != "1" {
				t.Fatal(got)
			}
		}
		if r.hits()-hits != 3 {
			t.Errorf("%d hits, want 3: errors have invalidated", r.hits()-hits)
		}
		if _, err := c.Exec(bounded(t), "CALL commits()"); err == nil {
			t.Fatal("no error")
		}
		if got := count(); got != "2" {
			t.Errorf("%s rows after a procedure that committed and failed", got)
		}
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "INSERT INTO t VALUES (3)")
		mustExec(t, c, "SAVEPOINT a")
		_, _ = c.Exec(bounded(t), "INSERT INTO t VALUES (3)")
		mustExec(t, c, "ROLLBACK TO a")
		mustExec(t, c, "COMMIT")
		if got := count(); got != "3" {
			t.Errorf("%s rows after an error that a savepoint undid", got)
		}
	})
}

// TestOtherStringsInvalidateWhatTheyTouch: a session whose texts could be read otherwise is not taken for one that may do anything, where
// the text leaves no doubt.
func TestOtherStringsInvalidateWhatTheyTouch(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int, s text)", "CREATE TABLE other (id int)", "INSERT INTO t VALUES (1)", "INSERT INTO other VALUES (1)")
	c, reader := r.connect("default_query_exec_mode=exec"), r.connect("default_query_exec_mode=exec")
	for _, setting := range []string{"SET standard_conforming_strings = off", "SET client_encoding = 'SJIS'"} {
		mustExec(t, c, setting)
		eventually(t, "hits", func() bool {
			before := r.hits()
			value(t, reader, "SELECT count(*) FROM other")
			return r.hits() > before
		})
		hits := r.hits()
		mustExec(t, c, "UPDATE t SET id = id + 1")
		value(t, reader, "SELECT count(*) FROM other")
		if r.hits() != hits+1 {
			t.Errorf("%s: a write to another table has invalidated", setting)
		}
		want := value(t, r.direct(), "SELECT id::text FROM t")
		if got := value(t, reader, "SELECT id::text FROM t"); got != want {
			t.Errorf("%s: %s, want %s", setting, got, want)
		}
		mustExec(t, c, `UPDATE t SET s = 'a\\b'`)
		value(t, reader, "SELECT count(*) FROM other")
		mustExec(t, c, "RESET ALL")
	}
}

// TestTemporaryViewShadowsInABlock: a write to a name that a temporary view shadows goes where the view's does, also while the
// session's settings are not known.
func TestTemporaryViewShadowsInABlock(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE target (id int)", "INSERT INTO target VALUES (1)", "CREATE TABLE shadowed (id int)",
			"CREATE FUNCTION fills() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE target SET id = id + 1; RETURN NEW; END'")
		reader := r.connect(parameters...)
		for _, block := range [][]string{
			{"CREATE TEMP VIEW shadowed AS SELECT id FROM target", "UPDATE shadowed SET id = id + 1"},
			{"CREATE TEMP TABLE shadowed (id int)", "CREATE TRIGGER fills BEFORE INSERT ON shadowed FOR EACH ROW EXECUTE FUNCTION fills()", "INSERT INTO shadowed VALUES (1)"},
		} {
			c := r.connect(parameters...)
			mustExec(t, c, "BEGIN")
			for i, statement := range block {
				if i == len(block)-1 {
					mustExec(t, c, "COMMIT")
					r.waitReady()
					mustExec(t, c, "BEGIN")
					mustExec(t, c, "SET LOCAL DateStyle = 'German'") // the settings are not known any more
					value(t, reader, "SELECT id::text FROM target")
				}
				mustExec(t, c, statement)
			}
			mustExec(t, c, "COMMIT")
			if got, want := value(t, reader, "SELECT id::text FROM target"), value(t, r.direct(), "SELECT id::text FROM target"); got != want {
				t.Errorf("%q: %s, want %s", block, got, want)
			}
		}
	})
}

// TestTemporaryViewThatIsGone: a session that once had one is like any other when the server shows that it has none any more.
func TestTemporaryViewThatIsGone(t *testing.T) {
	const read = "SELECT count(*)::text FROM target"
	r := start(t, "CREATE TABLE target (id int)", "CREATE TABLE other (id int)")
	reader := r.connect()
	reads := func(c *pgx.Conn) { // where the session's settings are not known
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "SET LOCAL DateStyle = 'German'")
		value(t, c, "SELECT count(*)::text FROM other")
		mustExec(t, c, "COMMIT")
	}
	for _, tc := range []struct {
		how   []string
		clean bool
	}{
		{[]string{"DROP VIEW loud"}, true},
		{[]string{"DISCARD ALL"}, true},
		{[]string{"DISCARD TEMP"}, true},
		{[]string{"BEGIN", "DROP VIEW loud", "SELECT count(*)::text FROM other", "ROLLBACK"}, false},
		{nil, false},
	} {
		c := r.connect("default_query_exec_mode=simple_protocol")
		mustExec(t, c, "CREATE TEMP VIEW loud AS SELECT id FROM target")
		for _, sql := range tc.how {
			mustExec(t, c, sql)
		}
		r.waitReady()
		value(t, c, read)
		value(t, reader, read)
		hits := r.hits()
		value(t, reader, read)
		if r.hits() != hits+1 {
			t.Fatalf("%q: no hit before", tc.how)
		}
		reads(c)
		value(t, reader, read)
		if clean := r.hits() == hits+2; clean != tc.clean {
			t.Errorf("after %q another session's entry survives: %v, want %v", tc.how, clean, tc.clean)
		}
		r.waitReady()
	}
}
