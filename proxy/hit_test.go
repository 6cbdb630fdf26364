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

// TestFormatsOfParametersArePartOfTheKey: the same bytes are one number as text and another in binary.
func TestFormatsOfParametersArePartOfTheKey(t *testing.T) {
	r := start(t, "CREATE TABLE n (id int PRIMARY KEY, v text)", "INSERT INTO n VALUES (1234, 'text'), (825373492, 'binary')")
	c := r.session()
	for range 3 {
		for format, want := range []string{"text", "binary"} {
			c.send(join(frame('P', "", "SELECT v FROM n WHERE id = $1", int16(0)),
				frame('B', "", "", int16(1), int16(format), int16(1), int32(4), []byte("1234"), int16(0)), frame('E', "", int32(0)), frame('S')))
			if got := column(c.untilReady()); len(got) != 1 || got[0] != want {
				t.Errorf("format %d: %q, want %s", format, got, want)
			}
		}
	}
	if r.hits() == 0 {
		t.Error("no hits")
	}
}
