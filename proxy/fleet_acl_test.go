package proxy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestRedisUserOfTheManual: the rights that docs/fleet.md names are enough.
func TestRedisUserOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).Find(manual)
	words := strings.Fields(strings.Replace(string(line), ">PASSWORD", ">secret", 1))
	if len(words) < 10 {
		t.Fatalf("no user in the manual: %q", line)
	}
	arguments := make([]any, len(words))
	for i, word := range words {
		arguments[i] = word
	}
	var store *redis.Store
	options := redis.Options{Username: "pgrecall", Password: "secret"}
	fleet, server := startFleetOn(t, 2, true, func(admin *goredis.Client) *goredis.Client {
		if err := admin.Do(t.Context(), arguments...).Err(); err != nil {
			t.Fatal(err)
		}
		options.Addresses = []string{admin.Options().Addr}
		return goredis.NewClient(&goredis.Options{Addr: admin.Options().Addr, Username: "pgrecall", Password: "secret", ContextTimeoutEnabled: true})
	}, func(o *proxy.Options) {
		s, err := redis.New(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		store, o.Shared.Store = s, s
	}, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (0)")
	one, other := fleet[0].connect(), fleet[1].connect()
	const read = "SELECT count(*)::text FROM t, generate_series(1, 30000)"
	eventually(t, "a hit of L2", func() bool {
		mustExec(t, one, "UPDATE t SET n = n + 1")
		value(t, one, read)
		value(t, other, read)
		return fleet[1].Status().L2.Hits > 0
	})
	if _, err := store.Flush(t.Context(), cache.NamespacePrefix("test."+fleet[0].Database)); err != nil {
		t.Errorf("flush: %v", err)
	}
	if s := fleet[0].Status().L2; s.Store.Errors > 0 || s.Leases == 0 {
		t.Errorf("%+v", s)
	}
	admin := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = admin.Close() }()
	refused, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(refused) > 0 {
		t.Errorf("refused commands: %v, %v", refused, err)
	}
}
