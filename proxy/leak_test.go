package proxy_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestMain demands that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // whatever the number of processors: tests of fleets mostly wait
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/pgrecall/pgrecall/internal/pgtest.(*process).run"))
}

func TestNothingIsLeftBehind(t *testing.T) {
	s := pgtest.Start(t)
	boss := dial(t, s.DSN("postgres"))
	mustExec(t, boss, `CREATE TABLE item AS SELECT 1 AS id`)
	r := startOn(t, s.DSN("postgres"), func(o *proxy.Options) { o.Limits.MaxConnections = 50 })
	for _, mess := range [][]byte{
		nil,
		frame('X'),
		frame('Q', "SELECT id FROM item"),
		frame('Q', "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"),
		frame('Q', "COPY item FROM STDIN"),
		frame('Q', "BEGIN; INSERT INTO item VALUES (2)"),
		frame('Q', "SELECT pg_sleep(600)"),
		frame('Q', "DO $$ BEGIN INSERT INTO item VALUES (3); PERFORM pg_sleep(600); END $$"),
		join(frame('P', "", "SELECT id FROM item", int16(0)), frame('H')),
		{'Q', 0, 0, 0, 1},
		frame('Q', "LISTEN news"),
	} {
		open, gone := r.session(), r.session()
		open.send(mess)
		gone.send(mess)
		gone.vanish()
	}
	r.raw()                    // says nothing
	r.raw().send(sslRequest)   // nor does it here
	r.raw().send([]byte{0, 0}) // nor here
	stop, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	from := time.Now()
	if err := r.Shutdown(stop); err == nil {
		t.Error("Shutdown does not tell that it cut sessions")
	}
	if took := time.Since(from); took > 15*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	st := r.Status()
	if st.Clients != 0 || st.Upstreams != 0 {
		t.Errorf("%d clients and %d upstream connections are counted after Shutdown", st.Clients, st.Upstreams)
	}
	// PostgreSQL notices that a client is gone when it next reads or writes.
	mustExec(t, boss, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`)
	eventually(t, "the upstream has no connections left", func() bool {
		return value(t, boss, `SELECT count(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`) == "1"
	}) // the one is that of startOn's own
}
