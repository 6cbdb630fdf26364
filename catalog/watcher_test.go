package catalog_test

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// watched is a running Watcher whose callbacks can be received.
type watched struct {
	*catalog.Watcher
	changes  chan [2]*catalog.Snapshot
	visible  chan *catalog.Snapshot // what Snapshot returned while OnChange ran
	settings chan struct{}
}

func watch(t *testing.T, dsn string, interval time.Duration) *watched {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return watchConfig(t, config, interval)
}

func watchConfig(t *testing.T, config *pgx.ConnConfig, interval time.Duration) *watched {
	t.Helper()
	w := &watched{
		changes:  make(chan [2]*catalog.Snapshot, 100),
		visible:  make(chan *catalog.Snapshot, 100),
		settings: make(chan struct{}, 100),
	}
	w.Watcher = catalog.NewWatcher(catalog.Options{
		Config: config, Interval: interval, Logger: slog.New(slog.DiscardHandler),
		OnChange: func(last, next *catalog.Snapshot) {
			w.visible <- w.Snapshot()
			w.changes <- [2]*catalog.Snapshot{last, next}
		},
		OnSettings: func() { w.settings <- struct{}{} },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("Run: %v", err)
		}
		if w.Snapshot() != nil {
			t.Error("a snapshot is left after Run")
		}
	})
	return w
}

const patience = 30 * time.Second

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestWatcherSeesChangesByTimer(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn := connect(t, dsn)
	w := watch(t, dsn, 500*time.Millisecond)
	first := receive(t, w.changes)
	if first[0] != nil || first[1] == nil {
		t.Fatalf("first change %v", first)
	}
	receive(t, w.visible)
	eventually(t, "the first snapshot", w.Ready)

	execute(t, conn, "CREATE TABLE t (id int)")
	change := receive(t, w.changes)
	if change[0] != first[1] || change[1].Relation("public", "t") == nil {
		t.Errorf("change %v, want from the first snapshot to one with the table", change)
	}
	if seen := receive(t, w.visible); seen != nil {
		t.Errorf("a snapshot was visible before OnChange was done: the old one: %v", seen == change[0])
	}
	receive(t, w.settings)
	eventually(t, "the new snapshot", func() bool { return w.Snapshot() == change[1] })
	if w.Err() != nil {
		t.Error(w.Err())
	}
}

func TestWatcherKeepsThePointerWithoutAChange(t *testing.T) {
	w := watch(t, pgtest.Shared(t).NewDatabase(t), time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	first := w.Snapshot()
	receive(t, w.changes)
	w.Invalidate()
	eventually(t, "the snapshot's return", w.Ready)
	if w.Snapshot() != first {
		t.Error("another snapshot for the same definitions")
	}
	if len(w.changes) != 0 {
		t.Error("OnChange was called without a change")
	}
}

// TestInvalidateWithdrawsAtOnce holds the look up by a lock on a catalog that it reads: nothing is
// visible until the look that began afterwards is complete.
func TestInvalidateWithdrawsAtOnce(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn := connect(t, dsn)
	execute(t, conn, "CREATE TABLE t (id int)")
	w := watch(t, dsn, time.Hour)
	eventually(t, "the first snapshot", w.Ready)

	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "ALTER TABLE t ADD COLUMN x int; LOCK TABLE pg_ts_config_map"); err != nil {
		t.Fatal(err)
	}
	other := connect(t, dsn)
	execute(t, other, "SELECT pg_current_xact_id()") // while no transaction ends, a look need not read catalogs
	w.Invalidate()
	eventually(t, "the look that waits for the lock", func() bool {
		var waiting bool
		err := other.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE NOT l.granted AND d.datname = current_database())`).Scan(&waiting)
		return err == nil && waiting
	})
	if w.Snapshot() != nil {
		t.Fatal("a snapshot from before Invalidate")
	}
	w.Invalidate() // while a look is under way: its result must not be installed
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new snapshot", w.Ready)
	if _, ok := w.Snapshot().Relation("public", "t").ColumnTypes["x"]; !ok {
		t.Error("the snapshot lacks what was committed before Invalidate")
	}
}

func TestWatcherTellsOfSettingsAndRoles(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.NewDatabase(t)
	conn := connect(t, dsn)
	w := watch(t, dsn, 20*time.Millisecond)
	eventually(t, "the first snapshot", w.Ready)
	receive(t, w.changes)
	for _, tc := range []struct {
		script string
		change bool
	}{
		{"CREATE ROLE someone", true},
		{"GRANT pg_monitor TO someone", true},
		{"ALTER ROLE someone BYPASSRLS", true},
		{"ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo'", true}, // pg_roles shows it, too
		{"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = %L', current_database(), 'German'); END $$", false},
		{"SELECT pg_reload_conf()", false},
	} {
		execute(t, conn, tc.script)
		receive(t, w.settings)
		if changed := len(w.changes) > 0; changed != tc.change {
			t.Errorf("%s: OnChange %v, want %v", tc.script, changed, tc.change)
		}
		for len(w.changes) > 0 {
			<-w.changes
		}
	}
}

// TestWatcherTellsTwiceOfAReload: the server tells its processes one after another, the watcher's perhaps first.
func TestWatcherTellsTwiceOfAReload(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	conn := connect(t, dsn)
	w := watch(t, dsn, time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	loaded := func() (at string) {
		if err := connect(t, dsn).QueryRow(t.Context(), "SELECT pg_conf_load_time()::text").Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	before := loaded()
	execute(t, conn, "SELECT pg_reload_conf()")
	eventually(t, "the server has read its configuration", func() bool { return loaded() != before })
	w.Invalidate()
	receive(t, w.settings)
	receive(t, w.settings)
}

func TestWatcherSurvivesTheLossOfItsConnection(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn := connect(t, dsn)
	w := watch(t, dsn, 100*time.Millisecond)
	eventually(t, "the first snapshot", w.Ready)
	first := receive(t, w.changes)[1]
	execute(t, conn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'pgrecall' AND datname = current_database()`)
	again := receive(t, w.changes) // what was not seen may have happened: everything is invalidated
	if again[0] != first || again[1] != first {
		t.Errorf("change %v after the loss, want %v twice", again, first)
	}
	eventually(t, "an end of the error", func() bool { return w.Err() == nil && w.Snapshot() == first })
}

