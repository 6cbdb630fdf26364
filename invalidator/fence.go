package invalidator

import "slices"

// Fence is what one write, or one transaction, keeps other sessions from reading out of the cache: fences on the slots of
// everything that it touches, put up before it can become visible and taken down, with a bump, when its outcome is known.
// A Fence belongs to one session and is not safe for concurrent use; the slots are.
type Fence struct {
	slots []Slot
	// database is the version of the database's slot when the fence was raised: a definition that changed in between
	// may have widened what the write touched.
	database Mark
	raised   bool
	openings []*opening // one for each fence that was raised by itself

	// Undone is set when an error in the transaction undoes all that the fence is for: nothing that it runs can commit by
	// itself.
	Undone bool
	// Definition is set when definitions of this database change, Cluster when those of all may, Settings
	// when the settings of other sessions may.
	Definition, Cluster, Settings bool
	// Reload is set when the server was asked to read its configuration again: the fence's owner keeps it up until that is done.
	Reload bool

	// MayDefine is set when definitions may change unseen: nobody knows what the write does.
	MayDefine bool

	// Whole and Relations say the same as the slots by names that other processes know: everything in the session's database, or OIDs
	// in it.
	Whole     bool
	Relations []uint32
	announced []Announcement
}

// Announcement is a fence as other processes know it.
type Announcement interface {
	// Release ends it there, before its own process's slots are released.
	Release(changed bool)
	// Widen announces a fence over the whole database as well, and waits as the first announcement did.
	Widen() Announcement
}

// Announced notes that other processes know of the fence.
func (f *Fence) Announced(a Announcement) { f.announced = append(f.announced, a) }

// Add notes a slot; Raise puts the fence up. Adding to a raised fence raises the new slot at once.
func (f *Fence) Add(s *Slots, slots ...Slot) {
next:
	for _, slot := range slots {
		for _, have := range f.slots {
			if have == slot {
				continue next
			}
		}
		f.slots = append(f.slots, slot)
		if f.raised {
			s.raise(slot)
		}
	}
}

// AddWhole is Add for the slot that stands for everything in the session's database.
func (f *Fence) AddWhole(s *Slots, database Slot) {
	f.Whole = true
	f.Add(s, database)
}

// AddUnknown is AddWhole for a write that may change definitions, too, whose slot is the other one.
func (f *Fence) AddUnknown(s *Slots, database, definitions Slot) {
	f.Whole, f.MayDefine = true, true
	f.Add(s, database, definitions)
}

// Empty tells whether the fence covers nothing.
func (f *Fence) Empty() bool { return f == nil || len(f.slots) == 0 }

// Raised tells whether the fence is up.
func (f *Fence) Raised() bool { return f != nil && f.raised }

// Raise puts the fence up on all its slots. Database is the slot of the database in which the write happens.
func (f *Fence) Raise(s *Slots, database Slot) {
	if f.raised {
		return
	}
	f.raised = true
	f.openings = append(f.openings, s.open(database))
	f.database = Mark{database, s.Load(database) >> fenceBits}
	for _, slot := range f.slots {
		s.raise(slot)
	}
}

// Merge moves the slots of another fence of the same session into this one. A raised one stays raised.
func (f *Fence) Merge(s *Slots, other *Fence) {
	if other == nil {
		return
	}
	f.Undone = f.Undone && other.Undone
	f.Definition = f.Definition || other.Definition
	f.Cluster = f.Cluster || other.Cluster
	f.Settings = f.Settings || other.Settings
	f.Reload = f.Reload || other.Reload
	f.Whole = f.Whole || other.Whole
	f.MayDefine = f.MayDefine || other.MayDefine
	for _, oid := range other.Relations {
		if !slices.Contains(f.Relations, oid) {
			f.Relations = append(f.Relations, oid)
		}
	}
	f.announced = append(f.announced, other.announced...)
	switch {
	case !other.raised:
		f.Add(s, other.slots...)
	case !f.raised && len(f.slots) == 0:
		f.slots, f.raised, f.database, f.openings = other.slots, true, other.database, other.openings
	default:
		if !f.raised {
			f.Raise(s, other.database.Slot)
		}
		for _, slot := range other.slots {
			f.Add(s, slot) // raises a slot that is new here once more
			s.lower(slot, false)
		}
		f.database.Word = min(f.database.Word, other.database.Word) // it counts from when the first of them was raised
		f.openings = append(f.openings, other.openings...)
	}
	other.slots, other.raised, other.Relations, other.announced, other.openings = nil, false, nil, nil, nil
}

// Release takes the fence down. With changed, everything under its tags is invalidated in the same step, and the whole
// database, too, when its definitions changed while the fence was up.
func (f *Fence) Release(s *Slots, changed bool) {
	if f == nil || !f.raised {
		return
	}
	for _, o := range f.openings {
		s.close(o)
	}
	// A definition that is about to change counts, too: it may be committed already, and its own fence is still up.
	now := s.Load(f.database.Slot)
	widened := changed && (f.changedSince(now) || !f.Whole && Fenced(now))
	if widened && !f.Whole && len(f.announced) > 0 {
		f.announced = append(f.announced, f.announced[0].Widen())
	}
	for _, a := range f.announced {
		a.Release(changed)
	}
	switch {
	case changed && f.Cluster:
		s.WidenAll()
	case changed && (f.Definition || f.MayDefine):
		s.Widen(f.database.Slot)
	}
	for _, slot := range f.slots {
		s.lower(slot, changed)
	}
	for _, o := range f.openings {
		s.lowerWide(o, changed)
	}
	if widened {
		s.Bump(f.database.Slot)
	}
	f.slots, f.raised, f.announced, f.openings = nil, false, nil, nil
}

// changedSince tells from the word of the database's slot whether everything in it was invalidated while the fence was up.
func (f *Fence) changedSince(now uint64) bool { return now>>fenceBits != f.database.Word }
