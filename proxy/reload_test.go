package proxy_test

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// twoItems is a table that the search path decides on.
var twoItems = [...]string{"CREATE SCHEMA other", "CREATE TABLE public.item AS SELECT 'public' AS v", "CREATE TABLE other.item AS SELECT 'other' AS v"}

// TestReloadPastIt: what a session read under settings that the configuration files brought, before pgrecall had noticed, does not stay in the
// cache under those of before, where another session that has these would find it.
func TestReloadPastIt(t *testing.T) {
	r := startOn(t, pgtest.Start(t).DSN("postgres"), nil, twoItems[:]...)
	one, two, past := r.connect(simple), r.connect(simple), r.direct()
	const read = "SELECT v FROM item"
	value(t, one, "SELECT v FROM item WHERE true") // its settings are known
	mustExec(t, two, `SET search_path = "$user", public`)
	value(t, two, "SELECT v FROM item WHERE true")
	mustExec(t, past, "ALTER SYSTEM SET search_path = 'other'")
	mustExec(t, past, "SELECT pg_reload_conf()")
	eventually(t, "the new path has reached the session", func() bool { return value(t, one, "SHOW search_path") == "other" })
	if got := value(t, one, read); got != "other" {
		t.Fatal(got)
	}
	probes := r.probes(t)
	eventually(t, "pgrecall has noticed", func() bool {
		value(t, one, read)
		return r.probes(t) > probes
	})
	for range 3 {
		if got := value(t, two, read); got != "public" {
			t.Errorf("a session with search_path %s reads %s.item", value(t, two, "SHOW search_path"), got)
		}
	}
}

// TestReloadWhileAMissWaits: a session that waits for another one's result while a reload is noticed goes to the server afterwards, which
// answers under the new settings. Its key is of the old ones.
func TestReloadWhileAMissWaits(t *testing.T) {
	r := startOn(t, pgtest.Start(t).DSN("postgres"), func(o *proxy.Options) { o.Limits.FlightWait = 20 * time.Second }, twoItems[:]...)
	leader, follower, noticing, two := r.connect(simple), r.connect(simple), r.connect(simple), r.connect(simple)
	past, locker := r.direct(), r.direct()
	const read = "SELECT '', v FROM item"
	for _, c := range []*pgx.Conn{leader, follower} {
		value(t, c, "SELECT v FROM item WHERE true")
	}
	mustExec(t, two, `SET search_path = "$user", public`)
	mustExec(t, locker, "BEGIN")
	mustExec(t, locker, "LOCK TABLE public.item")
	first := ask(leader, read)
	waits(t, past, "1")
	second := ask(follower, read)
	mustExec(t, past, "ALTER SYSTEM SET search_path = 'other'")
	mustExec(t, past, "SELECT pg_reload_conf()")
	for range 2 { // see TestWatcherTellsTwiceOfAReload of package catalog
		probes := r.probes(t)
		eventually(t, "pgrecall has noticed", func() bool {
			value(t, noticing, "SELECT v FROM other.item")
			return r.probes(t) > probes
		})
	}
	mustExec(t, locker, "COMMIT")
	for _, a := range []answer{<-first, <-second} {
		if a.err != nil {
			t.Fatal(a.err)
		}
	}
	for range 3 {
		if a := <-ask(two, read); a.err != nil || a.got != "public" {
			t.Errorf("a session with search_path %s reads %s.item, error %v", value(t, two, "SHOW search_path"), a.got, a.err)
		}
	}
}

