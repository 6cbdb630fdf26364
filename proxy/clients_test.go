package proxy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestClients: what SHOW CLIENTS knows.
func TestClients(t *testing.T) {
	ours, authority := identity(t)
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.TLS = ours }, "postgres")
	r.rawOps()
	app := r.connect("sslmode=verify-full", "sslrootcert="+authority)
	block := r.connect()
	mustExec(t, block, "BEGIN")
	failed := r.connect()
	mustExec(t, failed, "BEGIN")
	_, _ = failed.Exec(t.Context(), "SELECT 1/0")
	sleeps := r.connect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = sleeps.Exec(t.Context(), "SELECT pg_sleep(20)")
	}()
	silent := r.raw()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("%q", got)
		}
	}()
	eventually(t, "all are there", func() bool {
		got = got[:0]
		for _, c := range r.Clients() {
			got = append(got, fmt.Sprint(c.Database == r.Database, " ", c.Role, " ", c.Encrypted, " ", c.State, " ", c.PID != 0))
		}
		return slices.Equal(got, []string{
			"false postgres false console true", "true postgres true idle true", "true postgres true idle in transaction true",
			"true postgres true idle in transaction (aborted) true", "true postgres true active true", "false  false starting false"})
	})
	for _, c := range r.Clients() {
		if c.State == proxy.ClientIdle && c.PID != app.PgConn().PID() {
			t.Errorf("%d, want %d", c.PID, app.PgConn().PID())
		}
		if c.State == proxy.ClientActive {
			mustExec(t, app, "SELECT pg_cancel_backend($1)", int32(c.PID))
		}
	}
	<-done
	_ = silent.Close()
}
