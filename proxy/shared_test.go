package proxy_test

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/proxy"
)

// policy replaces a proxy's.
func policy(t *testing.T, p cachepolicy.Policy) func(*proxy.Options) {
	t.Helper()
	if err := p.Compile(); err != nil {
		t.Fatal(err)
	}
	return func(o *proxy.Options) { o.Policy, o.Limits.MaxResult = &p, 8<<20 }
}

// TestLargeResultsStayOutOfL2: one that takes more than a MiB there is kept in L1 only.
func TestLargeResultsStayOutOfL2(t *testing.T) {
	fleet, server := startFleetWith(t, 1, true, policy(t, cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 8 << 20}),
		"CREATE TABLE t AS SELECT n, encode(sha256(n::text::bytea), 'base64') AS v FROM generate_series(1, 33000) n")
	c := fleet[0].connect()
	for query, shared := range map[string]bool{"SELECT v FROM t WHERE n <= 10000": true, "SELECT v FROM t": false} {
		before, refused, l1 := len(results(t, server)), fleet[0].Status().L2.Refused["too_large"], fleet[0].hits()
		mustExec(t, c, query)
		mustExec(t, c, query)
		if fleet[0].hits() != l1+1 {
			t.Errorf("%s: not in L1", query)
		}
		eventually(t, "the result is stored or refused", func() bool {
			return len(results(t, server)) > before || fleet[0].Status().L2.Refused["too_large"] > refused
		})
		if got := len(results(t, server)) > before; got != shared {
			t.Errorf("%s: in L2: %v", query, got)
		}
	}
}

// TestLongerLifetimeInRedisProlongsNoAnswer: whoever can write to Redis could make results live longer (PEXPIRE).
func TestLongerLifetimeInRedisProlongsNoAnswer(t *testing.T) {
	const ttl = 2 * time.Second
	fleet, server := startFleetWith(t, 2, true, policy(t, cachepolicy.Policy{DefaultTTL: ttl, MaxResult: 1 << 20}),
		"CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	one, other := fleet[0].connect(), fleet[1].connect()
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer client.Close()
	eventually(t, "the first result is in L2", func() bool { // and the other's settings are known
		value(t, other, "SELECT 1 FROM t")
		return len(results(t, server)) == 1
	})
	if got := value(t, one, "SELECT n::text FROM t"); got != "1" {
		t.Fatal(got)
	}
	filled := time.Now()
	eventually(t, "the second result is in L2", func() bool { return len(results(t, server)) == 2 })
	for name := range results(t, server) {
		if err := client.PExpire(t.Context(), name, ttl).Err(); err != nil { // as it was, and again below
			t.Fatal(err)
		}
	}
	mustExec(t, fleet[0].direct(), "UPDATE t SET n = 2") // nobody is told
	for tick := time.NewTicker(50 * time.Millisecond); time.Since(filled) < ttl+1500*time.Millisecond; <-tick.C {
		for name := range results(t, server) {
			if err := client.PExpire(t.Context(), name, ttl).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(results(t, server)) != 2 {
		t.Fatal("the results are gone from Redis: nothing was tested")
	}
	if got := value(t, other, "SELECT n::text FROM t"); got != "2" {
		t.Errorf("%s after %v, from L2: %d hits", got, time.Since(filled), fleet[1].Status().L2.Hits)
	}
}
