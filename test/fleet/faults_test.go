package fleet

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// Bounds on a busy machine, under the race detector. What is promised is far less: see docs/consistency.md, "What a caller waits for".
const (
	settling  = 2 * lease               // after this the members have found out that Redis is gone
	longest   = 4*lease + 2*time.Second // of any statement, a lease or two included
	usualRead = time.Second             // the median while Redis is away
	steady    = 800 * time.Millisecond  // how long a fault is looked at
)

// fault is something that goes wrong with Redis.
type fault struct {
	name string
	// begin and end it. What begin returns is called again and again while the fault lasts, nil: nothing.
	begin func(*stage) func()
	end   func(*stage)
	cut   bool // nobody reaches Redis, or nobody can write there: certainty is impossible
	slow  bool // each write has to wait for Redis, which answers late
}

// stage is where faults happen.
type stage struct {
	t      *testing.T
	fleet  *fleet
	server *pgtest.Redis
	client *goredis.Client // straight to Redis
}

func (s *stage) lines(f func(*faultnet.Proxy)) {
	for _, m := range s.fleet.members {
		f(m.line)
	}
}

func (s *stage) heal() { s.lines(func(p *faultnet.Proxy) { check(s.t, p.Heal()) }) }

func (s *stage) configure(name, value string) {
	check(s.t, s.client.ConfigSet(bounded(s.t), name, value).Err())
}

func faults() []fault {
	return []fault{
		{name: "killed", cut: true,
			begin: func(s *stage) func() { check(s.t, s.server.Kill(bounded(s.t))); return nil },
			end:   func(s *stage) { check(s.t, s.server.Start(bounded(s.t))) }},
		{name: "hangs", cut: true,
			begin: func(s *stage) func() { check(s.t, s.server.Pause()); return nil },
			end:   func(s *stage) { check(s.t, s.server.Resume()) }},
		{name: "refuses connections", cut: true,
			begin: func(s *stage) func() { s.lines((*faultnet.Proxy).Refuse); return nil },
			end:   (*stage).heal},
		{name: "connections stall", cut: true,
			begin: func(s *stage) func() { s.lines((*faultnet.Proxy).Stall); return nil },
			end:   (*stage).heal},
		{name: "20 ms late", slow: true,
			begin: func(s *stage) func() {
				s.lines(func(p *faultnet.Proxy) { p.Latency(20 * time.Millisecond) })
				return nil
			},
			end: (*stage).heal},
		{name: "200 ms late", slow: true,
			begin: func(s *stage) func() {
				s.lines(func(p *faultnet.Proxy) { p.Latency(200 * time.Millisecond) })
				return nil
			},
			end: (*stage).heal},
		{name: "out of memory", cut: true,
			begin: func(s *stage) func() { s.configure("maxmemory", "1mb"); return nil },
			end:   func(s *stage) { s.configure("maxmemory", "0") }},
		{name: "read-only", cut: true,
			begin: func(s *stage) func() {
				check(s.t, s.client.ReplicaOf(bounded(s.t), "127.0.0.1", "1").Err())
				return nil
			},
			end: func(s *stage) { check(s.t, s.client.ReplicaOf(bounded(s.t), "NO", "ONE").Err()) }},
		{name: "flushed",
			begin: func(s *stage) func() { return func() { check(s.t, s.client.FlushAll(bounded(s.t)).Err()) } },
			end:   func(*stage) {}},
		{name: "restarted empty",
			begin: func(s *stage) func() {
				return func() {
					check(s.t, s.server.Kill(bounded(s.t)))
					check(s.t, s.server.Start(bounded(s.t)))
				}
			},
			end: func(*stage) {}},
		{name: "resets and partial writes",
			begin: func(s *stage) func() {
				s.lines(func(p *faultnet.Proxy) { p.Pieces(7) })
				return func() { s.lines((*faultnet.Proxy).Reset) }
			},
			end: (*stage).heal},
		{name: "answers cut off",
			begin: func(s *stage) func() { return func() { s.lines(func(p *faultnet.Proxy) { p.CutOnce(501) }) } },
			end:   (*stage).heal},
		{name: "one member cut off", cut: true,
			begin: func(s *stage) func() { s.fleet.members[1].line.Stall(); return nil },
			end:   (*stage).heal},
	}
}

func TestRedisFails(t *testing.T) {
	for name, level := range map[string]cachepolicy.Consistency{"strict": cachepolicy.Strict, "session": cachepolicy.Session} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stage{t: t, server: pgtest.StartRedis(t, "--maxmemory-policy", "noeviction")}
			s.client = goredis.NewClient(&goredis.Options{Addr: s.server.Address()})
			t.Cleanup(func() { _ = s.client.Close() })
			const clients = 2
			s.fleet = start(t, setup{level: level, server: s.server, tables: clients})
			l := s.fleet.load(clients)
			for _, f := range faults() {
				t.Run(f.name, func(t *testing.T) { s.run(t, l, f) })
			}
		})
	}
}

// run lets the load go on through a fault.
func (s *stage) run(t *testing.T, l *load, f fault) {
	s.t = t
	eventually(t, "hits before", func() bool { return s.hitting(l) })
	l.reads.take()
	l.writes.take()
	began := time.Now()
	again := f.begin(s)
	for time.Since(began) < settling {
		l.pass(50 * time.Millisecond)
		if again != nil {
			again()
		}
	}
	t.Logf("at once: reads %v; writes %v", l.reads.take(), l.writes.take())
	before := s.fleet.hits()
	l.pass(steady)
	eventually(t, "statements are answered", func() bool { return l.reads.len() > 0 && l.writes.len() > 0 })
	hits, reads, writes := s.fleet.hits()-before, l.reads.take(), l.writes.take()
	t.Logf("then: reads %v; writes %v; %d hits", reads, writes, hits)
	strict := s.fleet.level == cachepolicy.Strict
	if strict && f.cut && hits != 0 {
		t.Errorf("%d hits without certainty", hits)
	}
	if !strict {
		eventually(t, "L1 goes on", func() bool { return s.fleet.hits() > before })
	}
	if reads.at(1) > longest || writes.at(1) > longest {
		t.Errorf("a statement took longer than %v", longest)
	}
	if median := reads.at(.5); median > usualRead {
		t.Errorf("reads take %v", median)
	}
	if median := writes.at(.5); !f.slow && median > 2*lease {
		t.Errorf("writes take %v", median)
	}
	f.end(s)
	healed := time.Now()
	s.fleet.t = t
	s.fleet.certain()
	eventually(t, "hits again", func() bool { return s.hitting(l) })
	eventually(t, "L2 is asked again", func() bool {
		for _, m := range s.fleet.members {
			if !m.Status().L2.Store.Up {
				return false
			}
		}
		return true
	})
	t.Logf("as before after %v: reads %v; writes %v", time.Since(healed), l.reads.take(), l.writes.take())
}

// hitting tells whether there are hits in L1.
func (s *stage) hitting(l *load) bool {
	before := s.fleet.hits()
	l.pass(20 * time.Millisecond)
	return s.fleet.hits() > before
}
