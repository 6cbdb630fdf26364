package proxy_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/memcached"
	"github.com/pgrecall/pgrecall/cache/remote"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// recorder is memcached behind a Guard, as in the binary, that remembers what was put there.
type recorder struct {
	cache.Backend
	mu   sync.Mutex
	puts []cache.Write
}

func (r *recorder) Apply(ctx context.Context, writes []cache.Write) error {
	err := r.Backend.Apply(ctx, writes)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range writes {
		if !w.Delete {
			r.puts = append(r.puts, w)
		}
	}
	return err
}

// written returns all that was put so far.
func (r *recorder) written() []cache.Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.puts
}

// onMemcached lets a proxy keep its results in memcached.
func onMemcached(t *testing.T, server *pgtest.Memcached, o *proxy.Options) *recorder {
	t.Helper()
	store, err := memcached.New(memcached.Options{Addresses: []string{server.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Backend: store}
	guard := remote.New(r, remote.Options{Hang: time.Second})
	t.Cleanup(func() { _ = guard.Close() })
	eventually(t, "memcached answers", func() bool { return guard.Stats().Up })
	entries, err := codec.New(codec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Shared = &proxy.Shared{Store: guard, Codec: entries, Namespace: "test"}
	return r
}

// alone is a pgrecall without Redis that keeps results in memcached.
type alone struct {
	*running
	*recorder
}

func startAlone(t *testing.T, dsn string, server *pgtest.Memcached, change func(*proxy.Options), schema ...string) alone {
	t.Helper()
	var a alone
	a.running = startOn(t, dsn, func(o *proxy.Options) {
		a.recorder = onMemcached(t, server, o)
		change(o)
	}, schema...)
	return a
}

// forget empties L1.
func (a alone) forget() { a.L1.DeleteFunc(func(*cache.Entry) bool { return true }) }

// stored waits until the n-th result is in memcached.
func (a alone) stored(t *testing.T, n int) {
	t.Helper()
	eventually(t, "the result is in memcached", func() bool { return len(a.written()) >= n })
}

// TestAloneReadsBackWhatL1Lost: what L1 has no room for comes back out of memcached, until it is written to.
func TestAloneReadsBackWhatL1Lost(t *testing.T) {
	for _, consistency := range []string{"strict", "session", "ttl"} {
		t.Run(consistency, func(t *testing.T) {
			a := startAlone(t, pgtest.Shared(t).NewDatabase(t), pgtest.StartMemcached(t), unchanged, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
			c := a.connect("options='-c pgrecall.consistency=" + consistency + "'")
			const read = "SELECT n::text FROM t"
			for i := range 30 {
				before := len(a.written())
				if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != strconv.Itoa(i) {
					t.Fatalf("%s after an own write of %d", got, i)
				}
				a.stored(t, before+1)
				a.forget()
				hits := a.Status().L2.Hits
				if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != strconv.Itoa(i) || a.Status().L2.Hits != hits+1 {
					t.Fatalf("%s, %d hits of L2, want %d and one", got, a.Status().L2.Hits-hits, i)
				}
				mustExec(t, c, "UPDATE t SET n = n + 1")
				a.forget()
			}
		})
	}
}

// TestAloneServesNoReplayedResult: what was true once is put under its name again, after each write.
func TestAloneServesNoReplayedResult(t *testing.T) {
	a := startAlone(t, pgtest.Shared(t).NewDatabase(t), pgtest.StartMemcached(t), unchanged, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	c := a.connect()
	const read = "SELECT n::text FROM t"
	value(t, c, read, pgx.QueryExecModeSimpleProtocol)
	a.stored(t, 1)
	old := a.written()[0]
	for i := 1; i < 20; i++ {
		mustExec(t, c, "UPDATE t SET n = n + 1")
		a.forget()
		if err := a.Backend.Apply(t.Context(), []cache.Write{old}); err != nil {
			t.Fatal(err)
		}
		stale, before := a.Status().L2.Stale, len(a.written())
		if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != strconv.Itoa(i) || a.Status().L2.Stale != stale+1 {
			t.Fatalf("%s after a write of %d; %d results were found to be old", got, i, a.Status().L2.Stale-stale)
		}
		a.stored(t, before+1)
	}
	// During a write, before its outcome is known.
	mustExec(t, c, "BEGIN")
	mustExec(t, c, "UPDATE t SET n = 0")
	mustExec(t, c, "COMMIT")
	a.forget()
	if err := a.Backend.Apply(t.Context(), []cache.Write{old}); err != nil {
		t.Fatal(err)
	}
	stale := a.Status().L2.Stale
	if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != "0" || a.Status().L2.Stale != stale+1 { // right, but nobody can know
		t.Errorf("%s, %d results were found to be old", got, a.Status().L2.Stale-stale)
	}
}

// TestAloneServesNothingFlushed: whatever part of the cache is flushed.
func TestAloneServesNothingFlushed(t *testing.T) {
	a := startAlone(t, pgtest.Shared(t).NewDatabase(t), pgtest.StartMemcached(t), unchanged, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	c := a.connect()
	const read = "SELECT n::text FROM t"
	for i, what := range []proxy.Selection{{}, {Database: a.Database}, {Table: "public.t"}} {
		if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != strconv.Itoa(i) {
			t.Fatal(got)
		}
		a.stored(t, i+1)
		old := a.written()[i]
		mustExec(t, a.direct(), "UPDATE t SET n = n + 1")
		if done := flush(t, a.running, what); (done.L2 == nil) == (done.L2Error == "") {
			t.Errorf("%+v: %+v", what, done)
		}
		if err := a.Backend.Apply(t.Context(), []cache.Write{old}); err != nil { // as one that was under way
			t.Fatal(err)
		}
	}
	if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != "3" {
		t.Errorf("%s, flushed before", got)
	}
}

// TestAloneBelievesNoOther: neither what another process without Redis keeps there, nor what a process left there before its restart.
func TestAloneBelievesNoOther(t *testing.T) {
	server, dsn := pgtest.StartMemcached(t), pgtest.Shared(t).NewDatabase(t)
	first := startAlone(t, dsn, server, unchanged, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	const read = "SELECT n::text FROM t"
	if got := value(t, first.connect(), read, pgx.QueryExecModeSimpleProtocol); got != "1" {
		t.Fatal(got)
	}
	first.stored(t, 1)
	mustExec(t, first.direct(), "UPDATE t SET n = 2") // as a write before the restart
	second := startAlone(t, dsn, server, unchanged)
	if got := value(t, second.connect(), read, pgx.QueryExecModeSimpleProtocol); got != "2" {
		t.Errorf("%s, written by another process", got)
	}
	if s := second.Status().L2; s.Hits != 0 || s.Stale != 1 {
		t.Errorf("%d hits, %d old results: nothing was tested", s.Hits, s.Stale)
	}
}

// TestAloneKeepsTheTTL: memcached does not tell how old a result is.
func TestAloneKeepsTheTTL(t *testing.T) {
	const ttl = 1500 * time.Millisecond
	change := policy(t, cachepolicy.Policy{DefaultTTL: ttl, MaxResult: 1 << 20})
	a := startAlone(t, pgtest.Shared(t).NewDatabase(t), pgtest.StartMemcached(t), change, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	c := a.connect()
	const read = "SELECT n::text FROM t"
	value(t, c, read, pgx.QueryExecModeSimpleProtocol)
	began := time.Now() // later than what it is about
	a.stored(t, 1)
	old := a.written()[0]
	old.TTL = time.Minute // as if memcached kept it for too long
	mustExec(t, a.direct(), "UPDATE t SET n = 2")
	hits := uint64(0)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if err := a.Backend.Apply(t.Context(), []cache.Write{old}); err != nil {
			t.Fatal(err)
		}
		a.forget()
		before := time.Since(began)
		got := value(t, c, read, pgx.QueryExecModeSimpleProtocol)
		if got == "1" && before > ttl {
			t.Fatalf("the old value %v after it was read", before)
		}
		if got == "2" {
			break
		}
		hits = a.Status().L2.Hits
	}
	if hits == 0 {
		t.Error("nothing came from memcached: nothing was tested")
	}
}

// TestFleetOnMemcached: the log is in Redis, the results are in memcached.
func TestFleetOnMemcached(t *testing.T) {
	server := pgtest.StartMemcached(t)
	fleet, logged := startFleetWith(t, 2, true, func(o *proxy.Options) { onMemcached(t, server, o) }, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	const read = "SELECT n::text FROM t"
	one, other := fleet[0].connect(), fleet[1].connect()
	value(t, other, "SELECT 1 FROM t", pgx.QueryExecModeSimpleProtocol) // its settings are known
	for i := range 20 {
		want := strconv.Itoa(i)
		hits := fleet[1].Status().L2.Hits
		// What is read before the end of the own write came back through the log can't be proved to be new.
		eventually(t, "the other one reads the result of the first", func() bool {
			for _, r := range fleet {
				alone{running: r}.forget()
			}
			for _, c := range []*pgx.Conn{one, other} {
				if got := value(t, c, read, pgx.QueryExecModeSimpleProtocol); got != want {
					t.Fatalf("%s after a write of %s", got, want)
				}
			}
			return fleet[1].Status().L2.Hits > hits
		})
		writer := one
		if i%2 == 1 {
			writer = other
		}
		mustExec(t, writer, "UPDATE t SET n = n + 1")
	}
	if found := results(t, logged); len(found) > 0 {
		t.Errorf("%d results are in Redis", len(found))
	}
	for _, r := range fleet {
		if up := r.Status().L2.Store; !up.Up || strings.Contains(up.LastError, "memcached") {
			t.Errorf("%+v", up)
		}
	}
}
