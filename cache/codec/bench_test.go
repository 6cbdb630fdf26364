package codec_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/codec"
)

// manyRows is an item whose messages have about so many bytes: rows as an application's, of numbers, times and some text.
func manyRows(size int) *codec.Item {
	item := small()
	rng := rand.New(rand.NewPCG(1, 2))
	var b []byte
	rows := 0
	for ; len(b) < size; rows++ {
		b = append(b, dataRow(
			fmt.Append(nil, 100000+rows), fmt.Appendf(nil, "customer-%d@example.com", rng.IntN(1e6)), fmt.Append(nil, rng.IntN(1e6)),
			fmt.Appendf(nil, "2026-11-%02d %02d:%02d:%02d.%06d+00", 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), rng.IntN(1e6)), nil,
		)...)
	}
	item.Data = append(b, complete(rows)...)
	return item
}

// sizes are items to measure with: of 371 bytes, as an average answer of one row with a description, and of 64 KiB.
func sizes() map[string]*codec.Item {
	wide := small()
	wide.Data = append(dataRow([]byte("Ada Love"), bytes.Repeat([]byte("12345"), 1+(371-98)/5)), complete(1)...)
	return map[string]*codec.Item{"98B": small(), "371B": wide, "64KiB": manyRows(64 << 10)}
}

func benchmarked(b *testing.B, run func(b *testing.B, c *codec.Codec, key cache.Key, item *codec.Item)) {
	for size, item := range sizes() {
		for name, o := range variants() {
			b.Run(size+"/"+name, func(b *testing.B) {
				c, key := open(b, o), cachetest.Key(1)
				b.SetBytes(int64(len(item.Parameters) + len(item.Row) + len(item.Data)))
				b.ReportAllocs()
				run(b, c, key, item)
				b.ReportMetric(float64(len(encode(b, c, key, item))), "entry-bytes")
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	benchmarked(b, func(b *testing.B, c *codec.Codec, key cache.Key, item *codec.Item) {
		var dst []byte
		for b.Loop() {
			dst, _ = c.Encode(dst[:0], key, item)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	benchmarked(b, func(b *testing.B, c *codec.Codec, key cache.Key, item *codec.Item) {
		entry := encode(b, c, key, item)
		for b.Loop() {
			if _, err := c.Decode(key, entry); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEntry is Decode with what the proxy does next: the copy for L1.
func BenchmarkEntry(b *testing.B) {
	source := &cache.Source{}
	benchmarked(b, func(b *testing.B, c *codec.Codec, key cache.Key, item *codec.Item) {
		entry := encode(b, c, key, item)
		for b.Loop() {
			got, err := c.Decode(key, entry)
			if err != nil {
				b.Fatal(err)
			}
			_ = cache.NewEntry(got.Parameters, got.Row, got.Data, nil, source, cache.Monotonic(), int64(got.Origin/time.Nanosecond))
		}
	})
}
