package codec

import (
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// Item is a result with all that a proxy needs to judge it that did not ask for it. What the reader knows anyway may be left out: Database and
// Fingerprint follow from the cache key, and their zero values take two bytes instead of some twenty.
type Item struct {
	// Position is the writer's place in the log when it sent the query upstream.
	Position invalidator.Position
	// TTL is how long the entry may live from its writing, in whole milliseconds: what is below is cut off.
	TTL time.Duration
	// Created is the writer's time in nanoseconds since 1970, kept to the millisecond: for people, never to be compared with another clock.
	Created int64
	// Origin is how long the upstream took, kept in microseconds, rounded up. Negative ones are kept as 0.
	Origin time.Duration
	// Database and Relations say what the entry depends on, Fingerprint whose statistics it belongs to, as in cache.Source.
	Database    string
	Relations   []uint32 // empty ones come back as nil
	Fingerprint uint64
	// Parameters, Row and Data are the messages of cache.Entry. Nil differs from empty.
	Parameters, Row, Data []byte
}
