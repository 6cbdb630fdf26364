package traffic

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/parser"
)

func TestTextShowsNoConstants(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 'secret', 42, E'x', $$y$$, b'1', -7 FROM t /* secret */": "select $1, $2, $3, $4, $5, $6 from t",
		"SELECT a FROM t WHERE b = 'secret":                              "",
		"SELECT a FROM " + strings.Repeat("é", mostText):                 "select a from " + strings.Repeat("é", (mostText-14)/2) + " ...",
	} {
		if got := Text(parser.Analyze(text)); got != want {
			t.Errorf("%.60s: %.80q, want %.80q", text, got, want)
		}
	}
}

// TestShadowAndReplacements: what shadow mode and results that took another one's place are counted as, and that shapes follow their plans.
func TestShadowAndReplacements(t *testing.T) {
	r := NewRegistry(100)
	text := parser.Analyze("SELECT a FROM t WHERE id = 1")
	loading := r.Open(Description{Statement: text, Database: "db", Whole: true})
	loading.Write(1)
	known := r.Open(Description{Statement: text, Database: "db", Rule: "new", Tables: []string{"public.t"}, Secured: true})
	for range 3 {
		known.Would(1000)
	}
	known.Differed()
	known.Unclear()
	for range 10 {
		known.Miss(100)
	}
	known.Filled(50)
	known.Replaced(Invalidated)
	for range 2 {
		known.Replaced(Unchanged)
	}
	for range 3 {
		known.Replaced(Changed)
	}
	want := Totals{Misses: 10, Writes: 1, WriteTime: 1, Asked: 1000, Would: 3, WouldSave: 3000, Differed: 1, Unclear: 1, Kept: 1, Bytes: 50, Invalidated: 1, Unchanged: 2, Changed: 3}
	shapes, _ := r.Shapes()
	if s := shapes[0]; len(shapes) != 1 || s.Totals != want || s.Whole != 1 || !s.Secured || s.Rule != "new" || len(s.Tables) != 1 {
		t.Errorf("%+v", shapes)
	}
	if w, known := shapes[0].Worth(10); !known || w.HitRate != .2 || w.Hit != 10 {
		t.Errorf("%+v", w)
	}
	var nobody *Use
	nobody.Would(1)
	nobody.Differed()
	nobody.Unclear()
	nobody.Replaced(Changed)
}

func open1(r *Registry, sql string, tables ...string) *Use {
	return r.Open(Description{Statement: parser.Analyze(sql), Database: "db", Rule: "rule", Tables: tables})
}

func TestShapesAddUpWhatSharesAFingerprint(t *testing.T) {
	r := NewRegistry(100)
	one, two, write := open1(r, "SELECT a FROM t WHERE id = 1", "public.t"), open1(r, "SELECT a FROM t WHERE id = 2", "public.t"), open1(r, "UPDATE t SET a = 1", "public.t", "public.u")
	one.Miss(1000)
	one.Overhead(100)
	one.Filled(50)
	one.Hit(false, 1000)
	one.HitTook(10)
	two.Hit(true, 3000)
	two.Bypass(7)
	write.Write(500)
	shapes, rest := r.Shapes()
	if len(shapes) != 2 || rest != (Totals{}) {
		t.Fatalf("%+v, %+v", shapes, rest)
	}
	want := Totals{Hits: 1, SharedHits: 1, Misses: 1, Bypasses: 1, Timed: 1, Saved: 4000, Asked: 1000, Overhead: 100, HitTime: 10, BypassTime: 7, Kept: 1, Bytes: 50}
	if s := shapes[0]; s.Totals != want || s.Query != "select a from t where id = $1" || s.Rule != "rule" || len(s.Tables) != 1 || s.Fingerprint == 0 || s.HitRate() != .5 {
		t.Errorf("%+v", s)
	}
	one.Hit(false, 1)
	shapes, _ = r.Shapes()
	if shapes[0].Hits != 2 {
		t.Errorf("%+v", shapes[0])
	}
	tables := r.Tables()
	if len(tables) != 2 || tables[0].Name != "public.t" || tables[0].Writes != 1 || tables[0].AllHits() != 3 || tables[1].Name != "public.u" || tables[1].Reads() != 0 {
		t.Errorf("%+v", tables)
	}
	if rules := r.Rules(); len(rules) != 1 || rules[0].Reads() != 5 {
		t.Errorf("%+v", rules)
	}
}

// TestUsesThatAreOverLeave: what they counted stays.
func TestUsesThatAreOverLeave(t *testing.T) {
	r := NewRegistry(100)
	for i := range 100 {
		open1(r, fmt.Sprint("SELECT ", i, " FROM t"), "public.t").Miss(1)
	}
	deadline := time.Now().Add(10 * time.Second)
	for left := 1; left > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d uses are kept that nobody has", left)
		}
		runtime.GC()
		r.mu.Lock()
		r.sweep()
		left = len(r.live)
		r.mu.Unlock()
	}
	if shapes, _ := r.Shapes(); len(shapes) != 1 || shapes[0].Misses != 100 {
		t.Errorf("%+v", shapes)
	}
}

