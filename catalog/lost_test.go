package catalog_test

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// relay passes bytes on to a server until it is told to swallow them.
type relay struct {
	listener net.Listener
	mu       sync.Mutex
	hanging  bool
	open     []net.Conn
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		r.cut()
		work.Wait()
	})
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			r.mu.Lock()
			r.open = append(r.open, client, server)
			r.mu.Unlock()
			work.Go(func() { r.pass(client, server) })
			work.Go(func() { r.pass(server, client) })
		}
	})
	return r
}

func (r *relay) pass(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		r.mu.Lock()
		hanging := r.hanging
		r.mu.Unlock()
		if hanging {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (r *relay) hang(on bool) {
	r.mu.Lock()
	r.hanging = on
	r.mu.Unlock()
}

// cut closes what is open.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		_ = c.Close()
	}
	r.open = nil
}

// TestWatcherBehindAHangingNetwork: what nobody can vouch for is withdrawn, and what is served again was invalidated before.
func TestWatcherBehindAHangingNetwork(t *testing.T) {
	server := pgtest.Shared(t)
	config, err := pgx.ParseConfig(server.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, server.Address())
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	number, _ := strconv.ParseUint(port, 10, 16)
	config.Port = uint16(number)
	w := watchConfig(t, config, 200*time.Millisecond)
	eventually(t, "the first snapshot", w.Ready)
	first := receive(t, w.changes)[1]
	receive(t, w.visible)

	r.hang(true)
	eventually(t, "the withdrawal", func() bool { return !w.Ready() })
	if len(w.changes) != 0 {
		t.Error("OnChange was called without a look")
	}
	r.hang(false)
	r.cut()
	if again := receive(t, w.changes); again[0] != first || again[1] != first {
		t.Errorf("change %v after the loss, want %v twice", again, first)
	}
	if seen := receive(t, w.visible); seen != nil {
		t.Error("the snapshot was visible before everything was invalidated")
	}
	eventually(t, "the snapshot's return", func() bool { return w.Snapshot() == first })
}

// TestWatcherAfterACrash: a server that crashed may have lost transactions and emptied unlogged tables.
func TestWatcherAfterACrash(t *testing.T) {
	server := pgtest.Start(t)
	w := watch(t, server.NewDatabase(t), 100*time.Millisecond)
	eventually(t, "the first snapshot", w.Ready)
	first := receive(t, w.changes)[1]
	for name, end := range map[string]func() error{
		"crash":   func() error { return server.Kill(t.Context()) },
		"restart": func() error { return server.Stop(t.Context()) },
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the withdrawal after a "+name, func() bool { return !w.Ready() })
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := receive(t, w.changes)
		if again[0] != first || again[1].Digest != first.Digest || again[1].Under == first.Under {
			t.Errorf("after a %s: not the same definitions under another run of the server", name)
		}
		first = again[1]
		eventually(t, "the snapshot's return", w.Ready)
		for len(w.changes) > 0 { // the server may have ended a connection while it started
			<-w.changes
		}
	}
}

// TestWatcherStaysAfterARefusal: a look that the server refuses is tried again, and invalidates nothing.
func TestWatcherStaysAfterARefusal(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	w := watch(t, dsn, time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	receive(t, w.changes)
	other, locking := connect(t, dsn), connect(t, dsn)
	execute(t, locking, "BEGIN; SELECT pg_current_xact_id(); LOCK TABLE pg_ts_config_map")
	execute(t, other, "SELECT pg_current_xact_id()")
	w.Invalidate()
	eventually(t, "a look that is cancelled", func() bool {
		var cancelled bool
		err := other.QueryRow(t.Context(), `SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE NOT l.granted AND d.datname = current_database()`).Scan(&cancelled)
		return err == nil && cancelled
	})
	eventually(t, "an error that tells", func() bool { return w.Err() != nil })
	execute(t, locking, "ROLLBACK")
	eventually(t, "the snapshot's return", w.Ready)
	if len(w.changes) != 0 {
		t.Error("OnChange was called without a change")
	}
}
