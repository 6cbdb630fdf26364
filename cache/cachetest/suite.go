package cachetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/invalidator"
)

// Suite describes the tier under test.
type Suite struct {
	// New returns an empty tier with about so many bytes of room, or with a limit of its own,
	// which is closed by the suite.
	New func(tb testing.TB, limitBytes int64) cache.Tier
	// Settle waits until what was put before can be found. Nil where Put and Delete do that themselves.
	Settle func(tier cache.Tier)
	// Bounded is true when the tier itself keeps Stats().Bytes under LimitBytes at every moment.
	Bounded bool
}

// roomy is a limit that no test fills unless it means to.
const roomy = 16 << 20

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Suite)
	}{
		{"GetOfNothing", getOfNothing},
		{"GetReturnsWhatWasPut", getReturnsWhatWasPut},
		{"KeysAreComparedWhole", keysAreComparedWhole},
		{"PutReplaces", putReplaces},
		{"Delete", deleteForgets},
		{"DeleteFunc", deleteFuncForgets},
		{"EntriesOutliveTheTier", entriesOutliveTheTier},
		{"StatsCount", statsCount},
		{"ReasonsAreKnown", reasonsAreKnown},
		{"NeverAnswersWhatWasNotPut", neverAnswersWhatWasNotPut},
		{"Concurrent", concurrent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	if s.Bounded {
		t.Run("StaysUnderItsLimit", func(t *testing.T) { staysUnderItsLimit(t, s) })
		t.Run("RefusesTheTooLarge", func(t *testing.T) { refusesTheTooLarge(t, s) })
	}
}

func (s Suite) open(t *testing.T, limit int64) cache.Tier {
	t.Helper()
	tier := s.New(t, limit)
	t.Cleanup(tier.Close)
	return tier
}

func (s Suite) settle(tier cache.Tier) {
	if s.Settle != nil {
		s.Settle(tier)
	}
}

// Key returns the nth of many keys.
func Key(n uint64) cache.Key {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return sha256.Sum256(b[:])
}

var source = &cache.Source{Database: "postgres", Relations: []uint32{16384, 16385}, Tables: []string{"public.accounts"}}

// Entry returns an entry whose messages say which key it belongs to and which version it is, with
// size bytes of padding.
func Entry(key cache.Key, version uint64, size int) *cache.Entry {
	data := append([]byte("D"), key[:]...)
	data = binary.BigEndian.AppendUint64(data, version)
	data = append(data, make([]byte, size)...)
	return cache.NewEntry(nil, []byte("T row"), data, invalidator.Stamp{{Slot: 1, Word: version}}, source, cache.Monotonic(), 1000)
}

// Version returns the version of an entry that Entry made, and whether it belongs to the key.
func Version(e *cache.Entry, key cache.Key) (version uint64, belongs bool) {
	if len(e.Data) < 41 || !bytes.Equal(e.Data[1:33], key[:]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(e.Data[33:]), true
}

// Same returns how two entries differ in what a client may see of them or a flush depends on, nil when they do not.
func Same(got, want *cache.Entry) error {
	for _, m := range []struct {
		name      string
		got, want []byte
	}{
		{"Parameters", got.Parameters, want.Parameters},
		{"Row", got.Row, want.Row},
		{"Data", got.Data, want.Data},
	} {
		if !bytes.Equal(m.got, m.want) || (m.got == nil) != (m.want == nil) {
			return fmt.Errorf("%s is %q, want %q", m.name, m.got, m.want)
		}
	}
	switch g, w := got.Source, want.Source; {
	case g == nil:
		return errors.New("no source")
	case g.Database != w.Database, fmt.Sprint(g.Relations) != fmt.Sprint(w.Relations):
		return fmt.Errorf("source is %+v, want %+v", g, w)
	}
	return nil
}
