package proxy_test

import (
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

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

// TestFunctionThatBeginsToWrite: a statement is judged by the definitions of now, however often it was judged before.
func TestFunctionThatBeginsToWrite(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.CatalogInterval = time.Hour },
			"CREATE TABLE log (n int)", "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'")
		c, reader := r.connect(parameters...), r.connect(parameters...)
		const call, read = "SELECT f()::text", "SELECT count(*)::text FROM log"
		hits := func() bool {
			before := r.hits()
			value(t, reader, read)
			return r.hits() > before
		}
		eventually(t, "the read is a hit", hits)
		value(t, c, call)
		if value(t, c, call); !hits() {
			t.Fatal("the function was taken for one that writes from the start")
		}
		mustExec(t, reader, "CREATE OR REPLACE FUNCTION f() RETURNS int VOLATILE LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING n'")
		r.waitReady()
		eventually(t, "the read is a hit again", hits)
		value(t, c, call)
		if got := value(t, reader, read); got != "1" {
			t.Errorf("%s rows after the function has written one", got)
		}
	})
}

// TestReadyWithoutACatalogThatAClientAskedFor: one database that pgrecall's account may not see into keeps nobody from the others.
func TestReadyWithoutACatalogThatAClientAskedFor(t *testing.T) {
	server := pgtest.Start(t)
	for _, sql := range []string{"CREATE ROLE blind LOGIN", "CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM public"} {
		if err := server.Exec(t.Context(), "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	r := startOn(t, server.DSN("postgres"), func(o *proxy.Options) { o.Upstream.User = "blind" })
	c := r.connect("dbname=closed")
	if got := value(t, c, "SELECT current_database()::text"); got != "closed" {
		t.Fatal(got)
	}
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	r.Watch("closed")
	if r.Ready() == nil {
		t.Error("ready without a catalog that was asked for at the start")
	}
}