// TestReloadPastItInAFleet: the same by way of L2, after both processes have noticed.
func TestReloadPastItInAFleet(t *testing.T) {
	dsn, server := pgtest.Start(t).DSN("postgres"), pgtest.StartRedis(t)
	past := dial(t, dsn)
	for _, sql := range twoItems {
		mustExec(t, past, sql)
	}
	seldom := func(o *proxy.Options) { o.CatalogInterval = 3 * time.Second } // not before the row is in L2
	first, second := joinFleet(t, dsn, server, seldom), joinFleet(t, dsn, server, seldom)
	one := first.connect(simple)
	const read = "SELECT v FROM item"
	value(t, one, "SELECT v FROM item WHERE true")
	before := len(results(t, server))
	mustExec(t, past, "ALTER SYSTEM SET search_path = 'other'")
	mustExec(t, past, "SELECT pg_reload_conf()")
	eventually(t, "the new path has reached the session", func() bool { return value(t, one, "SHOW search_path") == "other" })
	if got := value(t, one, read); got != "other" {
		t.Fatal(got)
	}
	eventually(t, "it is in L2", func() bool { return len(results(t, server)) > before })
	two := second.connect(simple)
	for _, noticing := range []*running{first, second} {
		c := noticing.connect(simple)
		value(t, c, "SELECT v FROM item WHERE 1 = 1")
		probes := noticing.probes(t)
		mustExec(t, past, "SELECT pg_reload_conf()")
		eventually(t, "pgrecall has noticed a reload", func() bool {
			value(t, c, "SELECT v FROM item WHERE 1 = 1")
			return noticing.probes(t) > probes
		})
	}
	mustExec(t, two, `SET search_path = "$user", public`)
	for range 5 {
		if got := value(t, two, read); got != "public" {
			t.Errorf("a session with search_path %s reads %s.item", value(t, two, "SHOW search_path"), got)
		}
	}
}

// TestReloadThroughIt: pg_reload_conf() returns before the postmaster and the backends have read the files. A session whose settings are asked for
// in between keeps those of before, and what it reads must not stay in the cache under them.
func TestReloadThroughIt(t *testing.T) {
	for how, c := range map[string]struct {
		database string
		reload   []string
	}{
		"alone":                 {"postgres", []string{"SELECT pg_reload_conf()"}},
		"rolled back":           {"postgres", []string{"BEGIN", "SELECT pg_reload_conf()", "ROLLBACK"}},
		"from another database": {"template1", []string{"SELECT pg_reload_conf()"}},
	} {
		t.Run(how, func(t *testing.T) {
			dsn := pgtest.Start(t).DSN("postgres")
			r := startOn(t, dsn, func(o *proxy.Options) { o.CatalogInterval = time.Hour }, twoItems[:]...)
			reloadThrough(t, r.connect(simple, "dbname="+c.database), r, c.reload...)
		})
	}
}

// TestReloadThroughAnother: the same through another process of a fleet.
func TestReloadThroughAnother(t *testing.T) {
	dsn, server := pgtest.Start(t).DSN("postgres"), pgtest.StartRedis(t)
	past := dial(t, dsn)
	for _, sql := range twoItems {
		mustExec(t, past, sql)
	}
	never := func(o *proxy.Options) { o.CatalogInterval = time.Hour }
	reloadThrough(t, joinFleet(t, dsn, server, never).connect(simple), joinFleet(t, dsn, server, never), "SELECT pg_reload_conf()")
}

// reloadThrough has the configuration reloaded by the operator, and reads through a process while and after that happens.
func reloadThrough(t *testing.T, operator *pgx.Conn, r *running, reload ...string) {
	t.Helper()
	one, two, past := r.connect(simple), r.connect(simple), r.direct()
	postmaster, err := strconv.Atoi(value(t, past, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
	if err != nil {
		t.Fatal(err)
	}
	const read = "SELECT v FROM item"
	mustExec(t, two, `SET search_path = "$user", public`)
	value(t, two, "SELECT v FROM item WHERE true")
	mustExec(t, past, "ALTER SYSTEM SET search_path = 'other'")
	resume := func() { _ = syscall.Kill(postmaster, syscall.SIGCONT) }
	t.Cleanup(resume)
	if err := syscall.Kill(postmaster, syscall.SIGSTOP); err != nil { // it is slow
		t.Fatal(err)
	}
	for _, sql := range reload {
		mustExec(t, operator, sql)
	}
	probes := r.probes(t)
	value(t, one, "SELECT v FROM item WHERE true")
	if r.probes(t) == probes {
		t.Fatal("the settings were not asked for")
	}
	resume()
	eventually(t, "the new path has reached the session", func() bool { return value(t, one, "SHOW search_path") == "other" })
	check := func() {
		t.Helper()
		if got := value(t, one, read); got != "other" {
			t.Errorf("%s.item with search_path = other", got)
		}
		if got := value(t, two, read); got != "public" {
			t.Errorf("a session with search_path %s reads %s.item", value(t, two, "SHOW search_path"), got)
		}
	}
	eventually(t, "both read from the cache", func() bool {
		before := r.hits()
		check()
		return t.Failed() || r.hits() == before+2
	})
}
