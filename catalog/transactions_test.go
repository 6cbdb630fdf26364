package catalog_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// openOf returns the open transactions of one backend.
func openOf(t *testing.T, w *watched, pid uint32) []catalog.Transaction {
	t.Helper()
	open, err := w.OpenTransactions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(open, func(o catalog.Transaction) bool { return o.PID != pid })
}

func gone(t *testing.T, w *watched, open catalog.Transaction) bool {
	t.Helper()
	gone, err := w.TransactionGone(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	return gone
}

func TestOpenTransactions(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.WithConfig("max_prepared_transactions = 1")).NewDatabase(t)
	w := watch(t, dsn, time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	if all, err := w.OpenTransactions(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v before any was opened", all, err)
	}

	local := connect(t, dsn)
	pid := local.PgConn().PID()
	if open := openOf(t, w, pid); len(open) != 0 {
		t.Errorf("%v of an idle session", open)
	}
	began := time.Now()
	execute(t, local, "BEGIN")
	open := openOf(t, w, pid)
	if len(open) != 1 || open[0].Virtual == "" || open[0].Started.Before(began.Add(-time.Minute)) {
		t.Fatalf("%+v, want the open block", open)
	}
	if gone(t, w, open[0]) {
		t.Error("an open block is gone")
	}
	for _, end := range []string{"COMMIT; BEGIN", "ROLLBACK; BEGIN", "PREPARE TRANSACTION 'open'"} {
		last := openOf(t, w, pid)[0]
		execute(t, local, "CREATE TABLE IF NOT EXISTS t ()")
		if gone(t, w, last) {
			t.Errorf("before %s it is gone", end)
		}
		execute(t, local, end)
		if !gone(t, w, last) {
			t.Errorf("after %s it is not gone", end)
		}
	}
	execute(t, local, "BEGIN")
	starting := catalog.Transaction{PID: pid} // of a statement that had not begun its transaction when it was seen
	if gone(t, w, starting) {
		t.Error("a backend at work is taken for one at rest")
	}
	execute(t, local, "COMMIT")
	if !gone(t, w, starting) {
		t.Error("a backend at rest is not noticed")
	}
	execute(t, local, "BEGIN")
	last := openOf(t, w, pid)[0]
	if err := local.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the backend's end", func() bool { return gone(t, w, last) })
}

// TestOpenTransactionsOfOthers: where a session comes from another address or database it isn't ours; what an account may not see may be.
func TestOpenTransactionsOfOthers(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithConfig("listen_addresses = '*'"), pgtest.WithHBA("host all all all trust"))
	dsn := server.NewDatabase(t)
	blocked := func(change func(*pgx.ConnConfig)) uint32 {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		change(config)
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		execute(t, conn, "BEGIN")
		return conn.PgConn().PID()
	}
	socket := blocked(func(c *pgx.ConnConfig) { c.Host = server.SocketDir() })
	elsewhere := blocked(func(c *pgx.ConnConfig) { c.Database = "postgres" })
	walSender := blocked(func(c *pgx.ConnConfig) {
		c.RuntimeParams["replication"] = "database"
		c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	})
	var distant []uint32
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses { // the address of our end is that of the server's end then
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			distant = append(distant, blocked(func(c *pgx.ConnConfig) { c.Host = network.IP.String() }))
		}
	}
	execute(t, connect(t, dsn), "CREATE ROLE ordinary LOGIN")
	for _, user := range []string{"postgres", "ordinary"} {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		config.User = user
		w := watchConfig(t, config, time.Hour)
		eventually(t, "the first snapshot", w.Ready)
		if open := openOf(t, w, socket); len(open) != 1 {
			t.Errorf("%s sees %v of the session on the socket of this machine", user, open)
		}
		if open := openOf(t, w, walSender); len(open) != 1 {
			t.Errorf("%s sees %v of the replication session", user, open)
		}
		for _, pid := range distant {
			if open := openOf(t, w, pid); (len(open) == 1) != (user == "ordinary") {
				t.Errorf("%s sees %v of a session from another address", user, open)
			}
		}
		if open := openOf(t, w, elsewhere); len(open) != 0 {
			t.Errorf("%s sees %v of another database", user, open)
		}
	}
}
