package admin

import "math"

// Latencies is a histogram of durations.
type Latencies struct {
	Bounds []float64 // of the buckets, upwards, in seconds; a last one without bound follows
	Counts []uint64  // of durations up to each bound and above the one before; one more than Bounds
}

// Since returns what has come to the histogram since an earlier one of the same server.
func (l Latencies) Since(earlier Latencies) Latencies {
	if len(earlier.Counts) != len(l.Counts) {
		return l
	}
	change := Latencies{Bounds: l.Bounds, Counts: make([]uint64, len(l.Counts))}
	for i := range l.Counts {
		change.Counts[i] = l.Counts[i] - earlier.Counts[i]
	}
	return change
}

// Quantile estimates the duration, in seconds, that the share q of all do not exceed, false where there are none. Durations are taken to lie evenly
// in their bucket, on a logarithmic scale.
func (l Latencies) Quantile(q float64) (seconds float64, ok bool) {
	total := uint64(0)
	for _, n := range l.Counts {
		total += n
	}
	if total == 0 || len(l.Bounds) == 0 {
		return 0, false
	}
	rank := q * float64(total)
	for i, n := range l.Counts {
		if rank > float64(n) {
			rank -= float64(n)
			continue
		}
		if n == 0 { // rank is 0
			continue
		}
		if i == len(l.Bounds) {
			break
		}
		low := l.Bounds[0] / 2
		if i > 0 {
			low = l.Bounds[i-1]
		}
		return low * math.Pow(l.Bounds[i]/low, rank/float64(n)), true
	}
	return l.Bounds[len(l.Bounds)-1], true
}
