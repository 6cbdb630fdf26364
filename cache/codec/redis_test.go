package codec_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// layout is a way to keep entries in Redis.
type layout struct {
	name   string
	bare   bool // without what the key tells anyway: as package proxy writes entries
	hashes bool
	put    func(ctx context.Context, p goredis.Pipeliner, key cache.Key, entry []byte)
}

const (
	smallResults = 10_000
	namespace    = "66d91c2b5a3e4f87.accounts" // as package proxy makes it
	tenant       = "web"
	lifetime     = time.Hour
)

// short are the first bytes of a key as text. The entry is bound to the whole key: what has the same name and another key is refused.
func short(key cache.Key, n int) string { return base64.RawURLEncoding.EncodeToString(key[:n]) }

func named(name func(key cache.Key) string) func(context.Context, goredis.Pipeliner, cache.Key, []byte) {
	return func(ctx context.Context, p goredis.Pipeliner, key cache.Key, entry []byte) {
		p.Set(ctx, name(key), entry, lifetime)
	}
}

// bucketed spreads the entries over hashes of some sixty each.
func bucketed(ctx context.Context, p goredis.Pipeliner, key cache.Key, entry []byte) {
	bucket := fmt.Sprintf("pgrecall:%s:v1:%s:%s:%d", namespace, tenant, short(cache.Key{}, 8), (int(key[0])<<8|int(key[1]))%160)
	p.HSet(ctx, bucket, string(key[2:18]), entry)
}

func layouts() []layout {
	prefix := cache.FingerprintPrefix(namespace, tenant, small().Fingerprint)
	brief := "pgrecall:" + namespace + ":v1:" + tenant + ":" + short(cache.Key{}, 8) + ":"
	asTheyAre := func(key cache.Key) string { return cache.RemoteName(namespace, tenant, small().Fingerprint, key) }
	return []layout{
		{name: "as they are", bare: true, put: named(asTheyAre)},
		{name: "not bare", put: named(asTheyAre)},
		{name: "key in hexadecimal, bare", bare: true, put: named(func(key cache.Key) string { return prefix + hex.EncodeToString(key[:]) })},
		{name: "key in hexadecimal", put: named(func(key cache.Key) string { return prefix + hex.EncodeToString(key[:]) })},
		{name: "whole key in base64, bare", bare: true, put: named(func(key cache.Key) string { return prefix + short(key, 32) })},
		{name: "fingerprint in base64, too, bare", bare: true, put: named(func(key cache.Key) string { return brief + short(key, 16) })},
		{name: "half of the key and nothing else, bare", bare: true, put: named(func(key cache.Key) string { return string(key[:16]) })},
		{name: "hashes", hashes: true, put: bucketed},
		{name: "hashes, bare", hashes: true, bare: true, put: bucketed},
	}
}

// TestBytesInRedis: what small results take in Redis, names and bookkeeping included, when entries or names grow.
func TestBytesInRedis(t *testing.T) {
	l := layouts()[0]
	for kind, test := range map[string]struct {
		keys []codec.Secret
		most int64 // for each: measured with Redis 7.0 and Debian's jemalloc, and a little
	}{"plain": {nil, 315}, "sealed": {[]codec.Secret{secret(1)}, 335}} {
		total, value := l.measure(t, open(t, codec.Options{Keys: test.keys}), nil)
		if total > test.most*smallResults || total < value {
			t.Errorf("%s: %d bytes of Redis each for entries of %d, at most %d wanted", kind, total/smallResults, value/smallResults, test.most)
		}
	}
}

// BenchmarkBytesInRedis compares ways to keep small results: names, and hashes of some sixty entries in the place of strings. Hashes can't let an entry
// expire by itself before Redis 7.4. Its time means nothing: run it with -benchtime=1x.
func BenchmarkBytesInRedis(b *testing.B) {
	for _, l := range layouts() {
		for kind, keys := range map[string][]codec.Secret{"plain": nil, "sealed": {secret(1)}} {
			for _, configuration := range [][]string{nil, {"--hash-max-listpack-value", "256"}} {
				if configuration != nil && !l.hashes {
					continue
				}
				b.Run(strings.ReplaceAll(strings.Join(append([]string{l.name, kind}, configuration...), ","), " ", "_"), func(b *testing.B) {
					for range b.N {
						total, value := l.measure(b, open(b, codec.Options{Keys: keys}), configuration)
						b.ReportMetric(float64(total)/smallResults, "bytes/result")
						b.ReportMetric(float64(value)/smallResults, "entry-bytes/result")
					}
				})
			}
		}
	}
}

// measure returns by how much the memory of an empty Redis grows, and the bytes of the entries alone.
func (l *layout) measure(tb testing.TB, c *codec.Codec, configuration []string) (total, value int64) {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	server := pgtest.StartRedis(tb, configuration...)
	watcher := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer watcher.Close()
	before := usedMemory(ctx, tb, watcher)
	writer := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	const batch = 50 // keeps the server's buffer for the connection small
	for n := 0; n < smallResults; n += batch {
		pipe := writer.Pipeline()
		for i := range batch {
			key := cachetest.Key(uint64(n + i))
			item := small()
			if l.bare {
				item.Database, item.Fingerprint, item.Relations = "", 0, nil
			}
			b := encode(tb, c, key, item)
			value += int64(len(b))
			l.put(ctx, pipe, key, b)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		tb.Fatal(err)
	}
	return usedMemory(ctx, tb, watcher) - before, value
}

func usedMemory(ctx context.Context, tb testing.TB, client *goredis.Client) int64 {
	tb.Helper()
	text, err := client.Info(ctx, "memory").Result()
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
