package cache

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
	"unsafe"

	"github.com/pgrecall/pgrecall/invalidator"
)

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
	// Filled is when the entry's query was sent upstream, in nanoseconds of the cache's clock: its age counts from there.
	Filled int64
	// Origin is how long the upstream took to answer, in nanoseconds.
	Origin int64

	// Tenant marks whose the entry is, for flushes; 0 where it may answer anybody's statements. It is set before the entry is put into a tier.
	Tenant uint32
	// allocated is the size in bytes of the block that NewEntry packed the slices into.
	allocated uint32
}

// markSize is the size of a mark, and so the unit in which NewEntry allocates.
const markSize = int(unsafe.Sizeof(invalidator.Mark{}))

// NewEntry returns an entry that holds copies of the messages and of the stamp, all in one block
// of memory: a small result costs two allocations, and the garbage collector finds no pointer in
// the block. The caller keeps the slices that it gave. A nil message stays nil.
func NewEntry(parameters, row, data []byte, stamp invalidator.Stamp, source *Source, filled, origin int64) *Entry {
	e := &Entry{Source: source, Filled: filled, Origin: origin}
	text := len(parameters) + len(row) + len(data)
	units := len(stamp) + (text+markSize-1)/markSize
	// Marks come first because they need to be aligned. Grow gives all that the allocator's size
	// class holds, which is how the entry knows what it really takes.
	block := slices.Grow([]invalidator.Mark(nil), units)[:units]
	e.allocated = uint32(cap(block) * markSize) // results are bounded by far less
	e.Stamp = block[:len(stamp):len(stamp)]
	copy(e.Stamp, stamp)
	tail := block[len(stamp):]
	// A Mark holds no pointer, so any bytes may stand in its place, and the slices keep the block alive.
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(tail))), len(tail)*markSize)
	e.Parameters, b = pack(b, parameters)
	e.Row, b = pack(b, row)
	e.Data, _ = pack(b, data)
	return e
}

// pack copies a message to the start of b and returns the copy, whose capacity ends where it ends, and the rest of b.
func pack(b, message []byte) (packed, rest []byte) {
	switch {
	case message == nil:
		return nil, b
	case len(message) == 0:
		return []byte{}, b // not nil: the two differ to a tier's codec
	}
	n := copy(b, message)
	return b[:n:n], b[n:]
}

// entryOverhead is what an entry takes besides its bytes and marks in the memory tier: the Entry
// itself, its key, and the tier's node and table (measured, docs/l1.md).
const entryOverhead = 128 + 104

// Size returns the bytes that the entry takes in memory, its key and the bookkeeping of a tier
// counted in, and the rounding of the allocator too. The value that it shares with others, Source,
// is not counted.
func (e *Entry) Size() int {
	if e.allocated != 0 {
		return entryOverhead + int(e.allocated)
	}
	return entryOverhead + len(e.Parameters) + len(e.Row) + len(e.Data) + len(e.Stamp)*markSize
}

// jitter is the part of a TTL that the key may take away: one tenth.
const jitter = 10

// Expired tells whether the entry is too old at the moment now (nanoseconds of the cache's clock)
// for a rule that allows it to live for ttl. Each key shortens the TTL by a part of its own, less
// than a tenth, so that entries that were filled together do not expire together. A ttl of zero or
// less allows nothing.
func (e *Entry) Expired(key Key, now int64, ttl time.Duration) bool {
	return e.Left(key, now, ttl) <= 0
}

// Left returns for how many nanoseconds the entry is young enough yet in the sense of Expired. It is not above zero for one that is
// expired, and says since when it is.
func (e *Entry) Left(key Key, now int64, ttl time.Duration) int64 {
	if ttl <= 0 {
		return math.MinInt64
	}
	shorter, _ := bits.Mul64(uint64(ttl)/jitter, binary.LittleEndian.Uint64(key[24:]))
	left := int64(uint64(ttl) - shorter)
	if now <= e.Filled {
		return left // filled after the caller had looked at the clock
	}
	age := uint64(now) - uint64(e.Filled)
	if age > math.MaxInt64 {
		return math.MinInt64
	}
	return left - int64(age)
}

// Early tells, by a draw, whether an entry should be filled anew now, though it may be served for left nanoseconds yet: the more likely
// the nearer the end and the longer the upstream takes, so that of many readers of a hot entry one is about in time. Beta is 1 for the
// draw that is optimal, more for earlier ones (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB
// 2015, section 4).
func (e *Entry) Early(left int64, beta float64) bool {
	return rand.ExpFloat64()*beta*float64(e.Origin) >= float64(left)
}

// Clock returns the time in nanoseconds since some fixed point; it never goes back.
type Clock func() int64

var processStart = time.Now()

// Monotonic is the Clock of this process.
func Monotonic() int64 { return int64(time.Since(processStart)) }
