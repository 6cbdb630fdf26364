package redis

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/remotetest"
	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// open returns a store at the URL; the caller closes it.
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

func suite(url string) remotetest.Suite {
	return remotetest.Suite{New: func(t *testing.T) cache.Remote { return open(t, url) }}
}

func TestContractOnOneServer(t *testing.T) { remotetest.Run(t, suite(pgtest.StartRedis(t).URL())) }

func TestContractOnCluster(t *testing.T) {
	cluster := pgtest.StartRedisCluster(t)
	remotetest.Run(t, suite(cluster.URL()))

	// Every node has its share: no part of a name makes all of a namespace go to one.
	store := open(t, "redis+cluster://"+cluster.Nodes[1].Address())
	defer store.Close()
	for n := range byte(100) {
		if err := store.Put(t.Context(), cache.RemoteName("db", "t", 1, cache.Key{n}), []byte("x"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range cluster.Nodes {
		client := goredis.NewClient(&goredis.Options{Addr: node.Address()})
		defer client.Close()
		if size, err := client.DBSize(t.Context()).Result(); size < 10 || err != nil {
			t.Errorf("a node holds %d of 100 names, %v", size, err)
		}
	}
}

func TestContractBehindSentinels(t *testing.T) {
	sentinel := pgtest.StartRedisSentinel(t)
	remotetest.Run(t, suite(sentinel.URL()))
}

// The user may do what the advice in the errors says, no more.
func TestContractWithUserAndTLS(t *testing.T) {
	arguments := strings.Fields("--user default off --user cache on >p@ss,word ~pgrecall:* " + permissions)
	server := pgtest.StartRedisTLS(t, arguments...)
	address := "rediss://cache:" + url.QueryEscape("p@ss,word") + "@" + server.TLSAddress()
	remotetest.Run(t, suite(address+"?ca="+server.CAFile()))

	for text, want := range map[string]string{
		address: "?ca=FILE",
		strings.Replace(address, "p%40ss", "secret", 1) + "?ca=" + server.CAFile():       "the user or the password is wrong",
		"rediss://" + server.TLSAddress() + "?ca=" + server.CAFile():                     "wants a password",
		"redis://cache:x@" + server.TLSAddress() + "?dial_timeout=500ms":                 "",
		strings.Replace(address, "127.0.0.1", "127.0.0.2", 1) + "?ca=" + server.CAFile(): "",
		address + "?server_name=other&ca=" + server.CAFile():                             "?server_name=NAME",
	} {
		failsWith(t, text, want)
	}
	store := open(t, address+"?ca="+server.CAFile())
	defer store.Close()
	if err := store.Put(t.Context(), "other", []byte("x"), time.Minute); err == nil || !strings.Contains(err.Error(), "~pgrecall:*") {
		t.Errorf("a name that the user may not write: %v", err)
	}
}

// failsWith checks that a ping of the store at the URL fails, with advice, and without showing a password.
func failsWith(t *testing.T, text, want string) {
	t.Helper()
	store := open(t, text)
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := store.Ping(ctx)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ss,word") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%s:\n %v\nwant\n %s", text, err, want)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	server := pgtest.StartRedis(t, "--databases", "2")
	locked := pgtest.StartRedis(t, "--requirepass", "secret")
	sentinel := pgtest.StartRedisSentinel(t)
	for text, want := range map[string]string{
		"redis://127.0.0.1:1":                                      "is Redis running",
		"redis://nowhere.invalid":                                  "no such host",
		server.URL() + "?db=7":                                     "no such database",
		"redis+cluster://" + server.Address():                      "no nodes of a Cluster",
		"redis://" + locked.Address():                              "wants a password",
		"redis://:secret2@" + locked.Address():                     "the user or the password is wrong",
		strings.Replace(sentinel.URL(), "master=pg", "master=", 1): "the name in master=",
	} {
		failsWith(t, text, want)
	}
	cluster := pgtest.StartRedisCluster(t)
	store := open(t, "redis://"+cluster.Nodes[0].Address())
	defer store.Close()
	var err error
	for n := byte(0); err == nil && n < 50; n++ {
		err = store.Put(t.Context(), cache.RemoteName("db", "t", 1, cache.Key{n}), []byte("x"), time.Minute)
	}
	if err == nil || !strings.Contains(err.Error(), "?cluster=1") {
		t.Errorf("a node of a Cluster taken for a server: %v", err)
	}
}

// A store that is full or a replica still answers: reads go on, and the error says so.
func TestRefusedWrites(t *testing.T) {
	full := pgtest.StartRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	store := open(t, full.URL())
	defer store.Close()
	if err := store.Put(t.Context(), "first", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := 0; err == nil && n < 100; n++ {
		err = store.Put(t.Context(), cache.RemoteName("db", "t", uint64(n), cache.Key{}), make([]byte, 200_000), time.Minute)
	}
	if !errors.Is(err, cache.ErrWritesRefused) || !strings.Contains(err.Error(), "allkeys-lru") {
		t.Errorf("a full store: %v", err)
	}
	if values, err := store.Get(t.Context(), "first"); err != nil || string(values[0].Bytes) != "x" {
		t.Errorf("a full store does not answer: %v, %v", values, err)
	}
	if n, err := store.Flush(t.Context(), cache.NamespacePrefix("db")); n == 0 || err != nil {
		t.Errorf("a full store cannot be flushed: %d, %v", n, err)
	}
	if err := store.Put(t.Context(), "second", []byte("x"), time.Minute); err != nil {
		t.Errorf("after a flush: %v", err)
	}

	sentinel := pgtest.StartRedisSentinel(t)
	replica := open(t, sentinel.Servers[1].URL())
	defer replica.Close()
	err = replica.Put(t.Context(), "name", []byte("x"), time.Minute)
	if !errors.Is(err, cache.ErrWritesRefused) || !strings.Contains(err.Error(), "?master=NAME") {
		t.Errorf("a replica: %v", err)
	}
	if _, err := replica.Get(t.Context(), "name"); err != nil {
		t.Errorf("a replica does not answer: %v", err)
	}
}

// What others left under a name is no value of ours, and a prefix is no pattern.
func TestForeignValues(t *testing.T) {
	server := pgtest.StartRedis(t)
	store := open(t, server.URL())
	defer store.Close()
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer client.Close()
	err := errors.Join(
		client.Set(t.Context(), "for ever", "x", 0).Err(),
		client.RPush(t.Context(), "a list", "x").Err(),
		client.Set(t.Context(), "ours", "x", time.Minute).Err())
	if err != nil {
		t.Fatal(err)
	}
	values, err := store.Get(t.Context(), "a list", "for ever", "ours", "nothing", "a list")
	if err != nil || values[0].Bytes != nil || values[1].Bytes != nil || string(values[2].Bytes) != "x" || values[3].Bytes != nil {
		t.Errorf("%v, %v", values, err)
	}
	if err := store.Put(t.Context(), "a list", []byte("now ours"), time.Minute); err != nil {
		t.Error(err)
	}
	for _, prefix := range []string{"?", "[a-z]", "o?", `\\`} {
		if n, err := store.Flush(t.Context(), prefix); n != 0 || err != nil {
			t.Errorf("flush of %q: %d, %v", prefix, n, err)
		}
	}
	if err := store.Put(t.Context(), `[a?`, []byte("x"), time.Minute); err != nil {
		t.Error(err)
	}
	if n, err := store.Flush(t.Context(), `[a?`); n != 1 || err != nil {
		t.Errorf("flush of an odd name: %d, %v", n, err)
	}
}

// A value that is replaced while it is fetched must not be told with the new one's lifetime: it would look younger
// than it is. The network delivers the two commands of a Get in two pieces.
func TestValueIsNeverYoungerThanItIs(t *testing.T) {
	server := pgtest.StartRedis(t)
	proxy := faultnet.Start(t, server.Address())
	store, writer := open(t, "redis://"+proxy.Address()), open(t, server.URL())
	defer store.Close()
	defer writer.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	const ttl, period, slack = time.Minute, 100 * time.Millisecond, 25 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(period); ; {
			if err := writer.Put(context.Background(), "name", time.Now().AppendFormat(nil, time.RFC3339Nano), ttl); err != nil {
				t.Errorf("put: %v", err)
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	proxy.Latency(20 * time.Millisecond)
	proxy.Pieces(len("*2\r\n$4\r\npttl\r\n$4\r\nname\r\n"))
	replaced := 0
	for range 60 {
		before := time.Now()
		values, err := store.Get(t.Context(), "name")
		if err != nil {
			t.Errorf("get: %v", err)
			break
		}
		if values[0].Bytes == nil {
			continue
		}
		put, err := time.Parse(time.RFC3339Nano, string(values[0].Bytes))
		if err != nil {
			t.Error(err)
			break
		}
		looks, is := ttl-values[0].Remaining, before.Sub(put)
		if looks < is-slack {
			t.Errorf("a value looks %v old and is %v", looks, is)
			break
		}
		if is < -slack/5 { // it was put during the call
			replaced++
		}
	}
	cancel()
	<-done
	if replaced == 0 {
		t.Error("no value was ever replaced between the two commands")
	}
}
