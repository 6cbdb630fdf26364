package redis

import (
	"testing"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/remotetest"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// open returns a store at the URL; the suite closes it.
func open(t *testing.T, url string) *Store {
	t.Helper()
	options, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	store, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestContractOnOneServer(t *testing.T) {
	url := pgtest.StartRedis(t).URL()
	remotetest.Run(t, remotetest.Suite{New: func(t *testing.T) cache.Remote { return open(t, url) }})
}
