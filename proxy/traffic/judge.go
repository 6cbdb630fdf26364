package traffic

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How a Judge judges.
const (
	judgedMisses = 100              // since the last judgement: fewer say too little
	margin       = 0.9              // a hit rate just below the break-even point loses next to nothing
	firstPause   = 10 * time.Minute // before a shape that lost is tried again; twice as long each time
	longestPause = 24 * time.Hour
)

// Judge finds the shapes that lose by being cached: each miss costs a little, and there are too few hits to make up for it. Its methods may be called
// from any goroutine.
type Judge struct {
	registry *Registry

	mu      sync.Mutex
	before  map[key]Totals // when a shape was judged last
	strikes map[key]int
	stopped atomic.Pointer[map[key]Stopped] // never changed, only replaced
}

// Stopped is a shape that is not cached for a while.
type Stopped struct {
	Fingerprint  uint64
	Database     string
	Query        string
	Since, Until time.Time
	Worth        Worth // what was measured
}

// NewJudge returns a Judge of what a Registry counts.
func NewJudge(r *Registry) *Judge {
	j := &Judge{registry: r, before: map[key]Totals{}, strikes: map[key]int{}}
	j.stopped.Store(&map[key]Stopped{})
	return j
}

// Look judges what was counted since it was called last. It returns the shapes that are not to be cached from now on, and those that are to be tried again.
func (j *Judge) Look(now time.Time) (stop, again []Stopped) {
	shapes, _ := j.registry.Shapes()
	var took time.Duration
	var timed int64
	for i := range shapes {
		took, timed = took+shapes[i].HitTime, timed+shapes[i].Timed
	}
	elsewhere := took / time.Duration(max(timed, 1))

	j.mu.Lock()
	defer j.mu.Unlock()
	stopped := maps.Clone(*j.stopped.Load())
	for k, s := range stopped {
		if !now.Before(s.Until) {
			delete(stopped, k)
			again = append(again, s)
		}
	}
	known := map[key]bool{}
	for i := range shapes {
		s := &shapes[i]
		k := key{s.Fingerprint, s.Database}
		known[k] = true
		since := s.Totals
		since.add(j.before[k], -1)
		if since.Misses < judgedMisses {
			continue
		}
		j.before[k] = s.Totals
		w, ok := since.Worth(elsewhere)
		switch {
		case !ok:
		case w.HitRate >= margin*w.BreakEven:
			delete(j.strikes, k)
		default:
			pause := min(firstPause<<min(j.strikes[k], 10), longestPause)
			j.strikes[k]++
			stopped[k] = Stopped{k.fingerprint, k.database, s.Query, now, now.Add(pause), w}
			stop = append(stop, stopped[k])
		}
	}
	// Shapes that nobody asks for any more.
	maps.DeleteFunc(j.before, func(k key, _ Totals) bool { return !known[k] })
	maps.DeleteFunc(j.strikes, func(k key, _ int) bool {
		_, still := stopped[k]
		return !known[k] && !still
	})
	j.stopped.Store(&stopped)
	return stop, again
}

// Clear lets all shapes be cached again. It returns whether any was stopped.
func (j *Judge) Clear() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.strikes)
	return len(*j.stopped.Swap(&map[key]Stopped{})) > 0
}

// Stops tells whether a shape is not to be cached. The fingerprint is asked for only where there are such shapes.
func (j *Judge) Stops(fingerprint func() uint64, database string) bool {
	all := *j.stopped.Load()
	if len(all) == 0 {
		return false
	}
	_, stopped := all[key{fingerprint(), database}]
	return stopped
}

// Stopped returns the shapes that are not cached, those first that will be tried again first.
func (j *Judge) Stopped() []Stopped {
	return slices.SortedFunc(maps.Values(*j.stopped.Load()), func(a, b Stopped) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Database, b.Database))
	})
}
