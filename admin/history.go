package admin

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Sample is what has been counted since the start, as a history keeps it.
type Sample struct {
	Hits, SharedHits, Misses, Bypasses, Writes, Others int64

	Saved time.Duration // of the upstream's time
	// Cached is how long answers from the cache took, Forwarded how long reads took that the upstream answered.
	Cached, Forwarded Latencies
}

// Bounds of the history.
const (
	historyInterval = 5 * time.Second
	historyLength   = 360 // half an hour
)

// Point is what happened in one interval. Times are in seconds; those that nothing was measured for are null.
type Point struct {
	At         time.Time `json:"at"`      // its end
	Seconds    float64   `json:"seconds"` // its length
	Hits       int64     `json:"hits"`    // from memory
	SharedHits int64     `json:"shared_hits"`
	Misses     int64     `json:"misses"`
	Bypasses   int64     `json:"bypasses"`
	Writes     int64     `json:"writes"`
	Others     int64     `json:"others"`
	Saved      float64   `json:"seconds_saved"`

	CachedMedian    *float64 `json:"cached_median"`
	CachedP99       *float64 `json:"cached_p99"`
	ForwardedMedian *float64 `json:"forwarded_median"`
	ForwardedP99    *float64 `json:"forwarded_p99"`
}

// history is a ring of the last intervals.
type history struct {
	mu     sync.Mutex
	last   Sample
	at     time.Time
	points []Point // historyLength at most
	next   int     // the oldest, once points is full
}

// add ends an interval.
func (h *history) add(s Sample, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, began := h.last, h.at
	h.last, h.at = s, at
	if began.IsZero() {
		return
	}
	p := Point{At: at.UTC().Truncate(time.Millisecond), Seconds: at.Sub(began).Seconds(),
		Hits: s.Hits - last.Hits, SharedHits: s.SharedHits - last.SharedHits, Misses: s.Misses - last.Misses, Bypasses: s.Bypasses - last.Bypasses,
		Writes: s.Writes - last.Writes, Others: s.Others - last.Others, Saved: (s.Saved - last.Saved).Seconds()}
	p.CachedMedian, p.CachedP99 = s.Cached.Since(last.Cached).ends()
	p.ForwardedMedian, p.ForwardedP99 = s.Forwarded.Since(last.Forwarded).ends()
	if len(h.points) < historyLength {
		h.points = append(h.points, p)
		return
	}
	h.points[h.next] = p
	h.next = (h.next + 1) % historyLength
}

// ends are the median and the 99th percentile, nil where there are none.
func (l Latencies) ends() (median, p99 *float64) {
	half, ok := l.Quantile(.5)
	if !ok {
		return nil, nil
	}
	most, _ := l.Quantile(.99)
	return &half, &most
}

// since returns the intervals that ended after a moment, the oldest first.
func (h *history) since(t time.Time) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Point{} // [] in JSON
	for i := range h.points {
		if p := h.points[(h.next+i)%len(h.points)]; p.At.After(t) {
			list = append(list, p)
		}
	}
	return list
}

// record keeps the history until the context ends.
func (s *Server) record(ctx context.Context) {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	for {
		s.past.add(s.proxy.Sample(), time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// historyReply is the answer of /api/history.
type historyReply struct {
	IntervalSeconds float64 `json:"interval_seconds"`
	Length          int     `json:"length"` // intervals that are kept
	Points          []Point `json:"points"`
}

// history takes one parameter: since, a time of RFC 3339; only what ended after it is told.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			writeError(w, http.StatusBadRequest, "since: want a time such as 2026-01-31T23:59:59Z")
			return
		}
	}
	writeJSON(w, http.StatusOK, historyReply{IntervalSeconds: s.interval.Seconds(), Length: historyLength, Points: s.past.since(since)})
}
