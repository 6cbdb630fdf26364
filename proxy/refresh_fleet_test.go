package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestRefreshOfOneServesAll: a process whose entry is due takes what another has filled anew, and asks nobody.
func TestRefreshOfOneServesAll(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		fleet, server := startFleetWith(t, 2, true, func(o *proxy.Options) { o.Policy = policyOf(t, cachepolicy.Rule{TTL: time.Hour}) },
			"CREATE TABLE t (n text)", "INSERT INTO t VALUES ('old')")
		const query = "SELECT n FROM t"
		one, other := fleet[0].connect(parameters...), fleet[1].connect(parameters...)
		eventually(t, "a hit", func() bool { return fleet[0].counts(one, 1, query) > 0 })
		eventually(t, "a hit of the other process", func() bool { return fleet[1].counts(other, 1, query) > 0 })
		filled := time.Now()

		mustExec(t, fleet[0].direct(), "UPDATE t SET n = 'new'") // nobody is told
		eventually(t, "a newer result is another one to the other process", func() bool { return time.Since(filled) > 200*time.Millisecond })
		fleet[0].SetEarlyRefresh(eager)
		eventually(t, "it is refreshed", func() bool { return value(t, one, query) == "new" })
		eventually(t, "the new one is in L2", func() bool {
			for _, entry := range results(t, server) {
				if strings.Contains(entry, "new") {
					return true
				}
			}
			return false
		})
		fleet[1].SetEarlyRefresh(eager)
		first := value(t, other, query)
		fleet[1].SetEarlyRefresh(0)
		if second := value(t, other, query); first != "old" || second != "new" {
			t.Errorf("%s, then %s", first, second)
		}
		if n := refreshes(fleet[1], "early"); n != 0 {
			t.Errorf("the other process asked %d times itself", n)
		}
	})
}

// TestRefreshIsOneOfTheFleet: while one process refreshes what is worth a lease no other does, and all go on answering.
func TestRefreshIsOneOfTheFleet(t *testing.T) {
	fleet, _ := startFleetWith(t, 2, true, func(o *proxy.Options) {
		patient(o)
		o.Policy = policyOf(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour})
	}, append(gated, "CREATE FUNCTION slow() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.01); RETURN ''; END$$")...)
	const query = "SELECT gate(id)::text || slow() FROM item"
	one, other := fleet[0].connect(simple), fleet[1].connect(simple)
	past := fleet[0].direct()
	eventually(t, "a refresh of the other process", func() bool { value(t, other, query); return refreshes(fleet[1], "stale") > 0 })
	eventually(t, "the first one has the result, too", func() bool { return fleet[0].counts(one, 1, query) > 0 })
	mustExec(t, past, "SELECT pg_advisory_lock(7)")
	eventually(t, "one refresh is under way", func() bool {
		value(t, one, query)
		value(t, other, query)
		return value(t, past, waiting, pgx.QueryExecModeSimpleProtocol) == "1"
	})
	both := func() int64 { return refreshes(fleet[0], "stale") + refreshes(fleet[1], "stale") }
	begun := both()
	for range 10 {
		value(t, one, query)
		value(t, other, query)
	}
	if n := both(); n != begun {
		t.Errorf("%d refreshes at a time", n-begun+1)
	}
	mustExec(t, past, "SELECT pg_advisory_unlock(7)")
	eventually(t, "the next one begins", func() bool { value(t, other, query); return both() > begun })
}
