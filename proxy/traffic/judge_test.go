package traffic

import (
	"testing"
	"time"
)

// TestJudge: a shape without enough hits is stopped, tried again, and stopped for longer; what pays stays.
func TestJudge(t *testing.T) {
	r := NewRegistry(10)
	j := NewJudge(r)
	pays, loses := open1(r, "SELECT a FROM t WHERE id = 1", "public.t"), open1(r, "SELECT b FROM t WHERE id = 1", "public.t")
	few := open1(r, "SELECT c FROM t", "public.t")
	execute := func(u *Use, hits, misses int) {
		for range misses {
			u.Miss(int64(time.Millisecond))
			u.Overhead(int64(100 * time.Microsecond))
		}
		for range hits {
			u.Hit(false, int64(time.Millisecond))
			u.HitTook(int64(10 * time.Microsecond))
		}
	}
	now := time.Now()
	round := func() (stop, again []Stopped) {
		execute(pays, 100, 100)
		execute(loses, 1, 100)
		execute(few, 0, 1)
		return j.Look(now)
	}
	is := func(u string) bool { return j.Stops(func() uint64 { return fingerprintOf(t, r, u) }, "db") }
	const losing = "select b from t where id = $1"
	stop, again := round()
	if len(stop) != 1 || len(again) != 0 || stop[0].Query != losing || stop[0].Until != now.Add(firstPause) || stop[0].Worth.Pays || stop[0].Worth.BreakEven < .08 || stop[0].Worth.BreakEven > .1 {
		t.Fatalf("%+v, %+v", stop, again)
	}
	if !is(losing) || is("select a from t where id = $1") || is("select c from t") || len(j.Stopped()) != 1 {
		t.Error("the wrong shapes are stopped")
	}
	now = now.Add(firstPause - time.Second)
	if stop, again = j.Look(now); len(stop)+len(again) != 0 {
		t.Errorf("%+v, %+v", stop, again)
	}
	now = now.Add(time.Second)
	if stop, again = j.Look(now); len(stop) != 0 || len(again) != 1 || is(losing) {
		t.Errorf("%+v, %+v", stop, again)
	}
	if stop, _ = round(); len(stop) != 1 || stop[0].Until != now.Add(2*firstPause) {
		t.Errorf("%+v", stop)
	}
	now = now.Add(2 * firstPause)
	if _, again = j.Look(now); len(again) != 1 {
		t.Errorf("%+v", again)
	}
	execute(loses, 1000, 100) // it is another load now
	if stop, _ = j.Look(now); len(stop) != 0 || is(losing) {
		t.Errorf("%+v", stop)
	}
	if stop, _ = round(); len(stop) != 1 || stop[0].Until != now.Add(firstPause) {
		t.Errorf("%+v: it had paid in between", stop)
	}
	if !j.Clear() || is(losing) || j.Clear() {
		t.Error("cleared")
	}
}

func fingerprintOf(t *testing.T, r *Registry, query string) uint64 {
	t.Helper()
	shapes, _ := r.Shapes()
	for _, s := range shapes {
		if s.Query == query {
			return s.Fingerprint
		}
	}
	t.Fatalf("no shape %s", query)
	return 0
}
