package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestRestartWhileAWriteIsUnderWay: the pgrecall that sent a COMMIT is gone, the next one must not keep what was true before it.
func TestRestartWhileAWriteIsUnderWay(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 0)",
		"CREATE TABLE gate (id int)", "INSERT INTO gate VALUES (1)",
		`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM FROM gate FOR UPDATE; RETURN NULL; END'`,
		"CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()")
	past := r.direct()
	mustExec(t, past, "BEGIN")
	mustExec(t, past, "SELECT FROM gate FOR UPDATE")

	// The write that the first pgrecall forwards waits at its COMMIT, and pgrecall is killed.
	writer := r.connect()
	lost := make(chan error, 1)
	go func() {
		_, err := writer.Exec(context.Background(), "UPDATE t SET n = 1 WHERE id = 1")
		lost <- err
	}()
	eventually(t, "the write waits", func() bool {
		return value(t, past, "SELECT count(*) FROM pg_locks WHERE NOT granted")[7] == 1
	})
	next := &running{tb: t, Upstream: r.Upstream, Database: r.Database}
	r.cutOff()
	<-lost

	config, err := pgx.ParseConfig(r.Upstream)
	if err != nil {
		t.Fatal(err)
	}
	next.serve(config, nil)
	next.Watch(next.Database)
	reader := next.connect("default_query_exec_mode=simple_protocol")
	eventually(t, "the catalog is loaded", func() bool { // it is not ready: that is the point
		value(t, reader, "SELECT n FROM t WHERE id = 1")
		return next.Status().Databases[0].Ready || next.Status().Bypasses["write_in_flight"] > 10
	})
	if got := value(t, reader, "SELECT n FROM t WHERE id = 1"); got != "0" {
		t.Fatalf("n = %s while the write waits", got)
	}
	mustExec(t, past, "COMMIT")
	eventually(t, "the write is seen", func() bool { return value(t, past, "SELECT n FROM t WHERE id = 1")[3] == 1 })
	if got := value(t, reader, "SELECT n FROM t WHERE id = 1"); got != "1" {
		t.Errorf("n = %s after the commit of what the pgrecall before had sent", got)
	}
	next.waitReady()
	hits := next.hits()
	value(t, reader, "SELECT n FROM t WHERE id = 1")
	value(t, reader, "SELECT n FROM t WHERE id = 1")
	if next.hits() == hits {
		t.Error("nothing is cached after the transactions of before are over")
	}
}

// cutOff ends a pgrecall as a kill would, as far as the server can see: it closes its sockets and says nothing.
func (r *running) cutOff() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_ = r.Shutdown(ctx)
}
