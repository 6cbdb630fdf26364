package proxy_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// modes are pgx's ways to execute a query: both protocols, prepared and not, described and not.
var modes = map[string]pgx.QueryExecMode{
	"cache statement": pgx.QueryExecModeCacheStatement,
	"cache describe":  pgx.QueryExecModeCacheDescribe,
	"describe exec":   pgx.QueryExecModeDescribeExec,
	"exec":            pgx.QueryExecModeExec,
	"simple":          pgx.QueryExecModeSimpleProtocol,
}

func TestRepeatedReadIsAnsweredFromMemory(t *testing.T) {
	r := start(t, `CREATE TABLE item (id int PRIMARY KEY, name text)`, `INSERT INTO item VALUES (1,'one'),(2,'two')`)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			c := r.connect()
			const query = `SELECT name FROM item WHERE id = $1`
			if got := value(t, c, query, mode, 1); got != "one" {
				t.Fatalf("got %q", got)
			}
			value(t, c, query, mode, 1)
			before := r.hits()
			for range 3 {
				if got := value(t, c, query, mode, 1); got != "one" {
					t.Fatalf("got %q", got)
				}
			}
			if n := r.hits() - before; n != 3 {
				t.Errorf("%d of 3 reads were hits; %+v", n, r.Status())
			}
			if got := value(t, c, query, mode, 2); got != "two" {
				t.Errorf("another parameter got %q", got)
			}
			other := r.connect()
			before = r.hits()
			if got := value(t, other, query, mode, 1); got != "one" || r.hits() == before {
				t.Errorf("another session got %q, hits %d", got, r.hits()-before)
			}
			mustExec(t, other, `UPDATE item SET name = name || '!' WHERE id = 1`)
			if got := value(t, c, query, mode, 1); got != "one!" {
				t.Errorf("after the write: %q", got)
			}
			mustExec(t, other, `UPDATE item SET name = 'one' WHERE id = 1`)
			if got := value(t, c, query, mode, 1); got != "one" {
				t.Errorf("after the second write: %q", got)
			}
		})
	}
}
