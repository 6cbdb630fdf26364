package proxy_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// gated is a table with a function that makes a cacheable read wait inside of its snapshot, for as long as the gate is closed.
var gated = []string{
	"CREATE TABLE item (id int PRIMARY KEY, n int)", "INSERT INTO item VALUES (1, 1)",
	"CREATE FUNCTION gate(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN $1; END'",
}

const (
	gatedRead = "SELECT gate(id), n FROM item"
	waiting   = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)

// waits waits until n of the database's backends wait for locks.
func waits(t *testing.T, past *pgx.Conn, n string) {
	t.Helper()
	eventually(t, n+" backends wait for a lock", func() bool { return value(t, past, waiting, pgx.QueryExecModeSimpleProtocol) == n })
}

// answer is what a query in the background returned.
type answer struct {
	got string
	err error
}

// ask sends a query of one row whose answer comes later.
func ask(c *pgx.Conn, sql string) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		var a answer
		var first string
		a.err = c.QueryRow(context.Background(), sql).Scan(&first, &a.got)
		answers <- a
	}()
	return answers
}

// TestReadThatAWriteOvertakes: a read that began before a write ends after it. Its answer is right for itself, and for nobody who asks after.
func TestReadThatAWriteOvertakes(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, gated...)
		reader, writer, past := r.connect(parameters...), r.connect(parameters...), r.direct()
		value(t, reader, "SELECT n FROM item") // settings are known from here on
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		old := ask(reader, gatedRead)
		waits(t, past, "1")
		mustExec(t, writer, "UPDATE item SET n = 2")
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		if a := <-old; a.err != nil || a.got != "1" {
			t.Fatalf("%q, %v: the read was not under way when the write came", a.got, a.err)
		}
		for range 3 {
			if got := value(t, reader, "SELECT n::text FROM ("+gatedRead+") x"); got != "2" {
				t.Fatalf("another text: %s", got)
			}
			if a := <-ask(writer, gatedRead); a.err != nil || a.got != "2" {
				t.Errorf("%q, %v after the write was acknowledged", a.got, a.err)
			}
		}
		if r.hits() == 0 {
			t.Errorf("no hits; bypasses %v", r.Status().Bypasses)
		}
	})
}

// TestReadsDuringAWriteAreNotKept: while a write is under way it may be visible at any moment.
func TestReadsDuringAWriteAreNotKept(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE item (id int PRIMARY KEY, n int)", "INSERT INTO item VALUES (1, 1)", "CREATE TABLE other AS SELECT 1 AS id")
		reader, writer, past := r.connect(parameters...), r.connect(parameters...), r.direct()
		const cached, fresh = "SELECT n::text FROM item", "SELECT n::text, id::text FROM item"
		value(t, reader, cached)
		if r.counts(reader, 2, cached) != 2 {
			t.Fatal("the read is not cached")
		}
		mustExec(t, past, "BEGIN")
		mustExec(t, past, "SELECT FROM item FOR UPDATE")
		done := ask(writer, "UPDATE item SET n = 2 RETURNING id::text, n::text")
		waits(t, past, "1")
		if n := r.counts(reader, 3, cached) + r.counts(reader, 3, fresh); n != 0 {
			t.Errorf("%d hits while a write is under way", n)
		}
		value(t, reader, "SELECT id FROM other")
		if n := r.counts(reader, 2, "SELECT id FROM other"); n != 2 {
			t.Errorf("%d hits of another table, want 2", n)
		}
		mustExec(t, past, "COMMIT")
		if a := <-done; a.err != nil {
			t.Fatal(a.err)
		}
		for _, sql := range []string{cached, fresh} {
			if got, want := value(t, reader, sql), value(t, past, sql); got != want {
				t.Errorf("%s: %q, want %q", sql, got, want)
			}
		}
	})
}

func TestBlockBegunAndWrittenToInOneText(t *testing.T) {
	r := start(t, itemSchema)
	writer, reader := r.connect(), r.connect()
	value(t, reader, itemName)
	mustExec(t, writer, "BEGIN; UPDATE item SET name = 'new' WHERE id = 1", pgx.QueryExecModeSimpleProtocol)
	for range 3 {
		if got := value(t, reader, itemName); got != "one" {
			t.Fatalf("%q before COMMIT", got)
		}
	}
	mustExec(t, writer, "COMMIT")
	for range 3 {
		if got := value(t, reader, itemName); got != "new" {
			t.Errorf("%q after COMMIT", got)
		}
	}
}

// TestDefinitionThatChangesUnderAWrite: what a write touches is known by the definitions of the moment when it was forwarded. Its trigger
// may do something else when it fires.
func TestDefinitionThatChangesUnderAWrite(t *testing.T) {
	r := start(t, `CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item VALUES (1, 1); CREATE TABLE first (n int); CREATE TABLE second (n int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO first VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION note();`)
	reader, writer, past := r.connect(), r.connect(), r.direct()
	mustExec(t, past, "BEGIN")
	mustExec(t, past, "SELECT FROM item FOR UPDATE")
	done := ask(writer, "UPDATE item SET n = 2 RETURNING id::text, n::text")
	waits(t, past, "1")
	mustExec(t, reader, "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO second VALUES (1); RETURN NULL; END $$")
	const read = "SELECT count(*)::text FROM second"
	for range 3 { // it would be cached if that were right
		if got := value(t, reader, read); got != "0" {
			t.Fatalf("%s rows before the write", got)
		}
	}
	mustExec(t, past, "COMMIT")
	if a := <-done; a.err != nil {
		t.Fatal(a.err)
	}
	if got := value(t, reader, read); got != value(t, past, read) {
		t.Errorf("%s rows, the server has %s", got, value(t, past, read))
	}
}