func TestWatcherWithdrawsASnapshotThatNobodyConfirms(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	conn := connect(t, dsn)
	w := watch(t, dsn, 200*time.Millisecond)
	eventually(t, "the first snapshot", w.Ready)
	admin := connect(t, pgtest.Shared(t).DSN("postgres"))
	database := conn.Config().Database
	execute(t, admin, "UPDATE pg_database SET datallowconn = false WHERE datname = '"+database+"'")
	execute(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'pgrecall' AND datname = '`+database+`'`)
	eventually(t, "the withdrawal", func() bool { return !w.Ready() })
	if w.Err() == nil {
		t.Error("no error tells why")
	}
	execute(t, admin, "UPDATE pg_database SET datallowconn = true WHERE datname = '"+database+"'")
	eventually(t, "the return", w.Ready)
}

func TestBackendGone(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	w := watch(t, dsn, time.Hour)
	victim := connect(t, dsn)
	pid := victim.PgConn().PID()
	gone := func(at time.Time) bool {
		t.Helper()
		gone, err := w.BackendGone(t.Context(), pid, at)
		if err != nil {
			t.Fatal(err)
		}
		return gone
	}
	if gone(time.Now()) {
		t.Error("a living backend is gone")
	}
	if !gone(time.Now().Add(-time.Hour)) {
		t.Error("a backend that started after the other one died is taken for it")
	}
	if err := victim.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	eventually(t, "the backend's end", func() bool { return gone(died) })
}

func TestBackendGoneAfterRun(t *testing.T) {
	config, err := pgx.ParseConfig(pgtest.Shared(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	w := catalog.NewWatcher(catalog.Options{Config: config})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.BackendGone(t.Context(), 1, time.Now()); !errors.Is(err, catalog.ErrStopped) {
		t.Errorf("error %v, want ErrStopped", err)
	}
}

// TestWatcherLeavesTheDatabase drops a database under a resting Watcher, which PostgreSQL refuses while anybody is connected, and makes it
// again from the same template, so that every OID in it is the same: what was cached of the first must not outlive it.
func TestWatcherLeavesTheDatabase(t *testing.T) {
	admin := connect(t, pgtest.Shared(t).DSN("postgres"))
	dsn := pgtest.Shared(t).NewDatabase(t)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	template := config.Database
	execute(t, admin, "CREATE DATABASE "+template+"_copy TEMPLATE "+template)
	t.Cleanup(func() {
		_, _ = admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+template+"_copy WITH (FORCE)")
	})
	w := watch(t, pgtest.Shared(t).DSN(template+"_copy"), time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	first := receive(t, w.changes)[1]

	execute(t, admin, "DROP DATABASE "+template+"_copy")
	w.Invalidate()
	eventually(t, "an error that tells of the missing database", func() bool { return w.Err() != nil })
	execute(t, admin, "CREATE DATABASE "+template+"_copy TEMPLATE "+template)
	w.Invalidate()
	again := receive(t, w.changes)
	if again[0] != first || again[1].Digest != first.Digest || again[1].Under == first.Under {
		t.Error("not the same definitions in another database")
	}
	eventually(t, "a snapshot again", func() bool { return w.Snapshot() == again[1] && w.Err() == nil })
}

// TestWatcherNoticesACrashWhileItWasAway kills a backend, upon which the server restarts all of its processes and empties unlogged tables,
// while the Watcher is not connected.
func TestWatcherNoticesACrashWhileItWasAway(t *testing.T) {
	server := pgtest.Start(t)
	w := watch(t, server.NewDatabase(t), time.Hour)
	eventually(t, "the first snapshot", w.Ready)
	receive(t, w.changes)
	victim := connect(t, server.DSN("postgres"))
	eventually(t, "the Watcher's leaving", func() bool {
		var connected bool
		err := victim.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'pgrecall')").Scan(&connected)
		return err == nil && !connected
	})
	const processes = "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
	var before string
	if err := victim.QueryRow(t.Context(), processes).Scan(&before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(victim.PgConn().PID()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server's return", func() bool {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres"))
		if err != nil {
			return false
		}
		defer conn.Close(context.Background())
		var after string
		return conn.QueryRow(t.Context(), processes).Scan(&after) == nil && after != before
	})
	w.Invalidate()
	receive(t, w.changes)
	eventually(t, "the snapshot's return", w.Ready)
}
