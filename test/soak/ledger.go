package soak

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// ledger remembers who did what when: the last actions of writers and the last batches of readers.
type ledger struct {
	start time.Time

	mu      sync.Mutex
	writes  [4096]action
	written uint64
	batches [512]action
	batched uint64
}

// action is what one client sent.
type action struct {
	client     string
	text       string
	began      time.Duration // since the start of the run
	ended      time.Duration // 0 while it is under way
	commits    int           // how many transactions may become visible by it
	definition bool
	note       string // outcome
}

func newLedger() *ledger { return &ledger{start: time.Now()} }

func (l *ledger) now() time.Duration { return time.Since(l.start) }

// begin notes an action of a writer before it is sent; end what came of it.
func (l *ledger) begin(a action) (number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.began = l.now()
	l.writes[l.written%uint64(len(l.writes))] = a
	l.written++
	return l.written - 1
}

func (l *ledger) end(number uint64, note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := &l.writes[number%uint64(len(l.writes))]; number+uint64(len(l.writes)) >= l.written {
		a.ended, a.note = l.now(), note
	}
}

// read notes a batch of a reader.
func (l *ledger) read(client, text string, began time.Duration, note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches[l.batched%uint64(len(l.batches))] = action{client: client, text: text, began: began, ended: l.now(), note: note}
	l.batched++
}

// overlap tells how many transactions of writers may have become visible in a span of time, and whether any of them changed definitions or
// rights.
func (l *ledger) overlap(from, to time.Duration) (commits int, definition bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := uint64(0)
	if n := uint64(len(l.writes)); l.written > n {
		oldest = l.written - n
		if l.writes[oldest%n].began > from { // what was before is forgotten
			return 1 << 20, true
		}
	}
	for i := oldest; i < l.written; i++ {
		a := &l.writes[i%uint64(len(l.writes))]
		if a.began <= to && (a.ended == 0 || a.ended >= from) {
			commits += a.commits
			definition = definition || a.definition && a.commits > 0
		}
	}
	return commits, definition
}

// dump writes everything that is remembered.
func (l *ledger) dump(w io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	lists := []struct {
		title string
		all   []action
		n     uint64
	}{{"writers", l.writes[:], l.written}, {"readers", l.batches[:], l.batched}}
	for _, list := range lists {
		if _, err := fmt.Fprintf(w, "\n== last actions of %s: began, ended, client, outcome, text\n", list.title); err != nil {
			return err
		}
		size := uint64(len(list.all))
		for i := max(list.n, size) - size; i < list.n; i++ {
			a := &list.all[i%size]
			if _, err := fmt.Fprintf(w, "%.6f %.6f %s [%s] %s\n", a.began.Seconds(), a.ended.Seconds(), a.client, a.note, a.text); err != nil {
				return err
			}
		}
	}
	return nil
}
