package proxy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
)

func observed(text string, took time.Duration) observation {
	return observation{&plan{statement: parser.Analyze(text), database: &database{name: "d"}}, cachepolicy.ReasonVolatile, took}
}

// TestUncachedKeepsWhatTakesTime streams many more shapes than the table holds past one that takes a little at a time: by the bound that
// the table promises it has to be there, short of its time by no more than a thousandth of all time.
func TestUncachedKeepsWhatTakesTime(t *testing.T) {
	u := newUncached()
	srv := &Server{}
	now := time.Unix(0, 0)
	heavy := observed("SELECT * FROM heavy WHERE a = 1", 2*time.Millisecond)
	var all, own time.Duration
	for i := range 6 * uncachedShapes {
		o := observed(fmt.Sprintf("SELECT a%d FROM light", i), time.Millisecond)
		u.add(o, now)
		all += o.took
		if i%100 == 0 {
			u.add(heavy, now)
			all, own = all+heavy.took, own+heavy.took
		}
	}
	srv.uncached = uncached{shapes: u.shapes}
	list := srv.Uncached(-1)
	if len(list) != uncachedShapes {
		t.Fatalf("%d shapes, want %d", len(list), uncachedShapes)
	}
	if first := list[0]; first.Query != "select * from heavy where a = $1" || first.MaxSeconds != 0.002 || first.Database != "d" {
		t.Errorf("first: %+v", first)
	}
	if short := own.Seconds() - list[0].Seconds; short < 0 || short > all.Seconds()/uncachedShapes {
		t.Errorf("%v seconds, want %v", list[0].Seconds, own)
	}
	if got := srv.Uncached(3); len(got) != 3 || got[0] != list[0] {
		t.Errorf("the first three: %+v", got)
	}
}

// TestUncachedSamplesWithoutBias adds short reads as observe would.
func TestUncachedSamplesWithoutBias(t *testing.T) {
	u := newUncached()
	const n, took = 1 << 18, 50 * time.Microsecond
	o := observed("SELECT 1", took)
	for range n {
		if rand.Int64N(int64(uncachedUnit)) < int64(took) {
			u.add(o, time.Now())
		}
	}
	srv := &Server{}
	srv.uncached = uncached{shapes: u.shapes}
	got := srv.Uncached(1)[0]
	const want = n * 50e-6
	// 13 s are 13,107 samples: the error is below 1%, and below 6% but once in 10^11 runs.
	if got.Seconds < 0.94*want || got.Seconds > 1.06*want || got.Count < n*94/100 || got.Count > n*106/100 || got.MaxSeconds != 50e-6 {
		t.Errorf("%+v, want %v s, %d times", got, want, n)
	}
}
