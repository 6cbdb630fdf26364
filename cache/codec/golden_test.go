package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/invalidator"
)

var writeGolden = flag.Bool("write-golden", false, "write the golden entries that are missing")

func goldenSecret() Secret {
	s := Secret{ID: 7}
	copy(s.Key[:], "golden golden golden golden gold")
	return s
}

func goldenKey() (key cache.Key) {
	copy(key[:], "the key of the golden entries...")
	return key
}

// goldenItems holds every kind of value that the format knows.
func goldenItems() map[string]*Item {
	row := []byte("T\x00\x00\x00\x1a\x00\x01n\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00")
	data := []byte("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01xC\x00\x00\x00\x0dSELECT 1\x00")
	return map[string]*Item{
		"small": {
			Position: invalidator.Position{Epoch: 0x0102030405060708, Seq: 300, Nonce: 0x1112131415161718},
			TTL:      time.Minute, Created: 1_795_000_000_123_000_000, Origin: 412 * time.Microsecond,
			Database: "accounts", Relations: []uint32{16384, 16390}, Fingerprint: 0x2122232425262728,
			Row: row, Data: data,
		},
		"least":    {TTL: time.Millisecond},
		"verbatim": {TTL: time.Hour, Created: -1_000_000, Parameters: []byte("parameters"), Row: []byte{}, Data: []byte("no messages")},
		"large":    {TTL: time.Hour, Data: bytes.Repeat([]byte("compressible "), 1000)},
	}
}

func decodeHex(text []byte) ([]byte, error) {
	return hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
}

// TestGoldenEntries holds the format of this version fast: proxies of several releases share a store. Who changes the format changes Version with it, leaves the golden
// entries of the older versions in their place (they must be refused as such from then on), and writes new ones with -write-golden.
func TestGoldenEntries(t *testing.T) {
	folder := filepath.Join("testdata", "golden")
	for name, item := range goldenItems() {
		for kind, keys := range map[string][]Secret{"checksum": nil, "sealed": {goldenSecret()}} {
			path := filepath.Join(folder, fmt.Sprintf("v%d-%s-%s.hex", Version, name, kind))
			c, err := New(Options{Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			written, err := c.Encode(nil, goldenKey(), item)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); *writeGolden && errors.Is(err, os.ErrNotExist) {
				if err := os.WriteFile(path, []byte(wrapped(written)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := readHex(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Decode(goldenKey(), golden)
			if err != nil {
				t.Errorf("%s can't be read any more: %v. Does Version need to change?", path, err)
			} else if !reflect.DeepEqual(got, item) {
				t.Errorf("%s is read as %+v, want %+v. Does Version need to change?", path, got, item)
			}
			// What is sealed differs each time, and a compressor may learn.
			if kind == "checksum" && name != "large" && !bytes.Equal(written, golden) {
				t.Errorf("%s is written as\n%swant\n%sDoes Version need to change?", path, wrapped(written), wrapped(golden))
			}
		}
	}
	older, err := filepath.Glob(filepath.Join(folder, "*.hex"))
	if err != nil || len(older) < 2*len(goldenItems()) {
		t.Fatalf("%d golden entries: %v", len(older), err)
	}
	for _, path := range older {
		if strings.HasPrefix(filepath.Base(path), fmt.Sprintf("v%d-", Version)) {
			continue
		}
		golden, err := readHex(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Options{Keys: []Secret{goldenSecret()}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Decode(goldenKey(), golden); !errors.Is(err, ErrVersion) {
			t.Errorf("%s of an older version: %v", path, err)
		}
	}
}

// wrapped returns hexadecimal lines of 32 bytes.
func wrapped(b []byte) string {
	var text strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		fmt.Fprintf(&text, "%x\n", b[:n])
		b = b[n:]
	}
	return text.String()
}
