package linear

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// bounds of the buckets of a histogram.
var bounds = [...]time.Duration{
	0, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

// histogram describes how long values were still read after newer ones had been acknowledged.
func histogram(all []time.Duration) string {
	if len(all) == 0 {
		return "no writes"
	}
	all = slices.Sorted(slices.Values(all))
	quantile := func(q float64) time.Duration {
		return all[min(len(all)-1, int(q*float64(len(all))))].Round(10 * time.Microsecond)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d writes: p50 %s, p99 %s, max %s", len(all), quantile(0.5), quantile(0.99), quantile(1))
	from := 0
	for _, bound := range bounds {
		to := from
		for to < len(all) && all[to] <= bound {
			to++
		}
		if to > from {
			fmt.Fprintf(&b, "\n%8d up to %s", to-from, bound)
		}
		from = to
	}
	if from < len(all) {
		fmt.Fprintf(&b, "\n%8d longer", len(all)-from)
	}
	return b.String()
}
