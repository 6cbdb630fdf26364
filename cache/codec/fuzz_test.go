package codec

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// FuzzDecode reads any bytes as an entry, and as the payload of one whose checksum is right: every error is one of ours, and what can be read is
// written and read again as the same.
func FuzzDecode(f *testing.F) {
	golden, err := filepath.Glob(filepath.Join("testdata", "golden", "*.hex"))
	if err != nil || len(golden) == 0 {
		f.Fatalf("%d golden entries: %v", len(golden), err)
	}
	for _, path := range golden {
		b, err := readHex(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(0), uint16(0), b)
	}
	f.Add(byte(1), uint16(0), appendPayload(nil, &Item{TTL: time.Minute, Data: []byte("data"), Relations: []uint32{1, 2}}))
	const limit = 64 << 10
	plain, err := New(Options{MaxEntry: limit, CompressAbove: 64})
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := New(Options{MaxEntry: limit, Keys: []Secret{goldenSecret()}})
	if err != nil {
		f.Fatal(err)
	}
	var key cache.Key
	f.Fuzz(func(t *testing.T, how byte, length uint16, b []byte) {
		switch how % 3 {
		case 1:
			b = forge(key, 0, 0, b)
		case 2:
			b = forge(key, flagCompressed, uint64(length), b)
		}
		if item, err := sealed.Decode(key, b); err == nil && !bytes.HasPrefix(b, []byte{Version, flagSealed}) && b[1]&flagSealed == 0 {
			t.Fatalf("not sealed: %+v", item)
		} else if Reason(err) == "other" {
			t.Fatal(err)
		}
		item, err := plain.Decode(key, b)
		if err != nil {
			if Reason(err) == "other" {
				t.Fatal(err)
			}
			return
		}
		if n := len(item.Parameters) + len(item.Row) + len(item.Data); n > limit {
			t.Fatalf("%d bytes of messages", n)
		}
		again, err := plain.Encode(nil, key, item)
		if errors.Is(err, ErrTooLarge) {
			return // numbers can be written longer and shorter
		}
		if err != nil {
			t.Fatal(err)
		}
		back, err := plain.Decode(key, again)
		if err != nil {
			t.Fatal(err)
		}
		item.Created = back.Created // beyond what 64 bits hold in nanoseconds, it means nothing
		if !reflect.DeepEqual(item, back) {
			t.Fatalf("%+v, was %+v", back, item)
		}
	})
}

// FuzzMessages packs any bytes as if they were PostgreSQL's: they come back as they were.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("T\x00\x00\x00\x1b\x00\x01n\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"), []byte("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01xC\x00\x00\x00\x0dSELECT 1\x00"))
	f.Add([]byte("n\x00\x00\x00\x04"), []byte("C\x00\x00\x00\x0dSELECT 0\x00"))
	f.Add([]byte{}, []byte("D\x00\x00\x00\x0a\x00\x01\xff\xff\xff\xffC\x00\x00\x00\x0dSELECT 1\x00"))
	f.Add([]byte("T\x00\x00\x00\x06\x00\x00"), []byte("D\x00\x00\x00\x06\x00\x00C\x00\x00\x00\x0dSELECT 1\x00"))
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, row, data []byte) {
		item := &Item{TTL: time.Minute, Row: row, Data: data}
		b, err := c.Encode(nil, cache.Key{}, item)
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.Decode(cache.Key{}, b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Row, row) || !bytes.Equal(back.Data, data) || (back.Row == nil) != (row == nil) || (back.Data == nil) != (data == nil) {
			t.Fatalf("%q, %q, were %q, %q", back.Row, back.Data, row, data)
		}
	})
}

// TestWhatPostgreSQLSendsIsPacked: a packer that refuses everything would pass all other tests.
func TestWhatPostgreSQLSendsIsPacked(t *testing.T) {
	row := []byte("T\x00\x00\x00\x1a\x00\x01n\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00")
	for _, data := range []string{
		"C\x00\x00\x00\x0dSELECT 0\x00",
		"D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01xC\x00\x00\x00\x0dSELECT 1\x00",
		"D\x00\x00\x00\x0e\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00D\x00\x00\x00\x0f\x00\x02\x00\x00\x00\x01x\x00\x00\x00\x00C\x00\x00\x00\x0dSELECT 2\x00",
	} {
		payload := appendPayload(nil, &Item{TTL: time.Minute, Row: row, Data: []byte(data)})
		if how := payload[0]; how != shapePacked<<shiftRow|shapePacked<<shiftData {
			t.Errorf("shape %b of %q", how, data)
		}
	}
}

func readHex(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decodeHex(text)
}
