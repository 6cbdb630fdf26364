package proxy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/proxy"
)

func patient(o *proxy.Options) { o.Limits.FlightWait = time.Minute }

// TestOneProcessAsks: of several processes that miss the same at once one asks the server, and all have its answer.
func TestOneProcessAsks(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		fleet, _ := startFleetWith(t, 3, true, patient, gated...)
		past := fleet[0].direct()
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		const sql = "SELECT gate(id)::text, n::text FROM item"
		var answers []<-chan answer
		for i, r := range fleet {
			c := r.connect(parameters...)
			value(t, c, "SELECT n FROM item") // settings are known from here on
			answers = append(answers, ask(c, sql))
			if i == 0 {
				waits(t, past, "1")
				continue
			}
			eventually(t, "the other process waits", func() bool { return r.Status().L2.Waits > 0 })
		}
		waits(t, past, "1") // the others ask nobody
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		for i, c := range answers {
			if a := <-c; a.err != nil || a.got != "1" {
				t.Errorf("process %d: %q, %v", i, a.got, a.err)
			}
		}
		if leases, hits := fleet[0].Status().L2.Leases, fleet[1].Status().Outcomes["hit_l2"]+fleet[2].Status().Outcomes["hit_l2"]; leases == 0 || hits < 2 {
			t.Errorf("%d leases, %d answers out of L2", leases, hits)
		}
	})
}

// TestLeaseEndsWithItsQuery: who waits for a process whose query fails asks the server at once.
func TestLeaseEndsWithItsQuery(t *testing.T) {
	fleet, _ := startFleetWith(t, 2, true, patient, gated...)
	past := fleet[0].direct()
	mustExec(t, past, "SELECT pg_advisory_lock(7)")
	const sql = "SELECT (1/(gate(id)-1))::text, n::text FROM item"
	one, other := fleet[0].connect(), fleet[1].connect()
	value(t, one, "SELECT n FROM item") // settings are known from here on
	value(t, other, "SELECT n FROM item")
	first := ask(one, sql)
	waits(t, past, "1")
	second := ask(other, sql)
	eventually(t, "the other process waits", func() bool { return fleet[1].Status().L2.Waits > 0 })
	mustExec(t, past, "SELECT pg_advisory_unlock(7)")
	late := time.After(20 * time.Second)
	for i, c := range []<-chan answer{first, second} {
		select {
		case a := <-c:
			var refused *pgconn.PgError
			if !errors.As(a.err, &refused) || refused.Code != "22012" {
				t.Errorf("%d: %q, %v, want a division by zero", i, a.got, a.err)
			}
		case <-late:
			t.Fatalf("%d still waits for the one who failed", i)
		}
	}
}

// TestLeaseOfTheDead: a lease whose holder is gone keeps nobody waiting longer than a flight would. A cancel request ends the wait, and leaves
// nothing behind.
func TestLeaseOfTheDead(t *testing.T) {
	fleet, server := startFleetWith(t, 1, true, func(o *proxy.Options) { o.Limits.FlightWait = 500 * time.Millisecond }, gated...)
	c := fleet[0].connect("default_query_exec_mode=simple_protocol") // no descriptions in L2
	const sql = "SELECT gate(id)::text, n::text FROM item"
	value(t, c, sql)
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = client.Close() }()
	var name string
	eventually(t, "the result is in L2", func() bool {
		for name = range results(t, server) {
			return true
		}
		return false
	})
	past := fleet[0].direct()
	hold := func(lifetime time.Duration) {
		mustExec(t, past, "SELECT pg_sleep(0.01)")
		mustExec(t, c, "UPDATE item SET n = n + 1")
		if err := client.Set(t.Context(), name+"~", "", lifetime).Err(); err != nil {
			t.Fatal(err)
		}
	}
	// The statement is known to cost little from the first time: make it dear.
	mustExec(t, past, "SELECT pg_advisory_lock(7)")
	mustExec(t, c, "UPDATE item SET n = n + 1")
	slow := ask(c, sql)
	waits(t, past, "1")
	mustExec(t, past, "SELECT pg_sleep(0.2)")
	mustExec(t, past, "SELECT pg_advisory_unlock(7)")
	if a := <-slow; a.err != nil {
		t.Fatal(a.err)
	}

	hold(time.Hour)
	began := time.Now()
	if a := <-ask(c, sql); a.err != nil || a.got != "3" {
		t.Errorf("%q, %v", a.got, a.err)
	}
	if took := time.Since(began); took < 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("the answer took %v, want little more than 500ms", took)
	}

	hold(time.Hour)
	waitsBefore := fleet[0].Status().L2.Waits
	waiting := ask(c, sql)
	eventually(t, "it waits", func() bool { return fleet[0].Status().L2.Waits > waitsBefore })
	if err := c.PgConn().CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	var refused *pgconn.PgError
	if a := <-waiting; a.err != nil && (!errors.As(a.err, &refused) || refused.Code != "57014") {
		t.Errorf("%q, %v, want an answer or that it was cancelled", a.got, a.err)
	}
	if err := client.Del(t.Context(), name+"~").Err(); err != nil {
		t.Fatal(err)
	}
	if a := <-ask(fleet[0].connect(), sql); a.err != nil || a.got != "4" {
		t.Errorf("after the cancelled one: %q, %v", a.got, a.err)
	}
}

// TestCheapStatementsTakeNoLease: what costs the server little is not worth a round trip.
func TestCheapStatementsTakeNoLease(t *testing.T) {
	fleet, _ := startFleetWith(t, 1, true, patient, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	c := fleet[0].connect()
	value(t, c, "SELECT n FROM t")
	for range 200 { // until the figure says so, whatever else the machine does
		mustExec(t, c, "UPDATE t SET n = n + 1")
		before := fleet[0].Status().L2.Leases
		value(t, c, "SELECT n FROM t")
		if fleet[0].Status().L2.Leases == before {
			return
		}
	}
	t.Error("each miss took a lease")
}
