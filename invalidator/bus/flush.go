package bus

import (
	"encoding/binary"
	"strings"

	"github.com/pgrecall/pgrecall/invalidator"
)

// A flush goes through the log as a write does: Fence with Tags.Flush, and Release once what could be removed is. So everybody that a strict
// write waits for has flushed its own cache when Fence returns true, and nothing that was filled before is Fresh for anybody from then on. Without
// Redis it is made up for as a write is: by invalidating everything when the process joins again.

// slots returns one that all of what is flushed has in common; none for everything.
func (f *Flush) slots(s *invalidator.Slots, database string) []invalidator.Slot {
	switch {
	case f.Fingerprint != 0:
		return []invalidator.Slot{s.Flushed(invalidator.FlushedFingerprint, fingerprintName(f.Fingerprint))}
	case f.Tenant != "":
		return []invalidator.Slot{s.Flushed(invalidator.FlushedTenant, f.Tenant)}
	case f.Table != "":
		return []invalidator.Slot{s.Flushed(invalidator.FlushedTable, unqualified(f.Table))}
	case database != "":
		return []invalidator.Slot{s.Database(database)}
	}
	return nil
}

// FlushSlots returns the slots that have to be Fresh, besides those of what an answer depends on, for an answer to be newer than all flushes. Tables
// are names with their schemas, tenant may be empty.
func FlushSlots(s *invalidator.Slots, tables []string, tenant string, fingerprint uint64) []invalidator.Slot {
	slots := make([]invalidator.Slot, 0, len(tables)+2)
	slots = append(slots, s.Flushed(invalidator.FlushedFingerprint, fingerprintName(fingerprint)))
	for _, table := range tables {
		slots = append(slots, s.Flushed(invalidator.FlushedTable, unqualified(table)))
	}
	if tenant != "" {
		slots = append(slots, s.Flushed(invalidator.FlushedTenant, tenant))
	}
	return slots
}

func fingerprintName(fingerprint uint64) string {
	return string(binary.BigEndian.AppendUint64(nil, fingerprint))
}

// unqualified returns a table's name without what stands before its last dot.
func unqualified(table string) string { return table[strings.LastIndexByte(table, '.')+1:] }

// Logged tells whether the fence of a token stood in the log when it was asked, and its process went on with it: then all members read it.
func (b *Bus) Logged(t *Token) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return t.membership != nil && !t.alone
}
