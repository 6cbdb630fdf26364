package cache

import (
	"context"
	"errors"
	"time"
)

// Remote is a store of named values that several processes share: L2. It knows nothing of what the
// values mean, and it is not believed: whoever takes a value from it proves that the value is
// authentic, belongs to the name, and is still right. It may forget anything at any time.
//
// All methods but Close may be called from any goroutine, and return at their context's deadline, with an error that wraps the
// context's; that it was cancelled may be noticed at the deadline only. Nothing is tried again after that. Calls after Close fail.
// [github.com/pgrecall/pgrecall/cache/remote.Guard] makes a Remote fit for the path of a client's statement.
type Remote interface {
	// Get fetches the values under the names, in one round trip to each server that holds some. The result has
	// one value for each name, in the same order; a name under which there is nothing has the zero Value. The
	// bytes belong to the caller. After an error there is no result: values are never told from misses by halves.
	Get(ctx context.Context, names ...string) ([]Value, error)
	// Put stores the value under the name, in place of an older one, for ttl, which is counted from the call.
	// Lifetimes under a millisecond are refused; a store may round a lifetime up to its own unit (memcached: a second).
	// The store may keep the value after it returned, so it must never be changed.
	Put(ctx context.Context, name string, value []byte, ttl time.Duration) error
	// Claim puts an empty value under the name for ttl, unless there is one already, and tells whether it did: of all who
	// claim a name at once one is told true. Delete ends it early.
	Claim(ctx context.Context, name string, ttl time.Duration) (bool, error)
	// Delete removes what is under the names. A name under which there is nothing is no error.
	Delete(ctx context.Context, names ...string) error
	// Flush removes all values whose names begin with the prefix, which [NamespacePrefix], [TenantPrefix],
	// [FingerprintPrefix] or [RemotePrefix] made (see [HasRemotePrefix]), in bounded steps that let others in between, and returns how many there were, or
	// [UnknownNumber]. What is put while it runs may stay. A store that cannot list names removes more than it
	// was asked for, never less, but of several namespaces ([SpansNamespaces]) only those that it has seen. It takes as long as there are names in the store: give it a context that allows that.
	Flush(ctx context.Context, prefix string) (int, error)
	// Ping succeeds when every server that is needed for Get answers.
	Ping(ctx context.Context) error
	// Stats returns the figures at this moment. It does no I/O.
	Stats() RemoteStats
	// Close releases connections. Calls under way may fail.
	Close() error
}

// Value is what a Remote holds under a name.
type Value struct {
	// Bytes is nil when there is nothing, and empty but not nil for an empty value.
	Bytes []byte
	// Remaining is how long the value would stay in the store yet, to the millisecond, or UnknownLifetime: then the
	// caller goes by what the value itself says of its age. It is at most by the time that the Put was on its way more than
	// what is left of the ttl that was put. That of a value which was put during the call may be its predecessor's: where
	// it is longer than the value's own ttl, the value is new.
	Remaining time.Duration
}

// UnknownLifetime stands in Value.Remaining where the store does not tell it (memcached).
const UnknownLifetime time.Duration = -1

// UnknownNumber is what Flush returns where the store does not tell how many values there were (memcached).
const UnknownNumber = -1

// Errors that a Remote wraps, beside those of contexts and connections.
var (
	// ErrWritesRefused: the store answers, but takes no writes now, as it is full or a read-only replica.
	ErrWritesRefused = errors.New("the store refuses writes")
	// ErrValueRefused: the store answers, but does not take this value or name, as it is too large.
	ErrValueRefused = errors.New("the store refuses this value")
	// ErrRemoteOpen: the store is not asked, since it failed or hung a moment ago.
	ErrRemoteOpen = errors.New("the store is not asked: it failed a moment ago")
	// ErrRemoteBusy: too many calls or bytes are under way already.
	ErrRemoteBusy = errors.New("the store has too much under way")
	// ErrRemoteClosed: Close was called.
	ErrRemoteClosed = errors.New("the store is closed")
)

// RemoteStats are the figures of a Remote since its start. Those that only a Guard knows are zero elsewhere.
type RemoteStats struct {
	Hits    uint64 // values found
	Misses  uint64 // names under which there was nothing
	Written uint64 // values put
	Deleted uint64 // names deleted, those of Flush included where their number is known
	Errors  uint64 // calls that failed, whatever the reason; a Guard's hangs among them

	BytesRead    uint64 // of values
	BytesWritten uint64 // of values
	Connections  int    // open now

	// Of a Guard.
	Up          bool              // the store is being asked
	Opened      uint64            // how often the breaker opened
	Hangs       uint64            // calls that their callers left at the hang bound
	Busy        uint64            // calls refused because too many were under way
	Probes      uint64            // PINGs sent while the breaker was open
	Queued      int               // writes that wait
	QueuedBytes int64             // what they take, at most QueueLimit
	QueueLimit  int64             // bytes
	Dropped     map[string]uint64 // writes that never reached the store, by reason: one of the Dropped constants
	LastError   string            // what opened the breaker last, for people
}

// Reasons for which a write never reaches the store.
const (
	DroppedFull    = "full"    // the queue was full: the oldest make room
	DroppedLarge   = "large"   // larger than the queue, or than what the store takes
	DroppedOpen    = "open"    // the breaker was open, or opened
	DroppedRefused = "refused" // the store takes no writes
	DroppedExpired = "expired" // its lifetime was over before its turn came
	DroppedFlushed = "flushed" // somebody flushed what it belongs to
	DroppedClosed  = "closed"
)

// Write is one change of a Remote: a value under a name, or its end.
type Write struct {
	Name   string
	Value  []byte
	TTL    time.Duration // as Put's
	Delete bool          // removes what is under the name; Value and TTL are not used
}

// Backend is a Remote that takes several writes at once.
type Backend interface {
	Remote
	// Apply makes the writes, those of one name in order, in one round trip to each server where the store can do
	// that. After an error some of them may have been made.
	Apply(ctx context.Context, writes []Write) error
	// Prompt tells whether Get and Apply return at their context's deadline by themselves, whatever sockets, locks and
	// name servers do. It never changes.
	Prompt() bool
}
