package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pgrecall/pgrecall/cache"
)

// forge returns an entry without a seal that has the right checksum, whatever it says: what anybody can write who knows this source.
func forge(key cache.Key, flags byte, length uint64, payload []byte) []byte {
	b := []byte{Version, flags}
	if flags&flagCompressed != 0 {
		b = binary.AppendUvarint(b, length)
	}
	b = append(b, payload...)
	return binary.LittleEndian.AppendUint64(b, checksum(&key, b))
}

// TestForgedEntriesAreMalformed: the checksum is right, so that what comes after it has to notice.
func TestForgedEntriesAreMalformed(t *testing.T) {
	c, err := New(Options{MaxEntry: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	sound := appendPayload(nil, &Item{TTL: time.Minute, Data: []byte("data")})
	s := new(scratch)
	compressed, err := s.compress(bytes.Repeat([]byte("x"), 10000))
	if err != nil {
		t.Fatal(err)
	}
	compressed = bytes.Clone(compressed)
	packed, err := s.compress(sound)
	if err != nil {
		t.Fatal(err)
	}
	// An Encoder that streams does not know the size, and announces none.
	var stream bytes.Buffer
	w, err := zstd.NewWriter(&stream, zstd.WithEncoderConcurrency(1))
	if err == nil {
		_, err = w.Write(make([]byte, 8<<20))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	shaped := func(shape byte, tail ...byte) []byte {
		p := append([]byte{shape}, make([]byte, 17)...) // position
		p = binary.AppendUvarint(p, 60000)              // TTL
		return append(append(p, 0, 0, 0, 0 /* no relations */), tail...)
	}
	huge := binary.AppendUvarint(nil, 1<<62)
	for name, b := range map[string][]byte{
		"unknown flag":              forge(cache.Key{}, 4, 0, sound),
		"nothing compressed":        forge(cache.Key{}, flagCompressed, 100, nil),
		"not zstd":                  forge(cache.Key{}, flagCompressed, 100, sound),
		"longer than announced":     forge(cache.Key{}, flagCompressed, uint64(len(sound))-1, packed),
		"shorter than announced":    forge(cache.Key{}, flagCompressed, uint64(len(sound))+1, packed),
		"far longer than announced": forge(cache.Key{}, flagCompressed, 10, compressed),
		"stream of unknown size":    forge(cache.Key{}, flagCompressed, 10, stream.Bytes()),
		"compressed nonsense":       forge(cache.Key{}, flagCompressed, 10000, compressed),
		"no payload":                forge(cache.Key{}, 0, 0, nil),
		"more behind the payload":   forge(cache.Key{}, 0, 0, append(bytes.Clone(sound), 0)),
		"unused bit of the shape":   forge(cache.Key{}, 0, 0, append([]byte{sound[0] | shapeUnused}, sound[1:]...)),
		"unknown shape":             forge(cache.Key{}, 0, 0, shaped(3, 1, 'x')),
		"packed parameters":         forge(cache.Key{}, 0, 0, shaped(shapePacked, 0)),
		"no TTL":                    forge(cache.Key{}, 0, 0, append([]byte{0}, make([]byte, 22)...)),
		"TTL beyond measure":        forge(cache.Key{}, 0, 0, append(append(make([]byte, 18), huge...), 0, 0, 0, 0)),
		"huge message":              forge(cache.Key{}, 0, 0, shaped(shapeVerbatim<<shiftData, huge...)),
		"huge number of columns":    forge(cache.Key{}, 0, 0, shaped(shapePacked<<shiftRow, huge...)),
		"huge number of rows":       forge(cache.Key{}, 0, 0, shaped(shapePacked<<shiftData, append(bytes.Clone(huge), 1)...)),
		"rows without columns":      forge(cache.Key{}, 0, 0, shaped(shapePacked<<shiftData, 100, 0)),
		"huge value":                forge(cache.Key{}, 0, 0, shaped(shapePacked<<shiftData, append([]byte{1, 1}, huge...)...)),
		"more than is ever packed":  forge(cache.Key{}, 0, 0, shaped(shapePacked<<shiftData, append([]byte{0x80, 0x10, 1}, make([]byte, 2048)...)...)),
		"huge number of relations":  forge(cache.Key{}, 0, 0, append(shaped(0)[:len(shaped(0))-1], huge...)),
		"huge name of database":     forge(cache.Key{}, 0, 0, append(shaped(0)[:len(shaped(0))-2], append(bytes.Clone(huge), 0)...)),
	} {
		if _, err := c.Decode(cache.Key{}, b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Decode(cache.Key{}, forge(cache.Key{}, flagCompressed, 1<<20+1, compressed)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("announced above the limit: %v", err)
	}
	for name, b := range map[string][]byte{
		"payload":            forge(cache.Key{}, 0, 0, sound),
		"compressed payload": forge(cache.Key{}, flagCompressed, uint64(len(sound)), packed),
		"no messages":        forge(cache.Key{}, 0, 0, shaped(0)),
	} {
		if _, err := c.Decode(cache.Key{}, b); err != nil {
			t.Errorf("a sound %s: %v", name, err)
		}
	}
}
