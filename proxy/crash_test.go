package proxy_test

import (
	"context"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
	"time"
)

// TestCrashEmptiesUnloggedTables: sessions that are there when the server crashes notice, and so does the first one after.
func TestCrashEmptiesUnloggedTables(t *testing.T) {
	for name, connected := range map[string]bool{"session": true, "nobody": false} {
		t.Run(name, func(t *testing.T) {
			server := pgtest.Start(t)
			r := startOn(t, server.NewDatabase(t), func(o *proxy.Options) { o.CatalogInterval = time.Hour },
				"CREATE UNLOGGED TABLE u (id int)", "INSERT INTO u VALUES (1)")
			c := r.connect("default_query_exec_mode=exec")
			for range 3 {
				value(t, c, "SELECT count(*)::text FROM u")
			}
			if r.hits() == 0 {
				t.Fatal("no hits before the crash")
			}
			if !connected {
				_ = c.Close(context.Background())
				eventually(t, "nobody is connected", func() bool { return r.Status().Upstreams == 0 })
			}
			must(t, server.Kill(bounded(t)))
			must(t, server.Restart(bounded(t)))
			c = r.connect("default_query_exec_mode=exec")
			for range 3 {
				if got := value(t, c, "SELECT count(*)::text FROM u"); got != "0" {
					t.Fatalf("%s rows in an unlogged table after a crash", got)
				}
			}
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
