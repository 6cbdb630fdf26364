package cache

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgrecall/pgrecall/invalidator"
)

func TestNewEntryKeepsEverything(t *testing.T) {
	message := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 100))
	rapid.Check(t, func(t *rapid.T) {
		parameters, row, data := message.Draw(t, "parameters"), message.Draw(t, "row"), message.Draw(t, "data")
		var stamp invalidator.Stamp
		for range rapid.IntRange(0, 5).Draw(t, "marks") {
			stamp = append(stamp, invalidator.Mark{
				Slot: invalidator.Slot(rapid.Uint32().Draw(t, "slot")),
				Word: rapid.Uint64().Draw(t, "word"),
			})
		}
		source := &Source{}
		e := NewEntry(parameters, row, data, stamp, source, 7, 9)
		for _, m := range []struct{ got, want []byte }{{e.Parameters, parameters}, {e.Row, row}, {e.Data, data}} {
			if !bytes.Equal(m.got, m.want) || (m.got == nil) != (m.want == nil) {
				t.Fatalf("message %#v, want %#v", m.got, m.want)
			}
			if cap(m.got) != len(m.got) {
				t.Fatalf("an append would run into the next message: len %d, cap %d", len(m.got), cap(m.got))
			}
		}
		if len(e.Stamp) != len(stamp) || len(stamp) > 0 && !reflect.DeepEqual(e.Stamp, stamp) || cap(e.Stamp) != len(e.Stamp) {
			t.Fatalf("stamp %v, want %v", e.Stamp, stamp)
		}
		if e.Source != source || e.Filled != 7 || e.Origin != 9 {
			t.Fatalf("entry %+v", e)
		}
		if least := len(parameters) + len(row) + len(data) + markSize*len(stamp); e.Size() < entryOverhead+least {
			t.Fatalf("size %d is less than what it holds, %d", e.Size(), entryOverhead+least)
		}
		// The entry has copies: what its maker does to the slices later is no concern of it.
		before := bytes.Clone(e.Data)
		for i := range data {
			data[i]++
		}
		if !bytes.Equal(e.Data, before) {
			t.Fatal("the entry shares memory with its maker")
		}
	})
}

func TestExpired(t *testing.T) {
	var low Key // takes nothing away
	high := Key{}
	for i := range high {
		high[i] = 0xff // takes almost a tenth away
	}
	const second = int64(time.Second)
	for _, c := range []struct {
		name        string
		key         Key
		filled, now int64
		ttl         time.Duration
		want        bool
	}{
		{"no ttl", low, 0, 0, 0, true},
		{"negative ttl", low, 0, 0, -1, true},
		{"just filled", low, 5, 5, 1, false},
		{"filled after the caller looked at the clock", low, 5, 4, 1, false},
		{"last nanosecond", low, 0, second - 1, time.Second, false},
		{"ttl reached", low, 0, second, time.Second, true},
		{"nine tenths", high, 0, second * 9 / 10, time.Second, false},
		{"a little more than nine tenths", high, 0, second*9/10 + 1, time.Second, true},
		{"longest ttl", low, 0, math.MaxInt64 - 1, math.MaxInt64, false},
		{"longest ttl, jittered", high, 0, math.MaxInt64 / 2, math.MaxInt64, false},
		{"age beyond int64", low, math.MinInt64, math.MaxInt64, math.MaxInt64, true},
		{"ttl lengthened by a reload", low, 0, second, 2 * time.Second, false},
	} {
		if got := (&Entry{Filled: c.filled}).Expired(c.key, c.now, c.ttl); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestExpirySpreads fills a thousand entries at once and counts how many expire in each hundredth
// of the last tenth of their TTL.
func TestExpirySpreads(t *testing.T) {
	const entries, ttl = 1000, 100 * time.Second
	var scope [32]byte
	var buckets [10]int
	for i := range entries {
		key := SimpleKey(&scope, []byte{byte(i), byte(i >> 8)})
		e := &Entry{}
		for b := range buckets {
			from, to := int64(90+b)*int64(time.Second), int64(91+b)*int64(time.Second)
			if !e.Expired(key, from, ttl) && e.Expired(key, to, ttl) {
				buckets[b]++
			}
		}
	}
	total := 0
	for b, n := range buckets {
		total += n
		if n < entries/20 || n > entries/5 {
			t.Errorf("%d of %d entries expire in second %d", n, entries, 90+b)
		}
	}
	if total != entries {
		t.Errorf("%d of %d entries expire in the last tenth", total, entries)
	}
}

// TestLeft: what is left, and since when nothing is.
func TestLeft(t *testing.T) {
	var low Key
	for _, c := range []struct {
		now  int64
		ttl  time.Duration
		want int64
	}{{0, 100, 100}, {30, 100, 70}, {100, 100, 0}, {130, 100, -30}, {-5, 100, 100}, {0, 0, math.MinInt64}, {5, -1, math.MinInt64}} {
		if got := (&Entry{}).Left(low, c.now, c.ttl); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.now, c.ttl, got, c.want)
		}
	}
}

// TestEarly holds the share of draws that win to the exponential distribution that the optimum has.
func TestEarly(t *testing.T) {
	const draws = 20000
	e := &Entry{Origin: int64(time.Second)}
	for _, c := range []struct {
		left time.Duration
		beta float64
	}{{0, 1}, {time.Second, 1}, {2 * time.Second, 1}, {2 * time.Second, 2}, {time.Minute, 1}, {time.Second, 0}} {
		won := 0
		for range draws {
			if e.Early(int64(c.left), c.beta) {
				won++
			}
		}
		want := math.Exp(-c.left.Seconds() / c.beta)
		if c.left == 0 {
			want = 1
		}
		if got := float64(won) / draws; math.Abs(got-want) > 0.02 {
			t.Errorf("%v left, beta %v: %.3f won, want %.3f", c.left, c.beta, got, want)
		}
	}
}
