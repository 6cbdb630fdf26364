package proxy_test

import (
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestAgeCountsFromTheSnapshot: a slow query's answer is as old as what the server saw when the query began.
func TestAgeCountsFromTheSnapshot(t *testing.T) {
	const ttl = 500 * time.Millisecond
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), policy(t, cachepolicy.Policy{DefaultTTL: ttl, MaxResult: 1 << 20}), gated...)
		past, c := r.direct(), r.connect(parameters...)
		value(t, c, "SELECT n FROM item") // settings are known from here on
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		const sql = "SELECT gate(id)::text, n::text FROM item"
		slow := ask(c, sql)
		waits(t, past, "1")
		mustExec(t, past, "UPDATE item SET n = 2") // nobody is told
		mustExec(t, past, "SELECT pg_sleep($1)", ttl.Seconds())
		mustExec(t, past, "SELECT pg_advisory_unlock(7)")
		if a := <-slow; a.err != nil || a.got != "1" {
			t.Fatalf("%q, %v", a.got, a.err)
		}
		if a := <-ask(c, sql); a.err != nil || a.got != "2" {
			t.Errorf("%q, %v: older than its TTL", a.got, a.err)
		}
	})
}
