package codec_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/cachetest"
	"github.com/pgrecall/pgrecall/cache/codec"
)

// sample is large enough to be compressed where that is wanted, small enough to be spoilt in each bit.
func sample() *codec.Item {
	item := small()
	item.Parameters = bytes.Repeat([]byte("parameters"), 10)
	return item
}

func TestEditedEntriesAreRefused(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			c, key := open(t, o), cachetest.Key(1)
			b := encode(t, c, key, sample())
			reasons := map[string]int{}
			for i := range b {
				for bit := range 8 {
					edited := bytes.Clone(b)
					edited[i] ^= 1 << bit
					if _, err := c.Decode(key, edited); err == nil {
						t.Fatalf("bit %d of byte %d of %d may be turned", bit, i, len(b))
					} else {
						reasons[codec.Reason(err)]++
					}
				}
			}
			want := "checksum"
			if o.Keys != nil {
				want = "authentication"
			}
			if reasons[want] < (len(b)-4)*8 || reasons["version"] != 8 || reasons["other"] != 0 {
				t.Errorf("reasons %v for %d bytes", reasons, len(b))
			}
		})
	}
}

func TestCutAndExtendedEntriesAreRefused(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			c, key := open(t, o), cachetest.Key(1)
			b := encode(t, c, key, sample())
			for n := range b {
				if _, err := c.Decode(key, b[:n:n]); codec.Reason(err) == "" || codec.Reason(err) == "other" {
					t.Fatalf("%d of %d bytes: %v", n, len(b), err)
				}
			}
			for _, more := range [][]byte{{0}, b, make([]byte, 100)} {
				if _, err := c.Decode(key, append(bytes.Clone(b), more...)); err == nil {
					t.Errorf("%d bytes more are accepted", len(more))
				}
			}
		})
	}
}

// TestEntriesBelongToTheirKey replays an entry under each key that differs from its own in one bit: a name in the store may be short, a value swapped.
func TestEntriesBelongToTheirKey(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			c, key := open(t, o), cachetest.Key(1)
			b := encode(t, c, key, sample())
			want := codec.ErrChecksum
			if o.Keys != nil {
				want = codec.ErrAuthentication
			}
			for bit := range 256 {
				other := key
				other[bit/8] ^= 1 << (bit % 8)
				if _, err := c.Decode(other, b); !errors.Is(err, want) {
					t.Fatalf("key that differs in bit %d: %v", bit, err)
				}
			}
		})
	}
}

func TestRotation(t *testing.T) {
	key, item := cachetest.Key(1), sample()
	older := open(t, codec.Options{Keys: []codec.Secret{secret(1)}})
	both := open(t, codec.Options{Keys: []codec.Secret{secret(1), secret(2)}})
	turned := open(t, codec.Options{Keys: []codec.Secret{secret(2), secret(1)}})
	newer := open(t, codec.Options{Keys: []codec.Secret{secret(2)}})
	other := secret(3)
	other.ID = 1
	impostor := open(t, codec.Options{Keys: []codec.Secret{other}})
	none := open(t, codec.Options{})
	for _, test := range []struct {
		name   string
		writer *codec.Codec
		reader *codec.Codec
		want   error
	}{
		{"before", older, older, nil},
		{"new key known, old one writes", older, both, nil},
		{"old one still seals", both, older, nil},
		{"new one writes, old one still known", turned, both, nil},
		{"old entry after the turn", older, turned, nil},
		{"after", turned, newer, nil},
		{"old key removed", older, newer, codec.ErrUnknownKey},
		{"new key not known yet", turned, older, codec.ErrUnknownKey},
		{"another key under the same id", impostor, older, codec.ErrAuthentication},
		{"not sealed, keys configured", none, older, codec.ErrNotSealed},
		{"sealed, no keys configured", older, none, codec.ErrUnknownKey},
		{"no keys at all", none, none, nil},
	} {
		got, err := test.reader.Decode(key, encode(t, test.writer, key, item))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err == nil {
			if difference := same(got, item); difference != "" {
				t.Errorf("%s: %s", test.name, difference)
			}
		}
	}
}

// TestASealCannotBeTakenOff: whoever removes the seal and computes a checksum is refused, too.
func TestASealCannotBeTakenOff(t *testing.T) {
	key, item := cachetest.Key(1), sample()
	unsealed := encode(t, open(t, codec.Options{}), key, item)
	sealed := open(t, codec.Options{Keys: []codec.Secret{secret(1)}})
	if _, err := sealed.Decode(key, unsealed); !errors.Is(err, codec.ErrNotSealed) {
		t.Error(err)
	}
}

// TestBombsAreRefused: what is small in the store and large in memory.
func TestBombsAreRefused(t *testing.T) {
	const limit = 64 << 10
	item := &codec.Item{TTL: time.Minute, Data: make([]byte, 32<<20)}
	for name, keys := range map[string][]codec.Secret{"plain": nil, "sealed": {secret(1)}} {
		bomb := encode(t, open(t, codec.Options{Keys: keys, MaxEntry: 64 << 20}), cache.Key{}, item)
		if len(bomb) > limit {
			t.Fatalf("%s: the bomb has %d bytes", name, len(bomb))
		}
		c := open(t, codec.Options{Keys: keys, MaxEntry: limit})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := c.Decode(cache.Key{}, bomb); !errors.Is(err, codec.ErrTooLarge) {
			t.Fatalf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4*limit {
			t.Errorf("%s: %d bytes allocated to refuse the bomb", name, allocated)
		}
		if b, err := c.Encode(nil, cache.Key{}, item); !errors.Is(err, codec.ErrTooLarge) || b != nil {
			t.Errorf("%s: an item above the limit is written: %v", name, err)
		}
		if _, err := c.Decode(cache.Key{}, append([]byte{codec.Version}, make([]byte, limit+100)...)); !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("%s: an entry above the limit: %v", name, err)
		}
	}
}

func TestReasonsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		nil, errors.New("another"), codec.ErrVersion, codec.ErrUnknownKey, codec.ErrAuthentication, codec.ErrChecksum,
		codec.ErrNotSealed, codec.ErrMalformed, codec.ErrTooLarge, codec.ErrUnstorable,
	} {
		if why := codec.Reason(err); seen[why] {
			t.Errorf("%v: %q is another's", err, why)
		} else {
			seen[why] = true
		}
	}
}
