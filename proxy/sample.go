package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Sample is what the server has counted since its start, as often asked for as a history needs it.
type Sample struct {
	Hits, SharedHits, Misses, Bypasses, Writes, Others int64

	Saved time.Duration // of the upstream's time
	// Cached is how long answers from the cache took, Forwarded how long reads took that the upstream answered.
	Cached, Forwarded Latencies
}

// Latencies is a histogram of durations.
type Latencies struct {
	Bounds []float64 // of the buckets, upwards, in seconds; a last one without bound follows
	Counts []uint64  // of durations up to each bound and above the one before; one more than Bounds
}

// Sample returns the counters of this moment. It takes no lock that a statement needs.
func (srv *Server) Sample() Sample {
	m := srv.metrics
	count := func(o outcome) int64 { return m.counts[o].Load() }
	return Sample{
		Hits: count(outcomeHit), SharedHits: count(outcomeHitShared), Misses: count(outcomeMiss), Bypasses: count(outcomeBypass),
		Writes: count(outcomeWrite), Others: count(outcomeOther), Saved: time.Duration(m.saved.Load()),
		Cached:    latencies(m.durations[outcomeHit], m.durations[outcomeHitShared]),
		Forwarded: latencies(m.durations[outcomeMiss], m.durations[outcomeBypass]),
	}
}

// latencies adds histograms of equal buckets up.
func latencies(observers ...prometheus.Observer) (sum Latencies) {
	for _, o := range observers {
		metric, ok := o.(prometheus.Metric)
		if !ok {
			continue
		}
		var written dto.Metric
		if metric.Write(&written) != nil {
			continue
		}
		h := written.GetHistogram()
		if sum.Counts == nil {
			sum.Counts = make([]uint64, len(h.GetBucket())+1)
			for _, b := range h.GetBucket() {
				sum.Bounds = append(sum.Bounds, b.GetUpperBound())
			}
		}
		before := uint64(0) // buckets are cumulative
		for i, b := range h.GetBucket() {
			sum.Counts[i] += b.GetCumulativeCount() - before
			before = b.GetCumulativeCount()
		}
		sum.Counts[len(sum.Counts)-1] += h.GetSampleCount() - before
	}
	return sum
}
