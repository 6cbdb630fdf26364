package proxy_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

const pausedSchema = `CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'old'), (2, 'two'), (3, 'three')`

// TestPause: nothing is served nor kept while the cache is paused, writes still invalidate, and what they left comes back with RESUME.
func TestPause(t *testing.T) {
	for name, mode := range map[string]string{"simple": simple, "extended": "default_query_exec_mode=cache_statement", "described": "default_query_exec_mode=describe_exec"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, pausedSchema)
			c := r.connect(mode)
			read := func(id string) string { return value(t, c, "SELECT name FROM item WHERE id = "+id) }
			for range 3 {
				read("1")
				read("2")
			}
			before := r.hits()
			if before == 0 {
				t.Fatal("nothing was answered from the cache before")
			}
			entries := r.L1.Stats().Entries

			r.Pause()
			if !r.Paused() {
				t.Error("not paused")
			}
			for range 3 {
				read("1")
				read("3") // new: it must not enter
			}
			if got := r.hits(); got != before {
				t.Errorf("%d hits while paused", got-before)
			}
			if got := r.L1.Stats().Entries; got != entries {
				t.Errorf("%d entries, %d before", got, entries)
			}
			if got := r.Status().Bypasses["paused"]; got < 6 {
				t.Errorf("%d bypasses for the pause", got)
			}
			if got := r.Uncached(-1); len(got) > 0 {
				t.Errorf("the shapes are blamed: %+v", got)
			}
			mustExec(t, r.connect(), "UPDATE item SET name = 'new' WHERE id = 1")

			r.Resume()
			if got := read("1"); got != "new" {
				t.Errorf("after a write in the pause: %q", got)
			}
			before = r.hits()
			for range 3 {
				if got := read("1"); got != "new" {
					t.Errorf("%q", got)
				}
			}
			if r.hits() == before {
				t.Error("nothing is answered from the cache after Resume")
			}
		})
	}
}

// TestPauseKeepsEntries: what nobody wrote to answers again at once.
func TestPauseKeepsEntries(t *testing.T) {
	r := start(t, pausedSchema)
	c := r.connect(simple)
	read := func() string { return value(t, c, "SELECT name FROM item WHERE id = 2") }
	read()
	read()
	before := r.hits()
	r.Pause()
	read()
	r.Resume()
	if got := read(); got != "two" || r.hits() != before+1 {
		t.Errorf("%q, %d hits after %d", got, r.hits(), before)
	}
}

// TestPauseStopsFillsUnderWay: a read that was sent before Pause does not enter the cache after it.
func TestPauseStopsFillsUnderWay(t *testing.T) {
	for name, mode := range map[string]string{"simple": simple, "extended": "default_query_exec_mode=exec"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, pausedSchema)
			blocker := r.direct()
			mustExec(t, blocker, "BEGIN")
			mustExec(t, blocker, "LOCK TABLE item")
			c := r.connect(mode)
			done := make(chan struct{})
			go func() {
				defer close(done)
				var name string
				if err := c.QueryRow(bounded(t), "SELECT name FROM item WHERE id = 2").Scan(&name); err != nil || name != "two" {
					t.Errorf("%q %v", name, err)
				}
			}()
			watcher := r.direct()
			eventually(t, "the read waits for the lock", func() bool {
				return value(t, watcher, "SELECT count(*)::text FROM pg_locks WHERE NOT granted") == "1"
			})
			r.Pause()
			mustExec(t, blocker, "COMMIT")
			<-done
			if got := r.L1.Stats().Entries; got != 0 {
				t.Errorf("%d entries", got)
			}
		})
	}
}

// TestPauseWithinACycle: what the client has sent before Pause, and is not answered yet, is not answered from the cache after it.
func TestPauseWithinACycle(t *testing.T) {
	r := start(t, pausedSchema)
	c := r.session()
	cycle := statement("SELECT name FROM item WHERE id = 2")
	for range 3 {
		c.send(cycle)
		c.untilReady()
	}
	before := r.hits()
	if before == 0 {
		t.Fatal("no hit before")
	}
	c.send(cycle[:len(cycle)-5]) // all but Sync
	other := r.session()         // a round trip, in which the proxy has most likely read it
	other.send(statement("SELECT 1"))
	other.untilReady()
	r.Pause()
	c.send(cycle[len(cycle)-5:])
	if got := column(c.untilReady()); len(got) != 1 || got[0] != "two" || r.hits() != before {
		t.Errorf("%q, %d hits", got, r.hits()-before)
	}
}

// TestPausePassesEverythingOn: in the pause clients see what they see without pgrecall.
func TestPausePassesEverythingOn(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {}, "postgres")
	mustExec(t, r.direct(), pausedSchema)
	r.Pause()
	script := join(frame('Q', "SELECT * FROM item; SELECT 1/0"), statement("SELECT name FROM item WHERE id = 1"), statement("SELECT nope"),
		frame('Q', "BEGIN"), statement("INSERT INTO item VALUES (9, 'nine')"), statement("SELECT name FROM item WHERE id = 9"), frame('Q', "ROLLBACK"), frame('X'))
	talk := func(c *raw) (string, []string) {
		c.startup(protocol30, r.Upstream)
		c.untilReady()
		c.send(script)
		all := c.untilClosed()
		return types(all), column(all)
	}
	wantTypes, wantColumns := talk(dialRaw(t, pgtest.Shared(t).Address()))
	gotTypes, gotColumns := talk(r.raw())
	if gotTypes != wantTypes || len(gotColumns) != len(wantColumns) {
		t.Errorf("got  %s %q\nwant %s %q", gotTypes, gotColumns, wantTypes, wantColumns)
	}
}
