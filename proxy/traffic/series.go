package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// rankEvery is how often what has more traffic may take the place of what has less among the series.
const (
	rankEvery   = time.Minute
	mostWaiting = 10_000 // what has no place and may get one
)

// series are the sums that are exported as time series: a bounded number of them, and one for all the rest. No sum ever shrinks: what takes
// another's place begins at zero, and what loses its place is counted among the rest from then on.
type series[K comparable] struct {
	most   int
	sums   map[K]*sum
	rest   sum
	left   map[K]int64 // traffic since the last ranking of what has no place
	ranked time.Time
}

type sum struct {
	Totals
	window int64 // traffic since the last ranking
}

func newSeries[K comparable](most int) series[K] {
	return series[K]{most: most, sums: map[K]*sum{}, left: map[K]int64{}}
}

// traffic is what ranks.
func (t *Totals) traffic() int64 { return t.Reads() + t.Writes + t.AllInvalidations() }

// add counts.
func (s *series[K]) add(k K, delta Totals) {
	to := s.sums[k]
	switch {
	case to != nil:
	case len(s.sums) < s.most:
		to = &sum{}
		s.sums[k] = to
	default:
		if _, known := s.left[k]; known || len(s.left) < mostWaiting {
			s.left[k] += delta.traffic()
		}
		to = &s.rest
	}
	to.add(delta, 1)
	to.window += delta.traffic()
}

// rank gives places to what had more than twice the traffic of what has one.
func (s *series[K]) rank(now time.Time) {
	if now.Sub(s.ranked) < rankEvery {
		return
	}
	s.ranked = now
	type ranked struct {
		k K
		n int64
	}
	var in, out []ranked
	for k, sum := range s.sums {
		in = append(in, ranked{k, sum.window})
		sum.window = 0
	}
	for k, n := range s.left {
		out = append(out, ranked{k, n})
	}
	clear(s.left)
	slices.SortFunc(in, func(a, b ranked) int { return cmp.Compare(a.n, b.n) })
	slices.SortFunc(out, func(a, b ranked) int { return cmp.Compare(b.n, a.n) })
	for i := 0; i < min(len(in), len(out)) && out[i].n > 2*in[i].n; i++ {
		delete(s.sums, in[i].k)
		s.sums[out[i].k] = &sum{}
	}
}

// ShapeSeries is what is exported of a shape, "" where it is of all that have none of their own.
type ShapeSeries struct {
	Database, Fingerprint string // hexadecimal
	Totals
}

// Series returns what is exported as time series: sums that never shrink as long as they are there. The rest of the shapes and of the tables comes last.
func (r *Registry) Series() (shapes []ShapeSeries, tables []Table, rules []Rule) {
	rules = r.Rules() // sweeps
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, sum := range r.shapeSeries.sums {
		shapes = append(shapes, ShapeSeries{k.database, fmt.Sprintf("%016x", k.fingerprint), sum.Totals})
	}
	for k, sum := range r.tableSeries.sums {
		tables = append(tables, Table{k.database, k.name, sum.Totals})
	}
	return append(shapes, ShapeSeries{Totals: r.shapeSeries.rest.Totals}), append(tables, Table{Totals: r.tableSeries.rest.Totals}), rules
}
