package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
)

func TestInterleaveTakesTurns(t *testing.T) {
	var order []string
	enough := errors.New("enough")
	ask := func(name string) contender {
		return contender{name, func(context.Context, int) error {
			if order = append(order, name); len(order) == 9 {
				return enough
			}
			return nil
		}}
	}
	if _, err := interleave(t.Context(), "turns", 2, time.Minute, [][]contender{{ask("a"), ask("b"), ask("c")}}); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abcbcacab" {
		t.Errorf("order %s", got)
	}
	nothing := func(context.Context, int) error { return nil }
	c, err := interleave(t.Context(), "rounds", 2, time.Millisecond, [][]contender{{{"a", nothing}, {"b", nothing}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Series {
		if len(s.P50) != 1 || len(s.P99) != 1 || s.P50[0] > s.P99[0] {
			t.Errorf("%s: %v %v; the first round must not count", s.Name, s.P50, s.P99)
		}
	}
	broken := errors.New("broken")
	_, err = interleave(t.Context(), "failure", 1, time.Second, [][]contender{{{"x", func(context.Context, int) error { return broken }}}})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestDeathIsJudged(t *testing.T) {
	start := time.Now()
	var reads []timed
	at := func(begin, took time.Duration, hot bool) {
		reads = append(reads, timed{hot, start.Add(begin), start.Add(begin + took)})
	}
	for i := range 1000 {
		at(time.Duration(i)*time.Millisecond, 100*time.Microsecond, i%2 == 0)
	}
	died := start.Add(time.Second)
	at(time.Second+time.Millisecond, 52*time.Millisecond, false)
	at(1100*time.Millisecond, 20*time.Millisecond, false)
	for i := range 1500 {
		at(1200*time.Millisecond+time.Duration(i)*time.Millisecond, 300*time.Microsecond, i%2 == 0)
	}
	at(2800*time.Millisecond, 30*time.Millisecond, true) // something else
	at(2900*time.Millisecond, 300*time.Microsecond, true)
	at(2910*time.Millisecond, 300*time.Microsecond, false)
	var d death
	d.judge(reads, died, time.Millisecond)
	if d.Slow != 3 || math.Abs(float64(d.Back)-0.12) > 1e-6 || d.Longest != 52_000.0/1000 {
		t.Errorf("slow %d, back %v, longest %v", d.Slow, d.Back, d.Longest)
	}
	if d.ColdBefore != 100 || d.HotBefore != 100 || d.ColdAfter != 300 || d.HotAfter != 300 {
		t.Errorf("medians %+v", d)
	}
	// What was as slow before is no sign of the death.
	reads[10].end = reads[10].began.Add(100 * time.Millisecond)
	d = death{}
	d.judge(reads, died, time.Millisecond)
	if d.Slow != 0 || d.Back != 0 {
		t.Errorf("a slow machine: slow %d, back %v", d.Slow, d.Back)
	}
	// Nor is what takes PostgreSQL itself as long.
	reads[10].end = reads[10].began
	d = death{}
	d.judge(reads, died, 50*time.Millisecond)
	if d.Slow != 0 || d.Back != 0 {
		t.Errorf("a slow server: slow %d, back %v", d.Slow, d.Back)
	}
}

func TestL2ReportIsPrinted(t *testing.T) {
	r := &l2Report{
		Redis: "7", Loads: "0.1, 0.2", Rounds: 2,
		Lookups: []comparison{{Name: "small", Series: []series{{nameGet, []number{10, 20}, []number{100, 200}}, {nameLookup, []number{11, 30}, []number{200, 400}}}}},
		Memory:  l2Memory{Kinds: []l2Kind{{Name: "a number", Small: true, Results: 10_000, Bytes: 1_500_000, Names: 10, Values: 10, Raw: 10}}},
		Deaths:  []death{{Name: "SIGSTOP, strict", Back: 0.05}},
	}
	r.judge()
	var text bytes.Buffer
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	words := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"lookup to entry 20.5 300.0 1.30 2.00",
		"lookup x GET, p50, small 1.30 1.10 1.50 <= 1.3 reached",
		"lookup x GET, p99, small 2.00 2.00 2.00 <= 1.3 NOT REACHED",
		"bytes of 10,000 results, a number 1500000.00 - - < 2e+06 reached",
		"seconds until reads are back, SIGSTOP, strict 0.05 - - <= 0.1 reached",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// TestOneRowIsAnEntry keeps what the lookups measure in step with what a pgrecall stores.
func TestOneRowIsAnEntry(t *testing.T) {
	c, err := codec.New(codec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	item := oneRow("text")
	value, err := c.Encode(nil, cache.Key{1}, item)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(cache.Key{1}, value)
	if err != nil || !bytes.Equal(got.Data, item.Data) || !bytes.Equal(got.Row, item.Row) {
		t.Errorf("got %+v, %v", got, err)
	}
	if n := len(orders(1000)); n < 1000 || n > 1200 {
		t.Errorf("%d bytes", n)
	}
}

func TestBothTablesArePublished(t *testing.T) {
	page := filepath.Join(t.TempDir(), "bench.md")
	empty := slices.Concat([]byte("a\n"), figuresBegin, figuresEnd, []byte("b\n"), l2FiguresBegin, l2FiguresEnd)
	if err := os.WriteFile(page, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &report{L2: &l2Report{Redis: "7.5"}}
	if err := r.deliver(options{page: page, l2Only: true}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := bytes.Cut(text, l2FiguresBegin)
	if !bytes.Contains(after, []byte("Redis 7.5")) || !bytes.Equal(before, empty[:len(before)]) {
		t.Errorf("got %s", text)
	}
}
