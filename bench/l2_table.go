package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// print writes the report of L2 for people.
func (r *l2Report) print(output io.Writer) error {
	fmt.Fprintf(output, "L2: Redis %s on the same machine; load averages %s; medians of %d rounds; all in a block took turns, request by request\n", r.Redis, r.Loads, r.Rounds)
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\ninside pgrecall, no client\tp50 us\tp99 us\tx GET p50\tx GET p99\t\n")
	for _, c := range r.Lookups {
		c.print(table, nameGet, "")
	}
	fmt.Fprint(table, "\nwhat a client waits for\tp50 us\tp99 us\tx GET p50\tx GET p99\tx (L1 + GET) p50\t\n")
	for _, c := range r.Answers {
		c.print(table, nameGet, nameL1)
	}
	r.printHits(table)
	if len(r.Writes) > 0 {
		fmt.Fprint(table, "\nwrites, one client\tp50 us\tp99 us\tx direct p50\tx direct p99\t\n")
	}
	for _, c := range r.Writes {
		c.print(table, nameDirect, "")
	}
	r.printDeaths(table)
	r.printMemory(table)
	printTargets(table, r.Targets)
	for _, e := range r.Errors {
		fmt.Fprintf(table, "\n%s\n", e)
	}
	return table.Flush()
}

// print writes a line for each series, with ratios to one of them, and where another is named, to the sum of both.
func (c *comparison) print(table io.Writer, yardstick, also string) {
	to, more := c.find(yardstick), c.find(also)
	fmt.Fprintf(table, "%s:\t\t\t\t\t\n", c.Name)
	for i := range c.Series {
		one := &c.Series[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t", one.Name, show("%.1f", median(floats(one.P50))), show("%.1f", median(floats(one.P99))),
			show("%.2f", medianRatio(floats(one.P50), floats(to.P50))), show("%.2f", medianRatio(floats(one.P99), floats(to.P99))))
		if more != nil {
			sums := floats(to.P50)
			for i, p := range floats(more.P50) {
				sums[i] += p
			}
			fmt.Fprintf(table, "%s\t", show("%.2f", medianRatio(floats(one.P50), sums)))
		}
		fmt.Fprintln(table)
	}
}

func (r *l2Report) printHits(table io.Writer) {
	if len(r.Hits) == 0 {
		return
	}
	fmt.Fprintf(table, "\nhits, prepared, %d keys\tstmts/s\tlowest\thighest\tx direct\tCPU us\tlatency ms\tof it from there %%\tfailed\t\n", l2Keys)
	direct := r.Hits[0].column(perSecond)
	for _, c := range r.Hits {
		rate := c.column(perSecond)
		lowest, highest := extremes(rate)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Peer, show("%.0f", median(rate)), show("%.0f", lowest), show("%.0f", highest),
			show("%.2f", medianRatio(rate, direct)), show("%.2f", median(c.column(cpuMicros))), show("%.3f", median(c.column(latencyMs))),
			show("%.1f", median(c.column(hitPercent))), failures(c))
	}
}

func (r *l2Report) printDeaths(table io.Writer) {
	if len(r.Deaths) == 0 {
		return
	}
	fmt.Fprint(table, "\nRedis dies\tback after ms\tslow reads\tlongest ms\tcold us before\tafter\thot us before\tafter\tdirect us\t\n")
	for _, d := range r.Deaths {
		fmt.Fprintf(table, "%s\t%.0f\t%d\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", d.Name, 1000*float64(d.Back), d.Slow, float64(d.Longest),
			float64(d.ColdBefore), float64(d.ColdAfter), float64(d.HotBefore), float64(d.HotAfter), float64(d.Direct))
	}
}

func (r *l2Report) printMemory(table io.Writer) {
	if len(r.Memory.Kinds) == 0 {
		return
	}
	fmt.Fprint(table, "\nbytes in Redis\tresults\tbytes\teach\tof it name\tvalue\trows as text\tvalue/text\t\n")
	for _, k := range r.Memory.Kinds {
		n := math.Max(float64(k.Results), 1)
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t\n", k.Name, k.Results, float64(k.Bytes), float64(k.each()),
			float64(k.Names)/n, float64(k.Values)/n, float64(k.Raw)/n, float64(k.Values/k.Raw))
	}
}
