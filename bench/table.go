package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// print writes the report for people.
func (r *report) print(output io.Writer) error {
	fmt.Fprintf(output, "PostgreSQL %s, %d CPUs, %s; %d clients, pgbench with %d threads, %d hot keys; medians of %d rounds of %d s\n",
		r.PostgreSQL, r.CPUs, r.Go, r.Clients, r.Threads, r.Keys, r.Rounds, r.Seconds)
	fmt.Fprintln(output, "ratios are medians of each round's ratio; CPU is that of the program in the middle, all its processes")
	for _, m := range r.Missing {
		fmt.Fprintf(output, "missing: %s: %s\n", m.Peer, m.Reason)
	}
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, mode := range r.Modes {
		r.printMode(table, mode)
	}
	r.printBuilds(table)
	r.printMemory(table)
	r.printStale(table)
	printTargets(table, r.Targets)
	return table.Flush()
}

func (r *report) printMode(table io.Writer, mode string) {
	if !slices.ContainsFunc(r.Cells, func(c *cell) bool { return c.Mode == mode }) {
		return
	}
	floor, relay, direct := r.cell(nameFloor, mode), r.cell(nameRelay, mode), r.cell(nameDirect, mode)
	fmt.Fprintf(table, "\n%s\tstmts/s\tlowest\thighest\tx direct\tx floor\tCPU us\tx floor\tx relay\tlatency ms\thits %%\tfailed\t\n", mode)
	for _, c := range r.Cells {
		if c.Mode != mode {
			continue
		}
		rate, cpu := c.column(perSecond), c.column(cpuMicros)
		lowest, highest := extremes(rate)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Peer,
			show("%.0f", median(rate)), show("%.0f", lowest), show("%.0f", highest),
			show("%.2f", medianRatio(rate, direct.column(perSecond))),
			show("%.2f", medianRatio(rate, floor.column(perSecond))),
			show("%.2f", median(cpu)),
			show("%.2f", medianRatio(cpu, floor.column(cpuMicros))),
			show("%.2f", medianRatio(cpu, relay.column(cpuMicros))),
			show("%.3f", median(c.column(latencyMs))),
			show("%.1f", median(c.column(hitPercent))),
			failures(c))
	}
}

// printBuilds compares further builds of pgrecall with the first.
func (r *report) printBuilds(table io.Writer) {
	builds := r.builds()
	if len(builds) < 2 {
		return
	}
	fmt.Fprintf(table, "\nagainst %s\tmode\tstmts/s x\tCPU x\t\n", builds[0])
	for _, c := range r.Cells {
		if c.Build == "" || c.Build == builds[0] {
			continue
		}
		first := r.cell(builds[0]+strings.TrimPrefix(c.Peer, c.Build), c.Mode)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", c.Peer, c.Mode,
			show("%.2f", medianRatio(c.column(perSecond), first.column(perSecond))),
			show("%.2f", medianRatio(c.column(cpuMicros), first.column(cpuMicros))))
	}
}

func (r *report) printMemory(table io.Writer) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprint(table, "\nmemory\tentries\tbytes/entry\tof it heap\tidle clients\tbytes/client\t\n")
	for _, m := range r.Memory {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t\n", m.Peer,
			show("%.0f", float64(m.Entries)), show("%.0f", float64(m.EntryBytes)), show("%.0f", float64(m.EntryHeapBytes)),
			m.IdleClients, show("%.0f", float64(m.IdleBytes)))
	}
	for _, m := range r.Memory {
		if m.Error != "" {
			fmt.Fprintf(table, "%s: %s\n", m.Peer, m.Error)
		}
	}
}

func (r *report) printStale(table io.Writer) {
	if len(r.Stale) == 0 {
		return
	}
	fmt.Fprint(table, "\nreads after acknowledged writes\twrites\treads\tstale\thits %\t\n")
	for _, s := range r.Stale {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t\n", s.Peer, s.Writes, s.Reads, s.Stale, show("%.1f", float64(s.HitPercent)))
	}
	for _, s := range r.Stale {
		if s.Error != "" {
			fmt.Fprintf(table, "%s: %s\n", s.Peer, s.Error)
		}
	}
}

func printTargets(table io.Writer, targets []target) {
	if len(targets) == 0 {
		return
	}
	fmt.Fprint(table, "\ntarget\tof\tmeasured\tlowest\thighest\tfloor\tlimit\t\t\n")
	for _, t := range targets {
		floor := ""
		if t.Floor != nil {
			floor = show("%.2f", float64(*t.Floor))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s %g\t%s\t\n",
			t.What, t.Build, show("%.2f", float64(t.Measured)), show("%.2f", float64(t.Lowest)), show("%.2f", float64(t.Highest)), floor, t.bound, t.Limit, t.Verdict)
	}
}

// show formats a value that may be missing.
func show(format string, value float64) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// failures counts the rounds without values.
func failures(c *cell) string {
	count := 0
	for _, m := range c.Rounds {
		if m.Error != "" {
			count++
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", count, len(c.Rounds))
}
