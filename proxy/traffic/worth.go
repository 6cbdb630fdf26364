package traffic

import "time"

// Worth says whether caching a shape pays: where hits save more than misses cost.
type Worth struct {
	Origin, Miss, Hit time.Duration // per statement: at the upstream alone, as a miss, as a hit
	HitRate           float64       // of hits among hits and misses
	// BreakEven is the hit rate from which on caching pays: (Miss - Origin) / (Miss - Hit). Above 1: it never does.
	BreakEven float64
	Pays      bool
}

// leastMeasured is how many misses it takes to say what a miss costs.
const leastMeasured = 10

// Worth judges from what was measured; false where that is too little. What would have been a hit in shadow mode counts as one. Elsewhere is
// how long hits of other shapes take, for a shape without any.
func (t *Totals) Worth(elsewhere time.Duration) (Worth, bool) {
	if t.Misses < leastMeasured {
		return Worth{}, false
	}
	w := Worth{Origin: t.Asked / time.Duration(t.Misses), Hit: elsewhere}
	w.Miss = w.Origin + t.Overhead/time.Duration(t.Misses)
	hits := t.AllHits() + t.Would
	if t.Timed > 0 {
		w.Hit = t.HitTime / time.Duration(t.Timed)
	}
	w.HitRate = float64(hits) / float64(hits+t.Differed+t.Unclear+t.Misses)
	if w.Miss > w.Hit {
		w.BreakEven = float64(w.Miss-w.Origin) / float64(w.Miss-w.Hit)
	} else {
		w.BreakEven = 2 // a hit takes longer than asking
	}
	w.Pays = w.HitRate > w.BreakEven
	return w, true
}
