package remote

import (
	"context"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/cache/remotetest"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// bound is how long a test waits for what must happen.
const bound = 20 * time.Second

// guarded returns a Guard that asks the Redis at the URL, closed when the test has ended. It is not up yet.
func guarded(t testing.TB, url string, options Options) *Guard {
	t.Helper()
	where, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.New(where)
	if err != nil {
		t.Fatal(err)
	}
	return New(store, options)
}

// start returns a Guard that is up.
func start(t testing.TB, url string, options Options) *Guard {
	t.Helper()
	g := guarded(t, url, options)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	waitUp(t, g)
	return g
}

func waitUp(t testing.TB, g *Guard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := g.WaitUp(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	url := pgtest.StartRedis(t).URL()
	remotetest.Run(t, remotetest.Suite{
		New: func(t *testing.T) cache.Remote {
			g := guarded(t, url, Options{Hang: time.Second}) // the machine may be busy
			waitUp(t, g)
			return g
		},
		Settle: settle,
	})
}
