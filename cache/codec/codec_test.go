package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/invalidator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret returns a key that is the same in each run.
func secret(id byte) codec.Secret {
	s := codec.Secret{ID: id}
	for i := range s.Key {
		s.Key[i] = id ^ byte(i*7+1)
	}
	return s
}

func open(tb testing.TB, o codec.Options) *codec.Codec {
	tb.Helper()
	c, err := codec.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// variants are the ways in which an entry can be written.
func variants() map[string]codec.Options {
	keys := []codec.Secret{secret(3), secret(200)}
	return map[string]codec.Options{
		"plain":             {CompressAbove: -1},
		"compressed":        {CompressAbove: 1},
		"sealed":            {CompressAbove: -1, Keys: keys},
		"sealed,compressed": {CompressAbove: 1, Keys: keys},
	}
}

func encode(tb testing.TB, c *codec.Codec, key cache.Key, item *codec.Item) []byte {
	tb.Helper()
	b, err := c.Encode(nil, key, item)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// same returns how two items differ, "" when they do not.
func same(got, want *codec.Item) string {
	for _, m := range []struct {
		name      string
		got, want []byte
	}{
		{"Parameters", got.Parameters, want.Parameters},
		{"Row", got.Row, want.Row},
		{"Data", got.Data, want.Data},
	} {
		if !bytes.Equal(m.got, m.want) || (m.got == nil) != (m.want == nil) {
			return fmt.Sprintf("%s is %q, want %q", m.name, m.got, m.want)
		}
	}
	if got.Position != want.Position || got.TTL != want.TTL || got.Created != want.Created || got.Origin != want.Origin ||
		got.Database != want.Database || got.Fingerprint != want.Fingerprint || !slices.Equal(got.Relations, want.Relations) {
		return fmt.Sprintf("%+v, want %+v", got, want)
	}
	return ""
}

// drawItem draws an item that comes back as it is: times have the precision that is kept. Messages are PostgreSQL's, nearly so, or any bytes.
func drawItem(t *rapid.T) *codec.Item {
	item := &codec.Item{
		Position:    invalidator.Position{Epoch: rapid.Uint64().Draw(t, "epoch"), Seq: rapid.Uint64().Draw(t, "seq"), Nonce: rapid.Uint64().Draw(t, "nonce")},
		TTL:         time.Duration(rapid.Int64Range(1, int64(200*365*24*time.Hour/time.Millisecond)).Draw(t, "ttl")) * time.Millisecond,
		Created:     rapid.Int64Range(-9e12, 9e12).Draw(t, "created") * int64(time.Millisecond),
		Origin:      time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "origin")) * time.Microsecond,
		Database:    rapid.StringN(0, 20, 63).Draw(t, "database"),
		Relations:   rapid.SliceOfN(rapid.Uint32(), 0, 6).Draw(t, "relations"),
		Fingerprint: rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "fingerprint"),
	}
	other := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300), rapid.Map(rapid.IntRange(0, 20000), func(n int) []byte {
		return bytes.Repeat([]byte("compressible "), n/13)
	}))
	item.Parameters = other.Draw(t, "parameters")
	item.Row = rapid.OneOf(other, rapid.Custom(drawRow)).Draw(t, "row")
	item.Data = rapid.OneOf(other, rapid.Custom(drawData)).Draw(t, "data")
	return item
}

func TestWhatGoesInComesOut(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			c := open(t, o)
			rapid.Check(t, func(t *rapid.T) {
				item := drawItem(t)
				key := cachetest.Key(rapid.Uint64().Draw(t, "key"))
				prefix := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "prefix")
				b, err := c.Encode(slices.Clone(prefix), key, item)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.HasPrefix(b, prefix) {
					t.Fatal("what was in dst is gone")
				}
				b = b[len(prefix):]
				before := bytes.Clone(b)
				got, err := c.Decode(key, b)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b, before) {
					t.Fatal("Decode wrote to what it read")
				}
				clear(b) // the item has copies
				if difference := same(got, item); difference != "" {
					t.Fatal(difference)
				}
				for _, m := range [][]byte{got.Parameters, got.Row, got.Data} {
					if cap(m) != len(m) {
						t.Fatalf("an append would run into the next message: len %d, cap %d", len(m), cap(m))
					}
				}
			})
		})
	}
}

