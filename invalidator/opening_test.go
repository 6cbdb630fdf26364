package invalidator

import (
	"slices"
	"testing"
)

// TestWidened: what changes definitions makes narrow fences that are up cover the whole database, and only them, until they end.
func TestWidened(t *testing.T) {
	for name, definition := range map[string]*Fence{"definition": {Definition: true}, "anything": {Whole: true, MayDefine: true}, "cluster": {Cluster: true}} {
		t.Run(name, func(t *testing.T) {
			s := NewSlots()
			db, table := s.Database("d"), s.Relation("d", 1)
			write := &Fence{}
			write.Add(s, table)
			write.Raise(s, db)
			definition.Add(s, db)
			definition.Raise(s, db)
			definition.Release(s, true)
			if !Fenced(s.Load(db)) || !write.Widened(s) {
				t.Fatal("the write that was under way covers no more than it did")
			}
			later := &Fence{}
			later.Add(s, table)
			later.Raise(s, db)
			if later.Widened(s) {
				t.Error("a write that began afterwards is wide")
			}
			before := s.Load(db) >> fenceBits
			write.Release(s, true)
			if Fenced(s.Load(db)) || s.Load(db)>>fenceBits == before {
				t.Error("the end of the wide write did not invalidate the database and free it")
			}
			later.Release(s, true)
			if Fenced(s.Load(db)) || Fenced(s.Load(table)) || len(s.opened.fences) != 0 {
				t.Error("something is left")
			}
		})
	}
}

// TestUndoneDefinitionWidensNothing: it was rolled back.
func TestUndoneDefinitionWidensNothing(t *testing.T) {
	s := NewSlots()
	db := s.Database("d")
	write, definition := &Fence{}, &Fence{Definition: true}
	write.Add(s, s.Relation("d", 1))
	write.Raise(s, db)
	definition.Add(s, db)
	definition.Raise(s, db)
	definition.Release(s, false)
	if Fenced(s.Load(db)) || write.Widened(s) {
		t.Error("the write is wide")
	}
	write.Release(s, true)
}

// TestMergedFenceIsAsOldAsItsOldest: definitions that changed between two writes count for the first.
func TestMergedFenceIsAsOldAsItsOldest(t *testing.T) {
	s := NewSlots()
	db := s.Database("d")
	first, second := &Fence{}, &Fence{}
	first.Add(s, s.Relation("d", 1))
	first.Raise(s, db)
	s.Bump(db)
	second.Add(s, s.Relation("d", 2))
	second.Raise(s, db)
	first.Merge(s, second)
	before := s.Load(db)
	if !first.Widened(s) {
		t.Error("the merged fence is as young as the second")
	}
	if first.Release(s, true); s.Load(db) == before {
		t.Error("the database was not invalidated")
	}
}

// told notes what others hear of a fence.
type told struct{ heard *[]string }

func (a told) Release(changed bool) { *a.heard = append(*a.heard, "release") }

func (a told) Widen() Announcement {
	*a.heard = append(*a.heard, "widen")
	return a
}

// TestOthersHearThatAFenceWasTooNarrow: they may have heard of it after the definition that made it so, and then it is narrow there.
func TestOthersHearThatAFenceWasTooNarrow(t *testing.T) {
	for name, test := range map[string]struct {
		whole, defined, changed bool
		want                    []string
	}{
		"definitions changed": {defined: true, changed: true, want: []string{"widen", "release", "release"}},
		"nothing came of it":  {defined: true, want: []string{"release"}},
		"nothing changed":     {changed: true, want: []string{"release"}},
		"it covers all":       {whole: true, defined: true, changed: true, want: []string{"release"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSlots()
			db := s.Database("d")
			var heard []string
			f := &Fence{Whole: test.whole}
			f.Add(s, s.Relation("d", 1))
			f.Raise(s, db)
			f.Announced(told{&heard})
			if test.defined {
				s.Bump(db)
			}
			if f.Release(s, test.changed); !slices.Equal(heard, test.want) {
				t.Errorf("others heard %q, want %q", heard, test.want)
			}
		})
	}
}
