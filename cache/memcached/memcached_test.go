package memcached

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/remotetest"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func open(t *testing.T, addresses ...string) *Store {
	t.Helper()
	store, err := New(Options{Addresses: addresses})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func suite(addresses ...string) remotetest.Suite {
	return remotetest.Suite{
		New:  func(t *testing.T) cache.Remote { return open(t, addresses...) },
		Unit: time.Second, Coarse: true,
	}
}

func TestContract(t *testing.T) { remotetest.Run(t, suite(pgtest.StartMemcached(t).Address())) }

func TestContractOnTwoServers(t *testing.T) {
	remotetest.Run(t, suite(pgtest.StartMemcached(t).Address(), pgtest.StartMemcached(t).Address()))
}

// What memcached lost must not come back with the flush that it forgot: the generation is never one that was there before.
func TestLostGenerationFindsNothing(t *testing.T) {
	server := pgtest.StartMemcached(t)
	store, other := open(t, server.Address()), open(t, server.Address())
	defer store.Close()
	defer other.Close()
	name := cache.RemoteName("db", "t", 1, cache.Key{1})
	if err := store.Put(t.Context(), name, []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := store.client.Delete(generationKey("db")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if values, err := other.Get(t.Context(), name); err != nil || values[0].Bytes != nil {
			t.Fatalf("%v, %v", values, err)
		}
		if err := other.Put(t.Context(), cache.RemoteName("db", "t", 1, cache.Key{2}), []byte("y"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	// A proxy that has not noticed yet writes what nobody finds, and then notices.
	if err := store.Put(t.Context(), name, []byte("old"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if values, err := store.Get(t.Context(), name); err != nil || values[0].Bytes != nil {
		t.Fatalf("%v, %v", values, err)
	}
	if err := store.Put(t.Context(), name, []byte("new"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if values, err := other.Get(t.Context(), name); err != nil || string(values[0].Bytes) != "new" {
		t.Fatalf("%v, %v", values, err)
	}
}

func TestTooLargeIsRefusedAndKeepsNothingBack(t *testing.T) {
	store := open(t, pgtest.StartMemcached(t).Address())
	defer store.Close()
	name := func(n byte) string { return cache.RemoteName("db", "t", 1, cache.Key{n}) }
	if err := store.Put(t.Context(), name(1), []byte("small"), time.Minute); err != nil {
		t.Fatal(err)
	}
	err := store.Apply(t.Context(), []cache.Write{
		{Name: name(1), Value: make([]byte, 2<<20), TTL: time.Minute}, {Name: name(2), Value: []byte("x"), TTL: time.Minute}})
	if !errors.Is(err, cache.ErrValueRefused) || !strings.Contains(err.Error(), "-I") {
		t.Fatal(err)
	}
	values, err := store.Get(t.Context(), name(1), name(2))
	if err != nil || values[0].Bytes != nil || string(values[1].Bytes) != "x" {
		t.Errorf("%q, %v: the older value must be gone, the other be there", values, err)
	}
}

// A server that hangs holds no caller longer than its context.
func TestHangingServer(t *testing.T) {
	server := pgtest.StartMemcached(t)
	store := open(t, server.Address())
	defer store.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	defer server.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	before := time.Now()
	if _, err := store.Get(ctx, "name"); err == nil {
		t.Error("an answer")
	}
	if took := time.Since(before); took > 500*time.Millisecond {
		t.Errorf("held for %v", took)
	}
}

// A server whose name nobody knows yet is one that is down: pgrecall starts without it.
func TestUnknownNameIsNoErrorBeforeTheFirstCall(t *testing.T) {
	store := open(t, "memcached.invalid:11211")
	defer store.Close()
	if _, err := store.Get(t.Context(), "name"); err == nil {
		t.Error("an answer from nowhere")
	}
}

func TestParseURL(t *testing.T) {
	for url, want := range map[string][]string{
		"memcached://h":         {"h:11211"},
		"memcached://h:1/":      {"h:1"},
		"memcached://a,b:2":     {"a:11211", "b:2"},
		"memcached://[::1]":     {"[::1]:11211"},
		"memcached://":          nil,
		"memcached://a,":        nil,
		"memcached://h:x":       nil,
		"memcached://h:0":       nil,
		"memcached://h:65536":   nil,
		"memcached://u:p@h":     nil,
		"redis://h":             nil,
		"memcached://h/path?q=": nil,
	} {
		o, err := ParseURL(url)
		if !reflect.DeepEqual(o.Addresses, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %v, %v", url, o.Addresses, err)
		}
	}
}
