package proxy_test

import "testing"

// A pool prepares its statements once, perhaps while the catalog is being loaded.
func TestPreparedWhileTheCatalogIsLoaded(t *testing.T) {
	const query = `SELECT name FROM item WHERE id = $1`
	r := start(t, `CREATE TABLE item (id int PRIMARY KEY, name text)`, `INSERT INTO item VALUES (1, 'one')`)
	c, locked := r.connect(), r.direct()
	mustExec(t, locked, `BEGIN`)
	mustExec(t, locked, `LOCK TABLE pg_catalog.pg_rewrite IN ACCESS EXCLUSIVE MODE`) // keeps pgrecall from reading the catalog
	mustExec(t, r.connect(), `CREATE TYPE mood AS ENUM ('sad')`)
	if r.Ready() == nil {
		t.Fatal("the catalog is still valid after a definition has changed")
	}
	if got := value(t, c, query, 1); got != "one" { // prepares it
		t.Fatalf("got %q", got)
	}
	mustExec(t, locked, `COMMIT`)
	r.waitReady()
	value(t, c, query, 1)
	before := r.hits()
	if got := value(t, c, query, 1); got != "one" || r.hits() == before {
		t.Errorf("got %q, %d hits: %+v", got, r.hits()-before, r.Status().Bypasses)
	}
}
