package invalidator

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// slotCount is the number of slots: 64 Ki of 8 bytes. Tags that share a slot cost each other
// hits, never an answer.
const slotCount = 1 << 16

// A slot packs the version of its tags (upper 40 bits) and the number of fences that are up
// (lower 24 bits) into one word, so that a reader checks both with one load.
const (
	fenceBits = 24
	fenceMask = 1<<fenceBits - 1
	version   = 1 << fenceBits
)

// Slot is the index of a slot.
type Slot uint32

// Mark is a slot with the word that it held when a stamp was taken.
type Mark struct {
	Slot Slot
	Word uint64
}

// Stamp is the state of the slots that a result depends on, taken before its query was sent
// upstream. It is immutable.
type Stamp []Mark

// Slots are the version counters and fences of all tags of this process (DESIGN section 5).
// All methods may be called from any goroutine.
type Slots struct {
	words  [slotCount]atomic.Uint64
	seed   maphash.Seed
	opened openings
}

// NewSlots returns slots with no fence up.
func NewSlots() *Slots {
	return &Slots{seed: maphash.MakeSeed(), opened: openings{fences: map[*opening]struct{}{}}}
}

// Database returns the slot of the tag "everything in this database".
func (s *Slots) Database(database string) Slot {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_ = h.WriteByte('d')
	_, _ = h.WriteString(database)
	return Slot(h.Sum64() % slotCount)
}

// Definitions returns the slot of the tag "definitions of this database change at this moment". Nothing that is cached carries it: a write that begins
// while a fence is up on it may touch more than its plan says.
func (s *Slots) Definitions(database string) Slot {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_ = h.WriteByte('t')
	_, _ = h.WriteString(database)
	return Slot(h.Sum64() % slotCount)
}

// Relation returns the slot of the tag "the whole relation". Relations have OIDs that are
// unique in their database only, so the database belongs to the tag.
func (s *Slots) Relation(database string, oid uint32) Slot {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_ = h.WriteByte('r')
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], oid)
	_, _ = h.Write(b[:])
	_, _ = h.WriteString(database)
	return Slot(h.Sum64() % slotCount)
}

// Kinds of what is flushed by its name.
const (
	FlushedTable       = 'n' // a table's name without its schema, in any database
	FlushedTenant      = 'u'
	FlushedFingerprint = 'f'
)

// Flushed returns the slot of the tag "everything of this name that is flushed", of one of the kinds above. No stamp carries it: it tells what in a
// store that processes share is older than a flush.
func (s *Slots) Flushed(kind byte, name string) Slot {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_ = h.WriteByte(kind)
	_, _ = h.WriteString(name)
	return Slot(h.Sum64() % slotCount)
}

// Load returns the word of a slot.
func (s *Slots) Load(slot Slot) uint64 { return s.words[slot].Load() }

// Fenced tells whether a fence was up when the word was loaded.
func Fenced(word uint64) bool { return word&fenceMask != 0 }

// Stamp returns the marks of the slots and whether no fence is up on any of them. A result may
// enter the cache only when its stamp was taken, unfenced, before its query was sent upstream.
func (s *Slots) Stamp(slots []Slot) (Stamp, bool) {
	stamp := make(Stamp, len(slots))
	for i, slot := range slots {
		word := s.words[slot].Load()
		if Fenced(word) {
			return nil, false
		}
		stamp[i] = Mark{slot, word}
	}
	return stamp, true
}

// Valid tells whether nothing that the stamp covers has changed or is about to: no fence is up
// and no version differs.
func (s *Slots) Valid(stamp Stamp) bool {
	for _, m := range stamp {
		if s.words[m.Slot].Load() != m.Word {
			return false
		}
	}
	return true
}

// raise puts a fence up on the slot.
func (s *Slots) raise(slot Slot) { s.words[slot].Add(1) }

// lower takes a fence down; with bump the version changes in the same step.
func (s *Slots) lower(slot Slot, bump bool) {
	if bump {
		s.words[slot].Add(version - 1)
		return
	}
	s.words[slot].Add(^uint64(0))
}

// Bump invalidates everything that carries a tag of this slot, without a fence: for changes that
// are visible already.
func (s *Slots) Bump(slot Slot) { s.words[slot].Add(version) }
