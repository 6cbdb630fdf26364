package admin

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	bounds := []float64{.001, .01, .1}
	for name, test := range map[string]struct {
		counts []uint64
		q      float64
		want   float64 // 0 for none
	}{
		"nothing":            {[]uint64{0, 0, 0, 0}, .5, 0},
		"no buckets":         {nil, .5, 0},
		"first bucket":       {[]uint64{10, 0, 0, 0}, 1, .001},
		"middle of a bucket": {[]uint64{0, 10, 0, 0}, .5, math.Sqrt(.001 * .01)},
		"end of a bucket":    {[]uint64{50, 50, 0, 0}, .5, .001},
		"empty between":      {[]uint64{50, 0, 50, 0}, .51, .01 * math.Pow(10, .02)},
		"zero":               {[]uint64{0, 10, 0, 0}, 0, .001},
		"beyond all":         {[]uint64{0, 0, 0, 10}, .5, .1},
	} {
		got, ok := Latencies{bounds, test.counts}.Quantile(test.q)
		if ok != (test.want > 0) || math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %g %t, want %g", name, got, ok, test.want)
		}
	}
}

func TestHistory(t *testing.T) {
	var h history
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * historyInterval) }
	sample := func(n int) Sample {
		return Sample{Hits: int64(3 * n), Misses: int64(n), Saved: time.Duration(n) * time.Second,
			Cached: Latencies{[]float64{.001, .01}, []uint64{0, uint64(3 * n), 0}}, Forwarded: Latencies{[]float64{.001, .01}, []uint64{0, 0, 0}}}
	}
	h.add(sample(0), at(0))
	if list := h.since(time.Time{}); list == nil || len(list) != 0 {
		t.Errorf("%v after the first sample", list)
	}
	for n := 1; n <= historyLength+5; n++ {
		h.add(sample(n), at(n))
	}
	list := h.since(time.Time{})
	if len(list) != historyLength || !list[0].At.Equal(at(6)) || !list[historyLength-1].At.Equal(at(historyLength+5)) {
		t.Fatalf("%d points from %s", len(list), list[0].At)
	}
	for _, p := range list {
		if p.Hits != 3 || p.Misses != 1 || p.Saved != 1 || p.Seconds != 5 || p.CachedMedian == nil || *p.CachedMedian <= .001 || *p.CachedMedian >= *p.CachedP99 || p.ForwardedMedian != nil {
			t.Fatalf("%+v", p)
		}
	}
	if late := h.since(at(historyLength + 3)); len(late) != 2 || !late[0].At.Equal(at(historyLength+4)) {
		t.Errorf("%v", late)
	}
}

// TestHistoryIsKept: while the server serves, and no longer (TestMain looks for goroutines).
func TestHistoryIsKept(t *testing.T) {
	server := newServer(t, &proxyStub{}, "")
	server.interval = time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var reply historyReply
	for deadline := time.Now().Add(10 * time.Second); len(reply.Points) < 3 && time.Now().Before(deadline); {
		if err := json.Unmarshal(ask(server, "GET", "/api/history", "").Body.Bytes(), &reply); err != nil {
			t.Fatal(err)
		}
	}
	if len(reply.Points) < 3 || reply.IntervalSeconds != .001 || reply.Length != historyLength || reply.Points[0].CachedMedian != nil {
		t.Errorf("%+v", reply)
	}
	since := reply.Points[1].At
	if err := json.Unmarshal(ask(server, "GET", "/api/history?since="+since.Format(time.RFC3339Nano), "").Body.Bytes(), &reply); err != nil || len(reply.Points) == 0 {
		t.Errorf("%v %v", reply, err)
	}
	for _, p := range reply.Points {
		if !p.At.After(since) {
			t.Errorf("%s is not after %s", p.At, since)
		}
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
