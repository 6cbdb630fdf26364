package cache

import (
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// Key identifies a result: SHA-256 over length-prefixed parts (DESIGN invariant 2). It holds no
// text and no value in the clear.
type Key [32]byte

// Entry is a result as PostgreSQL sent it, ready to be sent again. It is immutable once it is in
// a tier: nobody writes to its bytes, everybody may read them for as long as they hold it.
type Entry struct {
	// Parameters is the ParameterDescription message of a described statement, or nil.
	Parameters []byte
	// Row is the RowDescription (or NoData) message, or nil where nobody asked for it.
	Row []byte
	// Data is all DataRow messages and the CommandComplete message, in order.
	Data []byte
	// Stamp was taken before the query was sent upstream.
	Stamp invalidator.Stamp
	// Source is shared by all entries of one statement in one database; never nil.
	Source *Source
	// Filled is when the entry was made, in nanoseconds of the cache's clock.
	Filled int64
	// Origin is how long the upstream took to answer, in nanoseconds.
	Origin int64
}

// Source is where entries come from: what a flush by table or fingerprint, statistics and
// explanations need. One value is shared by many entries.
type Source struct {
	Database    string
	Fingerprint uint64
	Relations   []uint32 // OIDs, sorted
	Label       string   // names of the relations, for logs and statistics
}

// Size returns the bytes that the entry takes in memory, its key and the bookkeeping of a tier counted in.
func (e *Entry) Size() int {
	return entryOverhead + len(e.Parameters) + len(e.Row) + len(e.Data) + len(e.Stamp)*16
}

// Clock returns the time in nanoseconds since some fixed point; it never goes back.
type Clock func() int64

var processStart = time.Now()

// Monotonic is the Clock of this process.
func Monotonic() int64 { return int64(time.Since(processStart)) }

// entryOverhead is the measured size of an Entry, its key and a tier's bookkeeping (docs/l1.md).
const entryOverhead = 320

// Tier is a store of entries. Get and Put may be called from any goroutine. A tier never returns
// an entry for another key. It may forget any entry at any time.
type Tier interface {
	// Get returns the entry under the key, nil when there is none. The caller judges its age and stamp.
	Get(key Key) *Entry
	// Put stores the entry under the key, in place of an older one. The tier owns the entry from then on.
	Put(key Key, entry *Entry)
	// Delete removes the entry under the key.
	Delete(key Key)
	// DeleteFunc removes the entries for which f returns true and returns their number.
	DeleteFunc(f func(*Entry) bool) int
	// Stats returns the tier's figures at this moment.
	Stats() Stats
	// Close releases what the tier holds. No other method is called after it.
	Close()
}

// Stats are the figures of a tier.
type Stats struct {
	Entries    int
	Bytes      int64 // as Entry.Size counts
	LimitBytes int64
	Evictions  map[string]uint64 // by reason: size, expired, replaced, flushed
}
