package bus

import (
	"context"
	"slices"
	"time"
)

// Token is a fence of this process that the fleet is told of. Release ends it.
type Token struct {
	bus     *Bus
	number  uint64
	tags    Tags
	awaited bool

	// What follows is guarded by the bus's mu.
	membership *membership // in which the fence was announced, nil: in none yet
	seq        uint64      // its event, or a later one
	nonce      uint64      // of that event
	read       bool        // this process has applied that event itself
	at         time.Duration
	waiters    []string // members that have not applied it
	alone      bool     // the write went on without the log
	applied    bool     // all that were members have applied it
	released   bool
}

func (t *Token) name() token { return token{t.bus.process, t.number} }

func (t *Token) event(k kind) *event {
	return &event{kind: k, awaited: t.awaited && k == kindFence, process: t.bus.process, number: t.number, tags: t.tags}
}

// end returns the event that ends the fence.
func (t *Token) end(k kind) *queued {
	return &queued{event: t.event(k), down: t.name().String(), token: t, done: make(chan struct{})}
}

// appended notes that the fence is in the log. The bus's mu is held.
func (t *Token) appended(m *membership, seq, nonce uint64, strict []string, at time.Duration) {
	t.membership, t.seq, t.nonce, t.read, t.at = m, seq, nonce, false, at
	t.waiters = slices.DeleteFunc(slices.Clone(strict), func(id string) bool { return id == m.id || m.acked[id] >= seq })
}

// acknowledge takes off the members that have applied the fence. The bus's mu is held.
func (t *Token) acknowledge(m *membership) {
	t.waiters = slices.DeleteFunc(t.waiters, func(id string) bool { return m.acked[id] >= t.seq })
}

// prune takes over what a beat told: who is no member any more. The bus's mu is held.
func (t *Token) prune(m *membership, members map[string]memberState, sent time.Duration) {
	if t.membership != m || sent < t.at {
		return
	}
	t.waiters = slices.DeleteFunc(t.waiters, func(id string) bool {
		_, still := members[id]
		return !still
	})
}

// Fence announces a write that is about to be sent upstream; this process's own slots must be fenced already. The tags must hold all that the write
// can change.
//
// Where await is not set, and no member of the fleet is strict, it returns at once: the event is on its way. Else it returns true when no other
// process can serve what the write changes out of its cache; until then the write must not be sent upstream. That takes a round trip or two through Redis; after the death of a
// member up to 1.4 leases; once, after Redis was lost, 1.25 leases. It waits longer only while PostgreSQL doesn't show this process's proof
// of life. False means that the context has ended before: the write must not be sent upstream unless that is asked for by its client. The
// token is to be released in any case.
func (b *Bus) Fence(ctx context.Context, tags Tags, await bool) (*Token, bool) {
	began := b.clock.now()
	b.mu.Lock()
	b.number++
	await = await || b.mustAwait(began)
	t := &Token{bus: b, number: b.number, tags: tags, awaited: await}
	b.own[t.number] = t
	b.pend(t.number, t.event(kindFence))
	if b.member != nil {
		b.enqueue(&queued{event: t.event(kindFence), up: t.name().String(), token: t, done: make(chan struct{})})
	}
	b.mu.Unlock()
	b.counts.fences.Add(1)
	if !await {
		return t, true
	}
	defer func() { b.counts.waited(b.clock.now() - began) }()
	pause := time.NewTimer(b.Lease / beatsPerLease)
	defer pause.Stop()
	for {
		b.mu.Lock()
		ready, changed := b.ready(t), b.changed
		b.mu.Unlock()
		if ready {
			return t, true
		}
		select {
		case <-changed:
		case <-pause.C: // some conditions come with time
			pause.Reset(b.Lease / beatsPerLease)
		case <-ctx.Done():
			return t, false
		}
	}
}

// pend notes a change that Fresh must know of before its event is read. The caller holds mu.
func (b *Bus) pend(number uint64, e *event) {
	r := b.reach(e)
	b.pending[number] = r
	b.history.pend(r, 1)
}

// ready tells whether the write of a token can be sent upstream. The caller holds mu.
func (b *Bus) ready(t *Token) bool {
	now := b.clock.now()
	if b.left {
		return false
	}
	if m := b.member; m != nil && t.membership == m && t.read && len(t.waiters) == 0 &&
		(m.settled || now > m.began+b.part(silentLease)) && (b.Census == nil || b.census.known) {
		t.applied = true
		return true
	}
	if now < b.received+b.part(aloneLease) || b.Census != nil && !b.seen(now) {
		return false
	}
	// Redis is silent. The others have seen no sign of this process for so long that none is Live, and they know that it lives.
	t.alone = true
	b.isolations++
	b.counts.alone.Add(1)
	if b.member != nil { // a beat that is late must not vouch for this process
		b.lose(b.member, "a write went on without the log")
	}
	return true
}

// Release ends a fence when the outcome of its write is known, before its client is told. Changed is false when nothing can have changed. It waits
// for the log only where the fence was not awaited, at most Options.Hang, and not while Redis is down. Its own slots are the
// caller's. A second Release does nothing.
func (b *Bus) Release(t *Token, changed bool) {
	k := kindUnchanged
	if changed {
		k = kindChanged
	}
	b.mu.Lock()
	if t.released {
		b.mu.Unlock()
		return
	}
	t.released = true
	delete(b.own, t.number)
	if b.member == nil {
		// Nobody may know of it, even if it was announced: who joined a new epoch since then may have cached what was before it.
		b.isolations++
		b.mu.Unlock()
		return
	}
	q := t.end(k)
	b.enqueue(q)
	wait := !t.applied
	b.mu.Unlock()
	if wait {
		b.bounded(q)
	}
}

// Bump tells the fleet of a change that is visible already, as a definition that was seen to have changed. It waits as Release does.
func (b *Bus) Bump(tags Tags) {
	b.mu.Lock()
	b.number++
	q := &queued{event: &event{kind: kindBump, process: b.process, number: b.number, tags: tags}, done: make(chan struct{})}
	b.pend(b.number, q.event)
	if b.member == nil {
		b.isolations++
		b.mu.Unlock()
		return
	}
	b.enqueue(q)
	b.mu.Unlock()
	b.bounded(q)
}

// bounded waits for an event to be in the log.
func (b *Bus) bounded(q *queued) {
	if b.down.Load() {
		return
	}
	hang := time.NewTimer(b.Hang)
	defer hang.Stop()
	select {
	case <-q.done:
	case <-hang.C:
		b.failed("append", context.DeadlineExceeded)
	}
}
