package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/proxy"
)

// TestDoubtReachesTheFleet: what one process found wrong is served by none, in no tier, and does not come back when it is allowed again.
func TestDoubtReachesTheFleet(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			first := true
			fleet, server := startFleetWith(t, 3, strict, func(o *proxy.Options) {
				if first { // the others must not find out by themselves
					o.Verify = 1
				}
				first = false
			}, "CREATE TABLE flushed (n text)", "INSERT INTO flushed VALUES ('1')")
			finder, other, late := fleet[0].connect(simple), fleet[1].connect(simple), fleet[2].connect(simple)
			value(t, late, "SELECT 1")
			eventually(t, "a hit", func() bool { return fleet[0].counts(finder, 2, flushedRead) > 0 })
			eventually(t, "a hit of another process", func() bool { return fleet[1].counts(other, 2, flushedRead) > 0 })
			eventually(t, "the result is in L2", func() bool { return len(results(t, server)) == 1 })
			before := results(t, server)

			direct := fleet[0].direct()
			mustExec(t, direct, "UPDATE flushed SET n = '2'") // nobody is told
			eventually(t, "the difference is found", func() bool {
				value(t, finder, flushedRead)
				return len(fleet[0].Doubts()) == 1
			})
			eventually(t, "the other process forgets it", func() bool { return value(t, other, flushedRead) == "a2" })
			eventually(t, "L2 has the old result no more", func() bool { // nor, where the flush came later, the new one
				now := results(t, server)
				for name, old := range before {
					if now[name] == old {
						return false
					}
				}
				return true
			})
			put(t, server, before)
			for name, c := range map[string]*pgx.Conn{"finder": finder, "other": other, "late": late} {
				if got := value(t, c, flushedRead); got != "a2" {
					t.Errorf("%s: %s after the difference was found", name, got)
				}
			}
			if n := len(fleet[1].Doubts()) + len(fleet[2].Doubts()); n != 0 {
				t.Errorf("%d doubts of processes that found nothing", n)
			}

			// The others went on caching it. Its new result is old again by now, in L1 and L2, and nobody knows.
			eventually(t, "a hit of another process", func() bool { return fleet[1].counts(other, 2, flushedRead) > 0 })
			mustExec(t, direct, "UPDATE flushed SET n = '3'")
			if got := value(t, other, flushedRead); got != "a2" {
				t.Fatalf("%s: nothing is tested", got)
			}
			if n := fleet[0].Allow(t.Context(), 0); n != 1 {
				t.Errorf("Allow: %d", n)
			}
			if got := value(t, finder, flushedRead); got != "a3" {
				t.Errorf("%s after it was allowed again", got)
			}
			if strict {
				if got := value(t, other, flushedRead); got != "a3" {
					t.Errorf("another process: %s after it was allowed again", got)
				}
			}
			eventually(t, "the other process forgets it again", func() bool { return value(t, other, flushedRead) == "a3" })
		})
	}
}

// TestDoubtDoesNotWait: the session that was checked goes on while Redis, which is to forget the result, hangs.
func TestDoubtDoesNotWait(t *testing.T) {
	fleet, server := startFleetWith(t, 1, false, func(o *proxy.Options) { o.Verify = 1 }, "CREATE TABLE flushed (n text)", "INSERT INTO flushed VALUES ('1')")
	r := fleet[0]
	c := r.connect("default_query_exec_mode=simple_protocol")
	eventually(t, "a hit", func() bool { return r.counts(c, 2, flushedRead) > 0 })
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Resume() }()
	mustExec(t, r.direct(), "UPDATE flushed SET n = '2'") // nobody is told
	slowest := time.Duration(0)
	eventually(t, "the difference is found", func() bool {
		began := time.Now()
		value(t, c, flushedRead)
		slowest = max(slowest, time.Since(began))
		return len(r.Doubts()) == 1
	})
	began := time.Now()
	if got := value(t, c, flushedRead); got != "a2" {
		t.Errorf("%s after the difference was found", got)
	}
	if slowest = max(slowest, time.Since(began)); slowest > 2*time.Second {
		t.Errorf("a statement waited for %v", slowest)
	}
}
