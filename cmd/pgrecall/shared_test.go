package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// startBound is how long an instance may take to start, or to refuse to.
const startBound = 30 * time.Second

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) contain(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.String(), text)
}

// startInstance starts what serve starts with these arguments.
func startInstance(t *testing.T, log *lines, args ...string) (*instance, error) {
	t.Helper()
	none := func(string) string { return "" }
	c, err := config.Load(append([]string{"--listen=127.0.0.1:0", "--admin="}, args...), none)
	if err != nil {
		t.Fatal(err)
	}
	up, err := parseUpstream(c, none)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startBound)
	defer cancel()
	i, err := start(ctx, c, up, slog.New(slog.NewTextHandler(log, nil)))
	if err == nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), startBound)
			defer cancel()
			if err := i.close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return i, err
}

// TestMemcachedAlone: L2 without Redis is for one pgrecall, and it says so.
func TestMemcachedAlone(t *testing.T) {
	var log lines
	i, err := startInstance(t, &log, "--upstream", pgtest.Shared(t).NewDatabase(t), "--memcached=memcached://"+pgtest.StartMemcached(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	if !log.contain("level=WARN msg=\"cache.memcached without cache.redis") {
		t.Errorf("no warning: %s", log.String())
	}
	conn, err := pgx.ConnectConfig(t.Context(), throughProxy(i.upstream.config, i))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (n int)"); err != nil {
		t.Fatal(err)
	}
	server := i.engine.(*proxy.Server)
	for deadline := time.Now().Add(startBound); server.Status().L2.Hits == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing comes from memcached: %+v", server.Status().L2)
		}
		i.l1.DeleteFunc(func(*cache.Entry) bool { return true })
		if _, err := conn.Exec(t.Context(), "SELECT n FROM t"); err != nil {
			t.Fatal(err)
		}
	}
}