func TestTimesKeepTheirPrecision(t *testing.T) {
	c := open(t, codec.Options{})
	for _, test := range []struct{ in, out codec.Item }{
		{codec.Item{TTL: 1999999, Created: 1999999, Origin: 1001}, codec.Item{TTL: 1000000, Created: 1000000, Origin: 2000}},
		{codec.Item{TTL: time.Hour, Created: -1, Origin: -5}, codec.Item{TTL: time.Hour, Created: -1000000, Origin: 0}},
	} {
		got, err := c.Decode(cache.Key{}, encode(t, c, cache.Key{}, &test.in))
		if err != nil {
			t.Fatal(err)
		}
		if difference := same(got, &test.out); difference != "" {
			t.Error(difference)
		}
	}
	for _, ttl := range []time.Duration{-time.Second, 0, time.Millisecond - 1} {
		if b, err := c.Encode([]byte("x"), cache.Key{}, &codec.Item{TTL: ttl}); !errors.Is(err, codec.ErrUnstorable) || string(b) != "x" {
			t.Errorf("TTL %v: %q, %v", ttl, b, err)
		}
	}
}

func TestCompressionOnlyWhereItHelps(t *testing.T) {
	const n = 50000
	compressible := bytes.Repeat([]byte("0123456789"), n/10)
	random := make([]byte, n)
	for i, key := 0, cachetest.Key(1); i < n; i += len(key) {
		copy(random[i:], key[:])
		key = cachetest.Key(uint64(i) + 2)
	}
	for _, test := range []struct {
		name    string
		above   int
		data    []byte
		smaller bool
	}{
		{"compressible", 0, compressible, true},
		{"below the size", n + 1000, compressible, false},
		{"never", -1, compressible, false},
		{"small", 0, compressible[:900], false},
		{"random", 0, random, false},
	} {
		c := open(t, codec.Options{CompressAbove: test.above})
		item := codec.Item{TTL: time.Minute, Data: test.data}
		b := encode(t, c, cache.Key{}, &item)
		if smaller := len(b) < len(test.data); smaller != test.smaller {
			t.Errorf("%s: %d bytes of %d", test.name, len(b), len(test.data))
		}
		if got, err := c.Decode(cache.Key{}, b); err != nil || same(got, &item) != "" {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestEachEntryHasItsNonce: GCM is broken where two share one.
func TestEachEntryHasItsNonce(t *testing.T) {
	c := open(t, codec.Options{Keys: []codec.Secret{secret(1)}})
	item := codec.Item{TTL: time.Minute}
	seen := map[string]bool{}
	const entries = 1000
	for range entries {
		seen[string(encode(t, c, cache.Key{}, &item)[3:15])] = true
	}
	if len(seen) != entries || c.Sealed() != entries {
		t.Errorf("%d nonces in %d entries, %d counted", len(seen), entries, c.Sealed())
	}
}

// TestManyAtOnce is for the race detector, and for entries that would share what is used again.
func TestManyAtOnce(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			c := open(t, o)
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					item := manyRows(1 << (6 + 3*g))
					item.Parameters = []byte(strconv.Itoa(g))
					for n := range uint64(100) {
						key := cachetest.Key(n)
						b, err := c.Encode(nil, key, item)
						if err != nil {
							t.Error(err)
							return
						}
						got, err := c.Decode(key, b)
						if err != nil {
							t.Error(err)
							return
						}
						if difference := same(got, item); difference != "" {
							t.Error(difference)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for name, o := range map[string]codec.Options{
		"empty key":      {Keys: []codec.Secret{{ID: 1}}},
		"id twice":       {Keys: []codec.Secret{secret(1), secret(2), secret(1)}},
		"negative limit": {MaxEntry: -1},
	} {
		if _, err := codec.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
