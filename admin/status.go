package admin

import "time"

// Status is what the status page shows and /api/status returns. Counters count from Started.
type Status struct {
	Version  string    `json:"version"`
	Upstream string    `json:"upstream"` // host:port, without account
	Listen   []string  `json:"listen"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`

	Cache             string `json:"cache"` // on, off, shadow, paused
	ClientConnections int    `json:"client_connections"`

	// Statements by outcome, Bypasses by reason, Invalidations by source, as in the metrics.
	Statements    map[string]uint64 `json:"statements"`
	Bypasses      map[string]uint64 `json:"bypasses"`
	Invalidations map[string]uint64 `json:"invalidations"`

	UpstreamSecondsSaved float64 `json:"upstream_seconds_saved"`

	// Verifications counts comparisons of the cache with the upstream by result: same, different, inconclusive.
	Verifications map[string]uint64 `json:"verifications"`
	// Doubts are the shapes of statements that are not cached because they differed, until somebody allows them.
	Doubts []Doubt `json:"doubts"`

	// Stopped are the shapes of statements that are not cached for a while because that costs more than it saves.
	Stopped []Stopped `json:"stopped"`

	Tiers []Tier `json:"tiers"`
	// L2 is what is shared with other pgrecalls, nil without.
	L2 *L2 `json:"l2,omitempty"`
	// Fleet is what is known of other pgrecalls, nil where this is the only one.
	Fleet *Fleet `json:"fleet,omitempty"`
}

// L2 is the second tier of the cache. The store keeps the number of its entries to itself.
type L2 struct {
	Up        bool   `json:"up"`     // false: the breaker is open, the store is left alone until it answers
	Opened    uint64 `json:"opened"` // times that the breaker opened
	LastError string `json:"last_error,omitempty"`
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Stale     uint64 `json:"stale"`   // results that could not be proved to be new enough
	Dropped   uint64 `json:"dropped"` // results that were not stored because too many waited
	Refused   uint64 `json:"refused"` // values that are no entries
	Hangs     uint64 `json:"hangs"`
	Errors    uint64 `json:"errors"`

	QueuedBytes int64 `json:"queued_bytes"` // of writes that wait
	QueueLimit  int64 `json:"queue_limit_bytes"`
}

// Fleet is the state of this process among several.
type Fleet struct {
	Live    bool   `json:"live"`    // false: it is not certain what the others do, and strict reads go to the upstream
	Member  bool   `json:"member"`  // this process is in it
	Members int    `json:"members"` // with this one
	Outside int    `json:"outside"` // processes because of which it is not certain
	Lag     uint64 `json:"lag_events"`
	Queued  int    `json:"queued_events"`
	Fences  int    `json:"fences"` // writes of others that are under way
}

// Stopped is a shape of statements that is not cached until some time.
type Stopped struct {
	Fingerprint string    `json:"fingerprint"` // hexadecimal
	Database    string    `json:"database"`
	Query       string    `json:"query"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
	Worth       Worth     `json:"worth"`
}

// Doubt is a shape of statements that is not cached any more.
type Doubt struct {
	Fingerprint string    `json:"fingerprint"` // hexadecimal
	Tables      string    `json:"tables"`
	Since       time.Time `json:"since"`
}

// Uncached is a shape of reads that went to the upstream for one reason.
type Uncached struct {
	Fingerprint string    `json:"fingerprint"` // hexadecimal
	Database    string    `json:"database"`
	Query       string    `json:"query"` // $n for constants; "" where there is no such form
	Reason      string    `json:"reason"`
	Detail      string    `json:"detail,omitempty"` // a function's, relation's or column's name
	Meaning     string    `json:"meaning"`
	Change      string    `json:"change"`  // what would get it cached
	Count       int64     `json:"count"`   // estimated
	Seconds     float64   `json:"seconds"` // estimated
	MaxSeconds  float64   `json:"max_seconds"`
	Last        time.Time `json:"last"`
}

// Tier is one tier of the cache.
type Tier struct {
	Name       string            `json:"name"`
	Entries    int               `json:"entries"`
	Bytes      int64             `json:"bytes"`
	LimitBytes int64             `json:"limit_bytes"`
	Evictions  map[string]uint64 `json:"evictions"` // by reason
}

// Hits is the number of statements answered from the cache.
func (s *Status) Hits() uint64 { return s.Statements["hit_l1"] + s.Statements["hit_l2"] }

// Reads is the number of statements that read, whether from the cache or from the upstream.
func (s *Status) Reads() uint64 {
	return s.Hits() + s.Statements["miss"] + s.Statements["bypass"]
}

// HitRate is the part of the reads that were answered from the cache, from 0 to 1. Bypassed reads
// count: to the database they cost as much as a miss.
func (s *Status) HitRate() float64 {
	reads := s.Reads()
	if reads == 0 {
		return 0
	}
	return float64(s.Hits()) / float64(reads)
}
