package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
)

// progressInterval is the time between two lines of progress.
const progressInterval = 500 * time.Millisecond

// report is what the demo found.
type report struct {
	phases []*phase
	// Of the phases through pgrecall together:
	hits, reads    uint64 // as pgrecall counted
	issued         int64  // statements that clients sent
	reached        int64  // of them, those that reached PostgreSQL
	independent    bool   // reached comes from pg_stat_statements
	checks, stale  int64
	hitRatePercent int
}

// measure runs the four phases.
func (p *process) measure(ctx context.Context, length time.Duration, d *demoDatabase, i *instance, direct, cached *pgx.ConnConfig) (*report, error) {
	known := &versions{}
	r := &report{independent: d.counted}
	for _, way := range []struct {
		name   string
		mode   pgx.QueryExecMode
		target *pgx.ConnConfig
	}{
		{"direct, simple", pgx.QueryExecModeSimpleProtocol, direct},
		{"cached, simple", pgx.QueryExecModeSimpleProtocol, cached},
		{"direct, prepared", pgx.QueryExecModeCacheStatement, direct},
		{"cached, prepared", pgx.QueryExecModeCacheStatement, cached},
	} {
		f := &phase{name: way.name, mode: way.mode, target: way.target, database: d, acknowledged: known}
		before, err := figuresOf(ctx, d, i)
		if err != nil {
			return nil, err
		}
		if err := p.watch(ctx, length, f); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.phases = append(r.phases, f)
		if way.target == cached {
			after, err := figuresOf(ctx, d, i)
			if err != nil {
				return nil, err
			}
			r.add(f, before, after)
		}
	}
	return r, nil
}

// figures are the counters of both sides at one moment.
type figures struct {
	status  admin.Status
	reached int64
}

func figuresOf(ctx context.Context, d *demoDatabase, i *instance) (f figures, err error) {
	f.status = i.Status()
	if d.counted {
		f.reached, err = d.statements(ctx)
	}
	return f, err
}

func (r *report) add(f *phase, before, after figures) {
	hits := after.status.Hits() - before.status.Hits()
	r.hits += hits
	r.reads += after.status.Reads() - before.status.Reads()
	r.checks += f.checks.Load()
	r.stale += f.stale.Load()
	sent := after.status.Reads() - before.status.Reads() + after.status.Statements["write"] - before.status.Statements["write"]
	r.issued += int64(sent)
	if r.independent {
		r.reached += after.reached - before.reached
	} else {
		r.reached += int64(sent - hits)
	}
	if r.reads > 0 {
		r.hitRatePercent = int(100 * r.hits / r.reads)
	}
}

// watch runs a phase with a line of progress.
func (p *process) watch(ctx context.Context, length time.Duration, f *phase) error {
	done := make(chan error, 1)
	go func() { done <- f.run(ctx, length) }()
	terminal := isTerminal(p.stdout)
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	began := time.Now()
	show := func(end string) {
		start := ""
		if terminal {
			start = "\r"
		}
		fmt.Fprintf(p.stdout, "%s%-18s%5.1f s %9d reads %6d writes  stale reads: %d %s", start, f.name,
			time.Since(began).Seconds(), f.reads.Load(), f.writes.Load(), f.stale.Load(), end)
	}
	for {
		select {
		case err := <-done:
			show("\n")
			return err
		case <-tick.C:
			if terminal {
				show("")
			}
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// percentile returns the latency that so many of a hundred reads don't exceed.
func (f *phase) percentile(p float64) time.Duration {
	slices.Sort(f.latencies)
	return percentile(f.latencies, p)
}

// percentile returns the value that so many of a hundred don't exceed, 0 of none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	n := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[max(n, 0)]
}

func (f *phase) perSecond() float64 { return float64(f.reads.Load()) / f.elapsed.Seconds() }

// print writes the table; its last two lines are what checks look for.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-18s%12s%12s%12s\n", "", "p50", "p99", "reads/s")
	for _, f := range r.phases {
		fmt.Fprintf(w, "%-18s%12s%12s%12.0f\n", f.name, short(f.percentile(50)), short(f.percentile(99)), f.perSecond())
	}
	source := "as pgrecall counts them"
	if r.independent {
		source = "as pg_stat_statements counts them"
	}
	spared := max(r.issued-r.reached, 0)
	fmt.Fprintf(w, "\nstatements through pgrecall: %d, of which %d reached PostgreSQL, %s\n", r.issued, r.reached, source)
	fmt.Fprintf(w, "statements that PostgreSQL was spared: %d (%.1f%%)\n", spared, 100*float64(spared)/float64(max(r.issued, 1)))
	fmt.Fprintf(w, "reads compared with acknowledged writes: %d\n", r.checks)
	fmt.Fprintf(w, "hit rate: %d%%\n", r.hitRatePercent)
	fmt.Fprintf(w, "stale reads: %d\n", r.stale)
}

// short writes a latency with three digits.
func short(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// addresses says where to look and connect while the demo stays up.
func (r *report) addresses(w io.Writer, direct, cached *pgx.ConnConfig, i *instance) {
	fmt.Fprintln(w)
	line := func(name string, c *pgx.ConnConfig) {
		fmt.Fprintf(w, "%-14spsql -h %s -p %d -U %s %s\n", name, c.Host, c.Port, c.User, c.Database)
	}
	line("through", cached)
	line("direct", direct)
	if i.adminAddr != nil {
		fmt.Fprintf(w, "%-14shttp://%s/\n", "status page", i.adminAddr)
		fmt.Fprintf(w, "%-14shttp://%s/metrics\n", "metrics", i.adminAddr)
	}
}
