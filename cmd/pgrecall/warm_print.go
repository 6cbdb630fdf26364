package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/warm"
)

// printWarm writes a report for people.
func printWarm(w io.Writer, r *warm.Report) {
	places := map[string][]string{}
	for _, q := range r.Queries {
		if q.Reason != "" {
			places[q.Outcome+q.Reason] = append(places[q.Outcome+q.Reason], q.Place)
		}
	}
	line := func(name string, n int) { fmt.Fprintf(w, "%-10s%d\n", name+":", n) }
	because := func(outcome string) {
		for _, reason := range r.Frequent() {
			if where := places[outcome+reason]; len(where) > 0 {
				fmt.Fprintf(w, "  %6d  %s: %s\n", len(where), reason, some(where))
			}
		}
	}
	if r.Eligible > 0 {
		line("would load", r.Eligible)
	}
	line("loaded", r.Loaded)
	line("present", r.Present)
	line("skipped", r.Skipped)
	because(warm.Skipped)
	line("errors", r.Errors)
	because(warm.Failed)
	if left := r.Total - r.Done(); left > 0 {
		line("not asked", left)
	}
	fmt.Fprintf(w, "%-10s%v\n", "time:", time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
	fmt.Fprintf(w, "%-10s%s in database %s\n", "role:", r.User, r.Database)
}

// shownPlaces is how many places a line of the report names.
const shownPlaces = 3

func some(places []string) string {
	if len(places) > shownPlaces {
		return strings.Join(places[:shownPlaces], ", ") + ", ..."
	}
	return strings.Join(places, ", ")
}

// progress shows how far a run is: a bar on a terminal, a line for each tenth elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	mu       sync.Mutex
	tenth    int
	drawn    time.Time
}

// barWidth is the length of the bar, redraw the least time between two pictures of it.
const (
	barWidth = 30
	redraw   = 50 * time.Millisecond
)

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progress) update(r *warm.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := fmt.Sprintf("%d of %d: %d loaded, %d present, %d skipped, %d errors", r.Done(), r.Total, r.Loaded, r.Present, r.Skipped, r.Errors)
	if p.terminal {
		if now := time.Now(); now.Sub(p.drawn) >= redraw || r.Done() == r.Total {
			full := barWidth * r.Done() / max(r.Total, 1)
			fmt.Fprintf(p.w, "\r[%s%s] %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), counts)
			p.drawn = now
		}
		return
	}
	if tenth := 10 * r.Done() / max(r.Total, 1); tenth > p.tenth {
		p.tenth = tenth
		fmt.Fprintf(p.w, "warming %s\n", counts)
	}
}

// end leaves the bar's line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && !p.drawn.IsZero() {
		fmt.Fprintln(p.w)
	}
}
