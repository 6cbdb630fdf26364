package remote

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// down returns a Guard whose store is not there.
func down(tb testing.TB) *Guard {
	g := guarded(tb, "redis://127.0.0.1:1", Options{})
	tb.Cleanup(func() {
		if err := g.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return g
}

// A store that is down must cost nothing (TRAPS 31).
func TestOpenAllocatesNothing(t *testing.T) {
	g := down(t)
	names, value, ctx := []string{"name"}, []byte("value"), context.Background()
	for what, f := range map[string]func() error{
		"Get":    func() error { _, err := g.Get(ctx, names...); return err },
		"Put":    func() error { return g.Put(ctx, names[0], value, time.Minute) },
		"Delete": func() error { return g.Delete(ctx, names...) },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := f(); !errors.Is(err, cache.ErrRemoteOpen) {
				t.Fatalf("%s: %v", what, err)
			}
		}); n != 0 {
			t.Errorf("%s while open: %v allocations", what, n)
		}
	}
}

func BenchmarkGetOpen(b *testing.B) {
	g := down(b)
	names, ctx := []string{"name"}, context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Get(ctx, names...); !errors.Is(err, cache.ErrRemoteOpen) {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet compares a bare GET by go-redis with what is put around it: the lifetime, and the Guard.
func BenchmarkGet(b *testing.B) {
	server, err := pgtest.StartRedisServer(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	store, err := redis.New(options)
	if err != nil {
		b.Fatal(err)
	}
	universal, err := options.Universal()
	if err != nil {
		b.Fatal(err)
	}
	bare := goredis.NewUniversalClient(universal)
	defer bare.Close()
	g := New(store, Options{Hang: 10 * time.Second})
	defer g.Close()
	waitUp(b, g)
	ctx := context.Background()
	for _, size := range []int{200, 20_000} {
		if err := store.Put(ctx, "name", make([]byte, size), time.Hour); err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func() error) {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("bare", func() error { return bare.Get(ctx, "name").Err() })
		run("store", func() error { _, err := store.Get(ctx, "name"); return err })
		run("guard", func() error { _, err := g.Get(ctx, "name"); return err })
	}
}
