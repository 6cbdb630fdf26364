package proxy_test

import (
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"

	"github.com/pgrecall/pgrecall/proxy"
)

// TestConsistencyForOneSession: a session may take answers that a write made old, and take that back.
func TestConsistencyForOneSession(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, '0')")
		const query = "SELECT n FROM t WHERE id = 1"
		loose, strict := r.connect(parameters...), r.connect(parameters...)
		mustExec(t, loose, "SET pgrecall.consistency = ttl")
		if hits := r.counts(loose, 3, query); hits != 2 {
			t.Errorf("%d hits, want 2", hits)
		}
		r.counts(strict, 2, query)
		mustExec(t, strict, "UPDATE t SET n = '1'")
		before := r.hits()
		if old := value(t, loose, query); old != "0" || r.hits() != before+1 {
			t.Errorf("ttl: got %s, %d hits, want the old value as a hit", old, r.hits()-before)
		}
		if fresh := value(t, strict, query); fresh != "1" {
			t.Errorf("strict: got %s after the write", fresh)
		}
		for _, level := range []string{"session", "strict"} {
			mustExec(t, loose, "SET pgrecall.consistency = "+level)
			value(t, loose, query)
			mustExec(t, strict, "UPDATE t SET n = n || '+'")
			if got, want := value(t, loose, query), value(t, r.direct(), query); got != want {
				t.Errorf("%s: got %s, want %s", level, got, want)
			}
		}
		// Not even such a session gets answers from before a change of definitions.
		mustExec(t, loose, "SET pgrecall.consistency = ttl")
		value(t, loose, query)
		mustExec(t, r.direct(), "UPDATE t SET n = 'unseen'")
		mustExec(t, strict, "ALTER TABLE t ADD another int")
		if got, want := value(t, loose, query), value(t, r.direct(), query); got != want {
			t.Errorf("after ALTER TABLE: got %s, want %s", got, want)
		}
	})
}

// TestSessionIsStricterThanItsRule: what the configuration allows, a session may refuse.
func TestSessionIsStricterThanItsRule(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, '0')")
		policy := &cachepolicy.Policy{DefaultTTL: time.Hour, MaxResult: 1 << 20, Consistency: cachepolicy.TTL}
		if err := policy.Compile(); err != nil {
			t.Fatal(err)
		}
		r.SetPolicy(policy)
		const query = "SELECT n FROM t WHERE id = 1"
		plain, strict := r.connect(parameters...), r.connect(parameters...)
		mustExec(t, strict, "SET pgrecall.consistency = strict")
		r.counts(plain, 2, query)
		r.counts(strict, 2, query)
		mustExec(t, plain, "UPDATE t SET n = '1'")
		if got := value(t, plain, query); got != "0" {
			t.Errorf("by the rule: got %s, want the old value", got)
		}
		if got := value(t, strict, query); got != "1" {
			t.Errorf("strict: got %s, want the new value", got)
		}
	})
}

// TestTTLOfOneStatement: a comment lengthens and shortens what the rule says, and what is no duration changes nothing.
func TestTTLOfOneStatement(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
		c := r.connect(parameters...)
		for _, step := range []struct {
			rule    time.Duration
			comment string
			hits    int64
		}{
			{time.Nanosecond, "/* pgrecall: ttl=30s */ ", 2},
			{time.Nanosecond, "/* pgrecall: ttl=soon */ ", 0},
			{time.Hour, "/* pgrecall: ttl=1ns */ ", 0},
			{time.Hour, "/* pgrecall: ttl=soon */ ", 2},
			{time.Hour, "/* pgrecall: ttl=30s, off */ ", 0},
		} {
			policy := &cachepolicy.Policy{DefaultTTL: step.rule, MaxResult: 1 << 20}
			if err := policy.Compile(); err != nil {
				t.Fatal(err)
			}
			r.SetPolicy(policy)
			flush(t, r, proxy.Selection{})
			if hits := r.counts(c, 3, step.comment+"SELECT id FROM t"); hits != step.hits {
				t.Errorf("rule %v, %s: %d hits, want %d", step.rule, step.comment, hits, step.hits)
			}
		}
	})
}
