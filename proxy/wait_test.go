package proxy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/proxy"
)

// startWaiting starts a fleet of one whose writes wait: a new process must have shown for 1.25 leases.
func startWaiting(t *testing.T, lease time.Duration) *running {
	t.Helper()
	fleet, _ := startFleetWith(t, 1, false, func(o *proxy.Options) {
		o.Fleet.Bus.Lease, o.Fleet.Strict = lease, true
	}, "CREATE TABLE t AS SELECT 0 AS n")
	r := fleet[0]
	eventually(t, "it is a member", func() bool { return r.Status().Fleet.Member })
	r.waitReady() // again: without a catalog a read may be a write, and would wait as well
	return r
}

// execute sends a statement without waiting, and returns once it waits for the fleet, as the announced fence of this number.
func (r *running) execute(c *pgx.Conn, fence uint64, sql string) <-chan error {
	r.tb.Helper()
	over := make(chan error, 1)
	ctx := bounded(r.tb)
	go func() {
		_, err := c.Exec(ctx, sql)
		over <- err
	}()
	eventually(r.tb, "the write waits", func() bool { return r.Status().Fleet.Fences == fence })
	return over
}

// cancel sends a cancel request for a statement that waits, and checks that it gets the server's error.
func (r *running) cancel(c *pgx.Conn, over <-chan error) {
	r.tb.Helper()
	if err := c.PgConn().CancelRequest(bounded(r.tb)); err != nil {
		r.tb.Fatal(err)
	}
	select {
	case err := <-over:
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "57014" || refused.Severity != "ERROR" {
			r.tb.Errorf("canceled: %v", err)
		}
	case <-time.After(5 * time.Second):
		r.tb.Fatal("a cancel request does not end the wait")
	}
}

func TestShutdownWhileAWriteWaits(t *testing.T) {
	r := startWaiting(t, time.Hour)
	over := r.execute(r.connect(simple), 1, "UPDATE t SET n = n + 1")
	began := time.Now()
	r.stop(time.Second)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Shutdown with a bound of 1 s took %v", took)
	}
	if err := <-over; err == nil {
		t.Error("the write was acknowledged")
	}
	if n := value(t, r.direct(), "SELECT n::text FROM t"); n != "0" {
		t.Errorf("n = %s: the write was sent", n)
	}
}

// TestShutdownLetsAWaitingWriteEnd: it is under way as one that the server executes.
func TestShutdownLetsAWaitingWriteEnd(t *testing.T) {
	r := startWaiting(t, time.Second)
	over := r.execute(r.connect(simple), 1, "UPDATE t SET n = n + 1")
	r.stop(10 * time.Second)
	if err := <-over; err != nil {
		t.Errorf("a write that waited when Shutdown began: %v", err)
	}
}

func TestCancelOfAWriteThatWaits(t *testing.T) {
	for name, mode := range map[string]string{"simple": simple, "extended": "default_query_exec_mode=exec", "prepared": ""} {
		t.Run(name, func(t *testing.T) {
			r := startWaiting(t, time.Hour)
			c := r.connect(mode)
			r.cancel(c, r.execute(c, 1, "UPDATE t SET n = n + 1"))
			if n := value(t, c, "SELECT n::text FROM t"); n != "0" || c.PgConn().TxStatus() != 'I' {
				t.Errorf("n = %s, status %c", n, c.PgConn().TxStatus())
			}
			eventually(t, "the fence is down", func() bool { return r.Status().Fleet.OwnFences == 0 })
			r.cancel(c, r.execute(c, 2, "UPDATE t SET n = n + 1"))
		})
	}
}

// TestCancelOfACommitThatWaits: the block fails. What it wrote before a savepoint can still be saved, and is announced then.
func TestCancelOfACommitThatWaits(t *testing.T) {
	for name, mode := range map[string]string{"simple": simple, "extended": "default_query_exec_mode=exec"} {
		t.Run(name, func(t *testing.T) {
			r := startWaiting(t, 4*time.Second)
			c := r.connect(mode)
			for _, sql := range []string{"BEGIN", "UPDATE t SET n = 1", "SAVEPOINT s"} {
				mustExec(t, c, sql)
			}
			r.cancel(c, r.execute(c, 1, "COMMIT"))
			if status := c.PgConn().TxStatus(); status != 'E' {
				t.Fatalf("status %c", status)
			}
			mustExec(t, c, "ROLLBACK TO SAVEPOINT s")
			over := r.execute(c, 2, "COMMIT")
			if n := value(t, r.direct(), "SELECT n::text FROM t"); n != "0" {
				t.Error("it did not wait")
			}
			if err := <-over; err != nil {
				t.Error(err)
			}
			if n := value(t, c, "SELECT n::text FROM t"); n != "1" {
				t.Errorf("n = %s", n)
			}
		})
	}
}

// TestClientGoneWhileAWriteWaits: its session ends, and the write is not sent.
func TestClientGoneWhileAWriteWaits(t *testing.T) {
	r := startWaiting(t, time.Hour)
	c := r.connect(simple)
	over := r.execute(c, 1, "UPDATE t SET n = n + 1")
	_ = c.PgConn().Conn().Close()
	<-over
	eventually(t, "the session ends", func() bool { s := r.Status(); return s.Clients == 0 && s.Upstreams == 0 && s.Fleet.OwnFences == 0 })
	if n := value(t, r.direct(), "SELECT n::text FROM t"); n != "0" {
		t.Errorf("n = %s: the write was sent", n)
	}
}

// TestCancelOfALongWriteThatWaits: what is passed on piece by piece can't be taken back, so the session ends.
func TestCancelOfALongWriteThatWaits(t *testing.T) {
	r := startWaiting(t, time.Hour)
	c := r.connect(simple)
	long := make([]byte, 400<<10)
	for i := range long {
		long[i] = ' '
	}
	over := r.execute(c, 1, "UPDATE t SET n = n + 1"+string(long))
	if err := c.PgConn().CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err == nil {
		t.Error("it was acknowledged")
	}
	eventually(t, "the session ends", func() bool { return r.Status().Clients == 0 })
	if n := value(t, r.direct(), "SELECT n::text FROM t"); n != "0" {
		t.Errorf("n = %s: the write was sent", n)
	}
}
