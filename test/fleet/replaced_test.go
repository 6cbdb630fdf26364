package fleet

import (
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestFailover kills the master again and again while clients write: its replica takes over, and may lack the log's end.
func TestFailover(t *testing.T) {
	t.Parallel()
	sentinel := pgtest.StartRedisSentinel(t)
	f := start(t, setup{url: sentinel.URL(), tables: 2})
	l := f.load(2)
	for range 2 {
		l.pass(300 * time.Millisecond)
		master, err := sentinel.Master(bounded(t))
		check(t, err)
		check(t, master.Kill(bounded(t)))
		l.pass(settling)
		f.rests(l)
		eventually(t, "another master", func() bool {
			now, err := sentinel.Master(bounded(t))
			return err == nil && now != master
		})
		check(t, master.Start(bounded(t)))
		f.certain()
		f.goesOn(l)
	}
}

// TestClusterDown takes a node of the Cluster away: it answers nothing until the node is back.
func TestClusterDown(t *testing.T) {
	t.Parallel()
	cluster := pgtest.StartRedisCluster(t)
	f := start(t, setup{url: cluster.URL(), tables: 2})
	l := f.load(2)
	for _, node := range cluster.Nodes[:2] {
		check(t, node.Kill(bounded(t)))
		l.pass(settling)
		f.rests(l)
		check(t, node.Start(bounded(t)))
		check(t, cluster.WaitReady(bounded(t)))
		f.certain()
		f.goesOn(l)
	}
}

// rests looks at the load while there is no Redis, or a new one.
func (f *fleet) rests(l *load) {
	f.t.Helper()
	reads, writes := l.reads.take(), l.writes.take()
	f.t.Logf("without Redis: reads %v; writes %v", reads, writes)
	if len(reads) == 0 || len(writes) == 0 || reads.at(1) > longest || writes.at(1) > longest {
		f.t.Errorf("reads %v; writes %v", reads, writes)
	}
}

// goesOn waits until answers come out of L1, and until L2 has some.
func (f *fleet) goesOn(l *load) {
	f.t.Helper()
	defer func() {
		for i, m := range f.members {
			if f.t.Failed() {
				s := m.Status()
				f.t.Logf("member %d: ready: %v; L2 %+v; fleet %+v; %+v", i, m.Ready(), *s.L2, *s.Fleet, s)
			}
		}
	}()
	before := f.hits()
	eventually(f.t, "hits again", func() bool { return f.hits() > before })
	written := f.members[0].Status().L2.Store.Written
	eventually(f.t, "L2 is written again", func() bool { return f.members[0].Status().L2.Store.Written > written })
	f.t.Logf("with Redis again: reads %v; writes %v", l.reads.take(), l.writes.take())
}

// TestWritesOfOthersWaitForStrictReaders: one member has no strict rules, and its writes are seen by a strict one at once nevertheless.
func TestWritesOfOthersWaitForStrictReaders(t *testing.T) {
	t.Parallel()
	f := start(t, setup{server: pgtest.StartRedis(t), levels: []cachepolicy.Consistency{cachepolicy.Strict, cachepolicy.Session}})
	reader, writer := f.connect(0), f.connect(1)
	const query = "SELECT n FROM c0"
	for i := range 200 {
		f.value(reader, query)
		before := f.members[0].Status().Outcomes["hit_l1"]
		if i == 0 {
			eventually(t, "a hit", func() bool {
				f.value(reader, query)
				return f.members[0].Status().Outcomes["hit_l1"] > before
			})
		}
		f.exec(writer, "UPDATE c0 SET n = n + 1")
		if got := f.value(reader, query); got != i+1 {
			t.Fatalf("%d after an acknowledged write of %d", got, i+1)
		}
	}
}

// TestCutOffMemberGoesOnUnderSession: L1 goes on answering, a client sees its own writes at once, and those of others when the member is back.
func TestCutOffMemberGoesOnUnderSession(t *testing.T) {
	server := pgtest.StartRedis(t)
	f := start(t, setup{level: cachepolicy.Session, server: server})
	here, there := f.connect(1), f.connect(0)
	const query = "SELECT n FROM c0"
	hit := func() bool {
		before := f.members[1].Status().Outcomes["hit_l1"]
		f.value(here, query)
		return f.members[1].Status().Outcomes["hit_l1"] > before
	}
	eventually(t, "a hit", hit)
	f.members[1].line.Stall()
	for i := range 20 {
		f.exec(here, "UPDATE c0 SET n = n + 1")
		if got := f.value(here, query); got != i+1 {
			t.Fatalf("%d after an own write of %d", got, i+1)
		}
		eventually(t, "a hit without Redis", hit)
	}
	f.exec(there, "UPDATE c0 SET n = 1000")
	check(t, f.members[1].line.Heal())
	eventually(t, "the other's write is seen", func() bool { return f.value(here, query) == 1000 })
	f.certain()
	eventually(t, "a hit", hit)
}
