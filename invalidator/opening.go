package invalidator

import "sync"

// openings are the fences that are up. A write that is under way may touch more than was foreseen when definitions change meanwhile: once they have, all
// that it may have changed is fenced until its outcome is known.
type openings struct {
	mu     sync.Mutex
	fences map[*opening]struct{}
}

// opening is one fence that is up. The mutex of openings guards wide.
type opening struct {
	database Slot
	wide     bool // it keeps the database's slot fenced as well
}

// open notes a fence over a part of a database.
func (s *Slots) open(database Slot) *opening {
	o := &opening{database: database}
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	s.opened.fences[o] = struct{}{}
	return o
}

// close takes an opening off the list, so that it gets no wider. What it keeps fenced is for lowerWide to end.
func (s *Slots) close(o *opening) {
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	delete(s.opened.fences, o)
}

// lowerWide ends what a closed opening keeps fenced.
func (s *Slots) lowerWide(o *opening, changed bool) {
	if o.wide {
		s.lower(o.database, changed)
	}
}

// Widen makes all fences that are up in a database cover all of it until they end. It is called when definitions of it have changed, before the fence of
// what changed them comes down.
func (s *Slots) Widen(database Slot) {
	s.widen(func(o *opening) bool { return o.database == database })
}

// WidenAll is Widen for all databases.
func (s *Slots) WidenAll() { s.widen(func(*opening) bool { return true }) }

func (s *Slots) widen(covers func(*opening) bool) {
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	for o := range s.opened.fences {
		if !o.wide && covers(o) {
			o.wide = true
			s.raise(o.database)
		}
	}
}

// Widened tells whether definitions have changed since the fence was put up, so that its write may touch more than the fence says.
func (f *Fence) Widened(s *Slots) bool {
	if f.changedSince(s.Load(f.database.Slot)) {
		return true
	}
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	for _, o := range f.openings {
		if o.wide {
			return true
		}
	}
	return false
}
