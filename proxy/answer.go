package proxy

import (
	"net"
	"slices"

	"github.com/pgrecall/pgrecall/cache"
)

// copyLimit is the size up to which an answer is put together in one buffer; larger ones are sent from where they lie
// with one writev.
const copyLimit = 8 << 10

// answer sends to the client what pgrecall answers by itself. The session is idle, so nothing can be overtaken but what comes at any time. A
// client that is gone ends the session at its next read.
func (s *session) answer(b []byte) {
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	_, _ = s.client.Write(b)
}

// answerParts is answer for what lies in several places.
func (s *session) answerParts(parts ...[]byte) {
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	buffers := net.Buffers(parts)
	_, _ = buffers.WriteTo(s.client)
}

// countHit counts an answer from the cache, before the client can know of it.
func (s *session) countHit(entry *cache.Entry) {
	o := outcomeHit
	if f := &s.frontend; len(f.fetched) > 0 && slices.Contains(f.fetched, entry) {
		o, f.fetches = outcomeHitShared, f.fetches+1
	}
	s.countAnswer(o, entry)
	if s.srv.Observer != nil {
		s.tellHit(o, entry)
	}
	s.frontend.counted = entry.Source.Uses
	if u := entry.Source.Uses; u != nil {
		u.Hit(o == outcomeHitShared, entry.Origin)
	}
	if s.staleness(entry) != "" {
		s.srv.metrics.stale[staleRevalidate].Add(1)
	}
}

// timedHits is that one in so many hits of a session is measured for its statement's shape.
const timedHits = 16

// observeHits measures answers from the cache that have been sent.
func (s *session) observeHits(n int) {
	f := &s.frontend
	took := cache.Monotonic() - f.received
	if f.untilTimed--; f.untilTimed <= 0 && n == 1 && f.counted != nil {
		f.untilTimed = timedHits
		f.counted.HitTook(took)
	}
	for range n {
		o := outcomeHit
		if f.fetches > 0 {
			o, f.fetches = outcomeHitShared, f.fetches-1
		}
		s.srv.metrics.observe(o, took)
	}
}

// now is the present time of the cache's clock.
func (s *session) now() int64 { return cache.Monotonic() }
