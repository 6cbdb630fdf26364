package cache

// Tier is a store of entries. All methods but Close may be called from any goroutine. A tier never
// returns an entry for another key. It may forget any entry at any time, and may refuse one.
type Tier interface {
	// Get returns the entry under the key, nil when there is none. The caller judges its age and
	// stamp, and may hold and read the entry for as long as it likes.
	Get(key Key) *Entry
	// Put stores the entry under the key, in place of an older one. The tier owns the entry from
	// then on. An entry that is too large is refused, and the older one is gone all the same.
	Put(key Key, entry *Entry)
	// Delete removes the entry under the key. A Get that starts after it returned does not find it.
	Delete(key Key)
	// DeleteFunc removes the entries for which f returns true and returns their number. Entries
	// that are put while it runs may be passed over. f must not call the tier.
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
	Evictions  map[string]uint64 // by reason: one of the Evicted constants
}

// Reasons for which an entry leaves a tier: the label of pgrecall_evictions_total.
const (
	EvictedSize     = "size"     // to make room for others
	EvictedExpired  = "expired"  // older than any rule allows
	EvictedInvalid  = "invalid"  // what it depends on has changed, or who got it had no use for it
	EvictedReplaced = "replaced" // a newer result came under its key
	EvictedFlushed  = "flushed"  // somebody asked for it
	EvictedRefused  = "refused"  // too large to be admitted at all
)
