package proxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestWritesThatOverlapADefinition: a write that begins while definitions change touches everything, but not the writes that begin while it
// runs, and so on for ever.
func TestWritesThatOverlapADefinition(t *testing.T) {
	r := start(t, `CREATE TABLE a AS SELECT 1 AS id`, `CREATE TABLE b AS SELECT 1 AS id`, `CREATE TABLE c AS SELECT 1 AS id`, `CREATE TABLE d AS SELECT 1 AS id`)
	boss := r.direct()
	lock := func(sql string) (release func()) {
		c := r.direct()
		mustExec(t, c, "BEGIN")
		mustExec(t, c, sql, pgx.QueryExecModeSimpleProtocol)
		return func() { mustExec(t, c, "ROLLBACK") }
	}
	begin := func(sql string) (end func()) {
		c := r.session()
		c.send(frame('Q', sql))
		eventually(t, sql+" waits", func() bool {
			return value(t, boss, `SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1`, sql) == "1"
		})
		return func() { c.untilReady() }
	}
	freeC, freeA, freeB := lock(`LOCK TABLE c`), lock(`SELECT FROM a FOR UPDATE`), lock(`SELECT FROM b FOR UPDATE`)
	defined := begin(`ALTER TABLE c ADD name text`)
	first := begin(`UPDATE a SET id = 2`)
	freeC()
	defined()
	r.waitReady()
	second := begin(`UPDATE b SET id = 2`)
	freeA()
	first()
	reader := r.connect()
	eventually(t, "reads of what nobody writes are cached", func() bool {
		before := r.hits()
		value(t, reader, `SELECT id::text FROM d`)
		return r.hits() > before
	})
	freeB()
	second()
	for table, want := range map[string]string{"a": "2", "b": "2", "d": "1"} {
		if got := value(t, reader, `SELECT id::text FROM `+table); got != want {
			t.Errorf("%s: %s", table, got)
		}
	}
}
