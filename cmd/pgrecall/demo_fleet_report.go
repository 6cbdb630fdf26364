package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgrecall/pgrecall/admin"
)

// watch reads the members' figures all the time and shows how the load goes on.
type watch struct {
	demo  *fleetDemo
	began time.Time
	shown time.Time

	counts  [members]count // at the last look
	samples []sample
}

// count is what a member has answered so far.
type count struct{ hits, reads uint64 }

// sample is what a member answered between two looks.
type sample struct {
	seat int
	end  time.Time
	count
}

// elapsed returns a condition that holds when some time has passed from now on.
func (w *watch) elapsed(length time.Duration) func() bool {
	end := time.Now().Add(length)
	return func() bool { return !time.Now().Before(end) }
}

// until watches until the condition holds, or the load or the context ends, which is an error.
func (w *watch) until(ctx context.Context, stage string, reached func() bool) error {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	terminal := isTerminal(w.demo.process.stdout)
	for !reached() {
		select {
		case <-tick.C:
		case <-w.demo.ended:
			return errors.Join(w.demo.outcome, ctx.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.look(ctx); err != nil {
			return err
		}
		if terminal && time.Since(w.shown) >= progressInterval {
			w.show("\r", stage, " ")
		}
	}
	if terminal {
		w.show("\r", stage, "\n")
	} else {
		w.show("", stage, "\n")
	}
	return nil
}

// look takes a sample of each member.
func (w *watch) look(ctx context.Context) error {
	for seat := range members {
		m := w.demo.load.seats[seat].Load()
		if m == nil {
			w.counts[seat] = count{}
			continue
		}
		status, err := m.figures(ctx)
		if err != nil {
			return err
		}
		now := count{status.Hits(), status.Reads()}
		w.samples = append(w.samples, sample{seat, time.Now(), count{now.hits - w.counts[seat].hits, now.reads - w.counts[seat].reads}})
		w.counts[seat] = now
	}
	return nil
}

// restart makes the next sample of a seat begin at these figures.
func (w *watch) restart(seat int, s admin.Status) { w.counts[seat] = count{s.Hits(), s.Reads()} }

// rateWindow is how much of the past tells a hit rate.
const rateWindow = time.Second

// rate returns the hit rate of a seat in the last rateWindow, in percent.
func (w *watch) rate(seat int) float64 {
	var sum count
	for i := len(w.samples) - 1; i >= 0 && time.Since(w.samples[i].end) < rateWindow; i-- {
		if w.samples[i].seat == seat {
			sum.hits += w.samples[i].hits
			sum.reads += w.samples[i].reads
		}
	}
	return sum.percent()
}

func (c count) percent() float64 { return 100 * float64(c.hits) / float64(max(c.reads, 1)) }

// show prints a line of progress.
func (w *watch) show(start, stage, end string) {
	w.shown = time.Now()
	f := w.demo.load
	fmt.Fprintf(w.demo.process.stdout, "%s%-28s%5.1f s %9d reads %6d writes  hit rates:", start, stage, time.Since(w.began).Seconds(), f.reads.Load(), f.writes.Load())
	for seat := range members {
		if f.seats[seat].Load() == nil {
			fmt.Fprint(w.demo.process.stdout, "    -")
			continue
		}
		fmt.Fprintf(w.demo.process.stdout, " %3.0f%%", w.rate(seat))
	}
	fmt.Fprintf(w.demo.process.stdout, "  stale reads: %d %s", f.stale.Load(), end)
}

// fleetReport is what the demo found.
type fleetReport struct {
	rows            []memberRow
	issued, reached int64
	independent     bool // reached comes from pg_stat_statements

	killed, back time.Time
	before       float64       // the victim's hit rate before, in percent
	readyAfter   time.Duration // the new process, since it was started
	first        admin.Status  // of the new process's first reads
	firstTook    time.Duration
	recovered    time.Duration // until its hit rate was nearly that of before; 0: it was not
	silent       time.Duration // the longest time in which the others had no hits

	steady, crashing []time.Duration // latencies of writes, shortest first
}

// memberRow is a row of the table.
type memberRow struct {
	name     string
	counted  admin.Status
	p50, p99 time.Duration
}

// collect takes what the load and the members have told.
func (r *fleetReport) collect(d *fleetDemo, w *watch) {
	row := func(name string, m *member) {
		sorted := m.served.between(time.Time{}, time.Now())
		r.rows = append(r.rows, memberRow{name, m.counted, percentile(sorted, 50), percentile(sorted, 99)})
	}
	for seat := range members {
		m := d.load.seats[seat].Load()
		if seat == victim {
			row(m.name+", killed", d.gone[0])
			row(m.name+", new", m)
			continue
		}
		row(m.name, m)
	}
	r.issued, r.independent = d.load.reads.Load()+d.load.writes.Load(), d.database.counted
	r.steady = d.load.written.between(time.Time{}, r.killed)
	r.crashing = d.load.written.between(r.killed, r.back)
	r.recovered = w.recovered(r.back, r.before)
	r.silent = w.silent(r.killed, r.back)
}

// nearly is the part of the hit rate of before that counts as back.
const nearly = 0.95

// recovered returns when, after the victim's successor was there, its hit rate was nearly the one of before.
func (w *watch) recovered(back time.Time, before float64) time.Duration {
	for _, s := range w.samples {
		if s.seat == victim && s.end.After(back) && s.reads > 0 && s.percent() >= nearly*before {
			return s.end.Sub(back)
		}
	}
	return 0
}

// silent returns the longest time between two moments in which a member other than the victim was asked and had no hits.
func (w *watch) silent(from, to time.Time) (longest time.Duration) {
	for seat := range members {
		last := from
		for _, s := range w.samples {
			if s.seat != seat || seat == victim || s.end.Before(from) || s.end.After(to) {
				continue
			}
			if s.hits > 0 {
				last = s.end
			}
			longest = max(longest, s.end.Sub(last))
		}
	}
	return longest
}

func (r *fleetReport) hitRatePercent() int {
	var sum count
	for i := range r.rows {
		sum.hits += r.rows[i].counted.Hits()
		sum.reads += r.rows[i].counted.Reads()
	}
	return int(sum.percent())
}

func (r *fleetReport) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-18s%10s%8s%8s%12s%10s%12s%12s\n", "", "reads", "L1", "L2", "PostgreSQL", "hit rate", "p50", "p99")
	for i := range r.rows {
		row := &r.rows[i]
		s := &row.counted
		part := func(n uint64) float64 { return count{n, s.Reads()}.percent() }
		fmt.Fprintf(w, "%-18s%10d%7.1f%%%7.1f%%%11.1f%%%9.1f%%%12s%12s\n", row.name, s.Reads(), part(s.Statements["hit_l1"]), part(s.Statements["hit_l2"]),
			100-part(s.Hits()), part(s.Hits()), short(row.p50), short(row.p99))
	}
	reached, source := r.reached, "as pg_stat_statements counts them"
	if !r.independent {
		source = "as the pgrecalls count them"
		reached = r.issued
		for i := range r.rows {
			reached -= int64(r.rows[i].counted.Hits())
		}
	}
	spared := max(r.issued-reached, 0)
	fmt.Fprintf(w, "\nstatements through the fleet: %d, of which %d reached PostgreSQL, %s\n", r.issued, reached, source)
	fmt.Fprintf(w, "statements that PostgreSQL was spared: %d (%.1f%%)\n", spared, 100*float64(spared)/float64(max(r.issued, 1)))
	fmt.Fprintf(w, "a write with three pgrecalls (strict: each has seen it before it is acknowledged): p50 %s, p99 %s\n",
		short(percentile(r.steady, 50)), short(percentile(r.steady, 99)))
	fmt.Fprintf(w, "while one was dead: longest write %s (until its lease had run out), longest time without a hit on another %.1f s\n",
		short(percentile(r.crashing, 100)), r.silent.Seconds())
	f := &r.first
	part := func(n uint64) float64 { return count{n, f.Reads()}.percent() }
	fmt.Fprintf(w, "the new process: ready %.1f s after its start: then it was certain of the others, and its clients came back\n", r.readyAfter.Seconds())
	fmt.Fprintf(w, "its first %d reads, in %s: %.0f%% out of L2, %.0f%% again out of L1, %.0f%% from PostgreSQL\n", f.Reads(), short(r.firstTook),
		part(f.Statements["hit_l2"]), part(f.Statements["hit_l1"]), 100-part(f.Hits()))
	if r.recovered > 0 {
		fmt.Fprintf(w, "its hit rate: %.0f%% before it was killed, that again %.1f s after its first read (looked at every %.1f s)\n", r.before, r.recovered.Seconds(), sampleInterval.Seconds())
	} else {
		fmt.Fprintf(w, "its hit rate: %.0f%% before it was killed, not yet that again\n", r.before)
	}
}