// TestShapesAreBounded: those with the most time stay, and the sum is right.
func TestShapesAreBounded(t *testing.T) {
	r := NewRegistry(100)
	uses := []*Use{}
	for i := range mostShapes + 200 {
		u := open1(r, fmt.Sprintf("SELECT a%c%d FROM t", 'a'+rune(i%26), i), fmt.Sprint("public.t", i))
		u.Miss(int64(1000 + i))
		uses = append(uses, u)
		if i%100 == 0 {
			r.Shapes()
		}
	}
	uses[7].Miss(1_000_000_000)
	for range 20 { // fingerprints take time, of which a sweep has little
		r.Shapes()
	}
	uses[3].Hit(false, 5) // of one that may have left
	shapes, rest := r.Shapes()
	sum := Totals{}
	for _, s := range shapes {
		sum.add(s.Totals, 1)
	}
	if sum.add(rest, 1); sum.Misses != mostShapes+201 || sum.Hits != 1 || len(shapes) != mostShapes || shapes[0].Time() < time.Second {
		t.Errorf("%d shapes, sum %+v, first %+v", len(shapes), sum, shapes[0])
	}
	tables := r.Tables()
	if len(tables) != mostTables+1 {
		t.Errorf("%d tables", len(tables))
	}
	runtime.KeepAlive(uses)
}

func TestWorth(t *testing.T) {
	for name, test := range map[string]struct {
		totals    Totals
		known     bool
		pays      bool
		breakEven float64
	}{
		"nothing measured":    {Totals{Misses: 9}, false, false, 0},
		"hits are cheap":      {Totals{Misses: 10, Hits: 10, Timed: 10, Asked: 10 * time.Millisecond, Overhead: time.Millisecond, HitTime: time.Millisecond}, true, true, .1},
		"nobody asks again":   {Totals{Misses: 10, Asked: 10 * time.Millisecond, Overhead: time.Millisecond}, true, false, 100. / 1095},
		"a hit takes as long": {Totals{Misses: 10, Hits: 90, Timed: 90, Asked: 10 * time.Millisecond, HitTime: 90 * time.Millisecond}, true, false, 2},
		"too many misses":     {Totals{Misses: 95, Hits: 5, Timed: 5, Asked: 95 * time.Millisecond, Overhead: 9500 * time.Microsecond, HitTime: 50 * time.Microsecond}, true, false, 100. / 1090},
	} {
		w, known := test.totals.Worth(5 * time.Microsecond)
		if known != test.known || w.Pays != test.pays || w.BreakEven < test.breakEven*.999 || w.BreakEven > test.breakEven*1.001 {
			t.Errorf("%s: %+v %v", name, w, known)
		}
	}
}

func TestSeriesNeverShrink(t *testing.T) {
	s := newSeries[string](2)
	n := func(k string) int64 {
		if s.sums[k] == nil {
			return -1
		}
		return s.sums[k].Hits
	}
	now := time.Now()
	s.rank(now)
	s.add("a", Totals{Hits: 10})
	s.add("b", Totals{Hits: 100})
	s.add("c", Totals{Hits: 21})
	s.add("d", Totals{Hits: 15})
	if n("a") != 10 || n("b") != 100 || n("c") != -1 || s.rest.Hits != 36 {
		t.Errorf("%+v", s)
	}
	s.rank(now.Add(rankEvery / 2))
	if n("a") != 10 {
		t.Error("ranked too early")
	}
	s.rank(now.Add(rankEvery))
	if n("a") != -1 || n("b") != 100 || n("c") != 0 || n("d") != -1 || s.rest.Hits != 36 {
		t.Errorf("%+v", s)
	}
	s.add("a", Totals{Hits: 1})
	s.add("c", Totals{Hits: 1})
	if n("c") != 1 || s.rest.Hits != 37 {
		t.Errorf("%+v", s)
	}
	for i := range 1000 {
		s.add(fmt.Sprint(i), Totals{Hits: 1})
	}
	s.rank(now.Add(2 * rankEvery))
	if len(s.left) != 0 || len(s.sums) != 2 {
		t.Errorf("%d left, %d", len(s.left), len(s.sums))
	}
}

func TestInvalidationsOfTablesAreBounded(t *testing.T) {
	r := NewRegistry(2)
	for i := range 3 * mostTables {
		r.Invalidated("db", fmt.Sprintf("public.t%d", i), Bus)
	}
	r.Invalidated("db", "public.t0", InBand)
	r.Invalidated("db", Everything, DDL)
	var sum int64
	tables := r.Tables()
	for i := range tables {
		sum += tables[i].AllInvalidations()
	}
	if len(tables) > mostTables+1 || sum != 3*mostTables+2 {
		t.Errorf("%d tables, %d invalidations", len(tables), sum)
	}
	if _, exported, _ := r.Series(); len(exported) != 3 || exported[2].AllInvalidations() == 0 {
		t.Errorf("%+v", exported)
	}
}
