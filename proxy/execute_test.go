package proxy_test

import (
	"testing"
)

// TestExecute: EXECUTE touches what its statement does, and no more.
func TestExecute(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int)", "CREATE TABLE other (id int)",
			"CREATE FUNCTION adds() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'")
		c, reader := r.connect(parameters...), r.connect()
		const ofT, ofOther = "SELECT count(*)::text FROM t", "SELECT count(*)::text FROM other"
		for _, tc := range []struct {
			statements []string
			t, other   bool // whose entries survive
			refused    bool
		}{
			{statements: []string{"PREPARE reads (int) AS SELECT id FROM other WHERE id = $1", "EXECUTE reads(1)"}, t: true, other: true},
			{statements: []string{"EXECUTE reads(2)"}, t: true, other: true},
			{statements: []string{"PREPARE writes (int) AS INSERT INTO t VALUES ($1)", "EXECUTE writes(1)"}, other: true},
			{statements: []string{"BEGIN", "EXECUTE writes(1)", "COMMIT"}, other: true},
			{statements: []string{"BEGIN", "EXECUTE writes(1)", "ROLLBACK"}, t: true, other: true},
			{statements: []string{"PREPARE calls AS SELECT adds()", "EXECUTE calls"}, other: true},
			{statements: []string{"EXECUTE reads(adds())"}},
			// The name of a PREPARE that failed, then one that did not.
			{statements: []string{"PREPARE late AS SELECT id FROM missing", "PREPARE late AS INSERT INTO t VALUES (1)", "EXECUTE late"}, refused: true},
			// A name that stands for another statement than it did.
			{statements: []string{"DEALLOCATE reads", "PREPARE reads (int) AS UPDATE t SET id = $1", "EXECUTE reads(1)"}, other: true},
			{statements: []string{"DEALLOCATE ALL", "PREPARE reads (int) AS DELETE FROM t WHERE id = $1", "EXECUTE reads(1)"}, other: true},
			{statements: []string{"PREPARE reads (int) AS SELECT 1", "EXECUTE reads(1)"}, refused: true},
			{statements: []string{"DISCARD ALL", "PREPARE one AS INSERT INTO t VALUES (1)", "EXPLAIN ANALYZE EXECUTE one"}},
			{statements: []string{"PREPARE two AS SELECT adds()", "CREATE TEMP TABLE copied AS EXECUTE two"}},
		} {
			r.waitReady()
			for _, read := range []string{ofT, ofOther} {
				value(t, reader, read)
				value(t, reader, read)
			}
			failed := false
			for _, sql := range tc.statements {
				_, err := c.Exec(bounded(t), sql)
				failed = failed || err != nil
			}
			if failed != tc.refused {
				t.Errorf("%q: failed %v", tc.statements, failed)
			}
			hits := r.hits()
			got := value(t, reader, ofT)
			if want := value(t, r.direct(), ofT); got != want {
				t.Errorf("%q: %s, want %s", tc.statements, got, want)
			}
			ofTHit := r.hits() > hits
			hits = r.hits()
			value(t, reader, ofOther)
			if otherHit := r.hits() > hits; ofTHit != tc.t || otherHit != tc.other {
				t.Errorf("%q: hits of t %v, of the other table %v; want %v, %v", tc.statements, ofTHit, otherHit, tc.t, tc.other)
			}
		}
	})
}
