package proxy_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// startFar starts a fleet of one in front of a server to which a message takes this long, each way. It returns what stands between, too.
func startFar(t *testing.T, strict bool, latency time.Duration, change func(*proxy.Options)) (*running, *faultnet.Proxy) {
	t.Helper()
	dsn := pgtest.Shared(t).NewDatabase(t)
	mustExec(t, dial(t, dsn), "CREATE TABLE t AS SELECT 0 AS n")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	between := faultnet.Start(t, u.Host)
	u.Host = between.Address()
	server := pgtest.StartRedis(t)
	log := goredis.NewClient(&goredis.Options{Addr: server.Address(), ContextTimeoutEnabled: true})
	between.Latency(latency)
	r := startOn(t, u.String(), memberOptions(t, server, log, strict, change))
	t.Cleanup(func() { between.Latency(0) })
	return r, between
}

// TestWritesToAFarServer: connecting takes longer than half a lease, a question does not.
func TestWritesToAFarServer(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"strict": true, "session": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := startFar(t, strict, 65*time.Millisecond, unchanged)
			if _, err := r.connect(simple).Exec(bounded(t), "UPDATE t SET n = n + 1"); err != nil {
				t.Errorf("a write: %v", err)
			}
			eventually(t, "it is certain of the fleet", func() bool { return !strict || r.Status().Fleet.Live })
		})
	}
}

// TestServerTooFarForTheLease: a question takes longer than half a lease. Nothing but another lease helps, and the operator hears so.
func TestServerTooFarForTheLease(t *testing.T) {
	t.Parallel()
	var told logged
	_, between := startFar(t, true, 0, func(o *proxy.Options) {
		told.into(o)
		o.Fleet.Bus.Logger = o.Logger
	})
	between.Latency(300 * time.Millisecond)
	eventually(t, "a warning tells what to do", func() bool { return strings.Contains(told.String(), "raise --l2-lease") })
}
