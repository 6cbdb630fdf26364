package cache

import (
	"encoding/binary"
	"sync"
	"time"
)

// flightShards is the number of locks that keys spread over.
const flightShards = 64

// Flights lets one of several misses of a key go upstream while the others wait for what it
// brings back. Scope and role are in the key, so no flight is shared across roles. All methods may
// be called from any goroutine.
type Flights struct {
	maxFollowers int32
	shards       [flightShards]flightShard
}

type flightShard struct {
	mu      sync.Mutex
	flights map[Key]*Flight
	_       [48]byte // a cache line each
}

// Flight is one query under way upstream. Its leader is whoever Join told so; everybody else who
// got it from Join is a follower.
type Flight struct {
	flights *Flights
	key     Key

	// Guarded by the shard's lock. entry is written before done is closed and never again.
	done      chan struct{} // nil until there is a follower
	entry     *Entry
	followers int32
	finished  bool
	atEnd     func()
}

// NewFlights returns Flights that let at most maxFollowers wait for one leader at a time.
func NewFlights(maxFollowers int) *Flights {
	fs := &Flights{maxFollowers: int32(min(max(maxFollowers, 0), 1<<30))}
	for i := range fs.shards {
		fs.shards[i].flights = make(map[Key]*Flight)
	}
	return fs
}

func (fs *Flights) shard(key *Key) *flightShard {
	return &fs.shards[binary.LittleEndian.Uint16(key[:])%flightShards]
}

// Join finds the flight of the key or begins one, in one step. A leader goes upstream and must
// call Finish, best deferred with nil at once, as a second Finish does nothing. A follower must
// call Wait exactly once. When the flight has all the followers that it may have, Join
// returns nil: the caller goes upstream by itself and shares nothing.
func (fs *Flights) Join(key Key) (f *Flight, leader bool) {
	s := fs.shard(&key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil {
		if f.followers >= fs.maxFollowers {
			return nil, false
		}
		if f.done == nil {
			f.done = make(chan struct{})
		}
		f.followers++
		return f, false
	}
	f = &Flight{flights: fs, key: key}
	s.flights[key] = f
	return f, true
}

// Lead begins the flight of the key for a caller that would not wait; nil when there is one already. The caller must call Finish, as a
// leader does.
func (fs *Flights) Lead(key Key) *Flight {
	s := fs.shard(&key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[key] != nil {
		return nil
	}
	f := &Flight{flights: fs, key: key}
	s.flights[key] = f
	return f
}

// Finish ends the flight and wakes its followers with the entry, nil when there is nothing to
// share: the query failed, was cancelled, or its result may not be cached. From here on a Join of
// the key begins a new flight, so an entry for a tier must be put there before. Only the first
// call counts.
func (f *Flight) Finish(entry *Entry) {
	s := f.flights.shard(&f.key)
	s.mu.Lock()
	if f.finished {
		s.mu.Unlock()
		return
	}
	f.finished, f.entry = true, entry
	atEnd := f.atEnd
	delete(s.flights, f.key)
	if f.done != nil {
		close(f.done)
	}
	s.mu.Unlock()
	if atEnd != nil {
		atEnd()
	}
}

// AtEnd makes the first Finish call f before it returns. Only the leader may call it, once, before it goes upstream.
func (f *Flight) AtEnd(do func()) {
	s := f.flights.shard(&f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.atEnd = do
}

// Wait waits until the flight ends, but no longer than the bound and not after done is closed
// (a nil done never is). It returns
//
//   - the entry and true when the leader shared one. It is a hit like any other: the caller judges
//     its age and stamp, for a write may have come since the leader took the stamp;
//   - nil and true when the leader had nothing to share: the caller may Join again, and one of
//     those who do leads. A leader's error is never its followers' answer. Callers that got nil
//     twice should go upstream by themselves instead of queueing one behind the other;
//   - nil and false when the flight did not end in time: the caller goes upstream by itself.
func (f *Flight) Wait(done <-chan struct{}, bound time.Duration) (entry *Entry, ok bool) {
	select {
	case <-f.done:
		return f.entry, true
	default:
	}
	if bound > 0 {
		timer := time.NewTimer(bound)
		defer timer.Stop()
		select {
		case <-f.done:
			return f.entry, true
		case <-done:
		case <-timer.C:
		}
	}
	s := f.flights.shard(&f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.followers-- // makes room for another
	return nil, false
}

// Len returns the number of flights under way.
func (fs *Flights) Len() int {
	n := 0
	for i := range fs.shards {
		s := &fs.shards[i]
		s.mu.Lock()
		n += len(s.flights)
		s.mu.Unlock()
	}
	return n
}
