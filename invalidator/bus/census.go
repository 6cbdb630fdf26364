package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// tellEvery is how often a warning that lasts is logged.
const tellEvery = time.Minute

// census is what PostgreSQL says about the processes of the fleet. mu guards it.
type census struct {
	// outside are processes that may write without the log: alive, or not known to be settled, and no members. While there are any nobody is Live.
	outside map[Process]*outsider
	left    map[Process]struct{}
	beats   uint64 // answered ones

	watched  bool          // there was a look
	watching time.Duration // since when looks follow each other without a hole
	looked   time.Duration // when the last look was sent

	told  time.Time // when the last warning about a member elsewhere was logged
	blind time.Time // when the last one about looks that fail was; of runCensus alone

	showing bool // the looks show this process itself
	shown   time.Duration
	since   time.Duration // since when without a hole
	known   bool          // it was shown for so long that everybody has seen it, once since doubted
	doubted time.Duration // until when others may have taken it for dead
}

// nobody stands for processes that came and went while PostgreSQL was not asked.
const nobody Process = 0

// outsider is a process outside of the log.
type outsider struct {
	missing  invalidator.Position // of the event that said so
	after    time.Duration        // it can't have begun a transaction before, 0: nobody knows
	absent   bool                 // PostgreSQL does not show it
	since    time.Duration
	settling bool
}

func newCensusState() census {
	return census{outside: make(map[Process]*outsider), left: make(map[Process]struct{})}
}

// lasting tells whether PostgreSQL has shown this process for so long up to its last look: what was since then nobody knows, and others look
// once in a while only.
func (c *census) lasting(d time.Duration) bool { return c.showing && c.shown >= c.since+d }

// doubt has this process show once more before it writes, later than any look that let others take it for dead.
func (c *census) doubt(until time.Duration) { c.known, c.doubted = false, until }

// seen tells whether PostgreSQL has shown this process for so long, and shows it still, that every other process knows that it lives. The last look
// must be later than any that could let others take it for dead without more ado: those were answered within a lease after an answer of Redis
// to this process. The caller holds mu.
func (b *Bus) seen(now time.Duration) bool {
	c := &b.census
	return c.lasting(b.part(aloneLease)) && now < c.shown+b.part(trustLease) && c.shown >= b.received+b.part(silentLease)
}

// missing notes that a member was silent for too long. One that PostgreSQL did not show any more while it could not have gone without the log
// yet is dead and has left nothing but its fences, if its writes wait for them to be in the log. The caller holds mu.
func (b *Bus) missing(m *membership, at invalidator.Position, p Process) {
	for _, o := range m.others {
		if o.process == p && o.dead && b.Strict {
			b.wake()
			return
		}
	}
	if b.census.outside[p] == nil {
		b.census.outside[p] = &outsider{}
	}
	b.census.outside[p].missing = at
	b.live.clear()
}

// doubts tells whether there may have been processes that wrote without the log, as far as this one knows. Others may not have seen them. The
// caller holds mu.
func (b *Bus) doubts(now time.Duration) bool {
	c := &b.census
	return len(c.outside) > 0 || b.Census != nil && (!c.watched || now > c.looked+b.part(trustLease))
}

// Forget tells that a process is dead and that nothing of it goes on in PostgreSQL, where no Census can say so. All proxies have to be told.
func (b *Bus) Forget(p Process) {
	b.mu.Lock()
	o := b.census.outside[p]
	b.mu.Unlock()
	if o != nil {
		b.pardon(context.Background(), p, o)
	}
}

// Outside returns the processes because of which nobody is Live.
func (b *Bus) Outside() []Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Process
	for p := range b.census.outside {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// runCensus looks at PostgreSQL until ctx ends.
func (b *Bus) runCensus(ctx context.Context) {
	if b.Census == nil {
		return
	}
	ticker := time.NewTicker(b.Lease / (beatsPerLease / 2))
	defer ticker.Stop()
	for {
		b.look(ctx)
		b.askForOrphans(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look asks who lives. Only the question is bounded by the lease: a connection that took so long to make is good for all that follow.
func (b *Bus) look(parent context.Context) {
	if err := b.Census.Connect(parent); err != nil {
		b.unanswered(parent, "pgrecall can't connect to PostgreSQL to ask which processes of the fleet live", err)
		return
	}
	ctx, cancel := b.call(parent)
	defer cancel()
	sent := b.clock.now()
	living, err := b.Census.Living(ctx)
	received := b.clock.now()
	if err != nil {
		what := "PostgreSQL does not say which processes of the fleet live"
		if ctx.Err() != nil {
			what = "PostgreSQL does not say within half a lease which processes of the fleet live: if it is that far away or that slow, raise --l2-lease for all of them"
		}
		b.unanswered(parent, what, err)
		return
	}
	b.census.blind = time.Time{}
	alive := make(map[Process]bool, len(living))
	for _, p := range living {
		alive[p] = true
	}
	b.mu.Lock()
	unknown := b.unknown(alive)
	beats := b.census.beats
	b.mu.Unlock()
	if len(unknown) > 0 { // it may have joined since the last beat
		b.wake()
		b.awaitBeat(ctx, beats+2) // the first may have been under way
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evaluateLook(parent, alive, sent, received)
	b.evaluate()
	b.broadcast()
}

// unanswered notes that a look has failed.
func (b *Bus) unanswered(ctx context.Context, what string, err error) {
	b.counts.failures.Add(1)
	if now := time.Now(); ctx.Err() == nil && now.Sub(b.census.blind) >= tellEvery {
		b.census.blind = now
		b.Logger.Warn(what+". Until it does, nothing is answered out of the cache under strict, and writes wait that need it", "error", err, "lease", b.Lease)
	}
}

// unknown returns who lives, is no member, and is not known to be outside. The caller holds mu.
func (b *Bus) unknown(alive map[Process]bool) []Process {
	var list []Process
	for p := range alive {
		_, left := b.census.left[p]
		if p == b.process || left || b.census.outside[p] != nil || b.member != nil && b.memberOf(p) != nil {
			continue
		}
		list = append(list, p)
	}
	return list
}

func (b *Bus) memberOf(p Process) *other {
	for _, o := range b.member.others {
		if o.process == p {
			return o
		}
	}
	return nil
}

// awaitBeat waits for an answered beat, and asks for it while there is none.
func (b *Bus) awaitBeat(ctx context.Context, beats uint64) {
	for {
		b.mu.Lock()
		done, changed := b.census.beats >= beats || b.member == nil, b.changed
		b.mu.Unlock()
		if done {
			return
		}
		b.wake()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// evaluateLook takes over a look. The caller holds mu.
func (b *Bus) evaluateLook(ctx context.Context, alive map[Process]bool, sent, received time.Duration) {
	c := &b.census
	hole := !c.watched || sent > c.looked+b.part(trustLease)
	if hole {
		c.watching = sent
		if c.watched && sent > c.looked+b.part(silentLease) && c.outside[nobody] == nil { // somebody may have come, written alone, and gone
			c.outside[nobody] = &outsider{after: c.looked}
		}
	}
	c.watched, c.looked = true, sent
	switch {
	case !alive[b.process]:
		c.showing = false
	case !c.showing || sent > c.shown+b.part(trustLease):
		c.showing, c.shown, c.since = true, sent, received
	default:
		c.shown = sent
		c.known = c.known || c.lasting(b.part(aloneLease)) && sent >= c.doubted
	}
	for _, p := range b.unknown(alive) {
		if c.outside[p] == nil {
			c.outside[p] = &outsider{}
			b.Logger.Warn("a process of the fleet is alive and not to be heard of in Redis: nothing is answered out of the cache under strict", "process", p)
		}
	}
	for p, o := range c.outside {
		switch {
		case alive[p]:
			o.absent = false
		case !o.absent || hole: // a new one: who settles the one before has asked too early
			c.outside[p] = &outsider{missing: o.missing, after: o.after, absent: true, since: received}
		case sent >= o.since+b.part(aloneLease) && !o.settling:
			o.settling = true
			b.work.Go(func() { b.resolve(ctx, p, o) })
		}
	}
	if b.member == nil {
		return
	}
	for _, o := range b.member.others {
		if hidden := !alive[o.process]; hidden && (hole || !o.hidden) {
			o.hidden, o.hiding = true, received
		} else {
			o.hidden = hidden
		}
		switch {
		case alive[o.process] || hole:
			o.dead = false
		case o.trusted && o.certain && received <= o.base+b.part(trustLease): // else what it knew is lost
			o.dead = true
		}
	}
}

// elsewhere tells whether a member beats though PostgreSQL has not shown it for long: then it has another server, a clone or a standby, and
// what it writes there and caches from there is not what is here. The caller holds mu.
func (b *Bus) elsewhere(o *other) bool {
	if b.Census == nil || !o.hidden || o.first <= o.hiding+b.part(aloneLease) {
		return false
	}
	if now := time.Now(); now.Sub(b.census.told) >= tellEvery {
		b.census.told = now
		b.Logger.Warn("a member of the fleet is heard of in Redis and not shown by PostgreSQL: it is connected to another server, or its connection for that is lost. "+
			"Nothing is answered out of the cache under strict until it is shown or gone", "process", fmt.Sprintf("%08x", uint32(o.process)))
	}
	return true
}

// within is for how long what it left behind can be open, 0 where nobody knows: a dump that runs since this morning keeps nobody waiting for a process
// that came a moment ago.
func (o *outsider) within(now, lease time.Duration) time.Duration {
	if o.after == 0 {
		return 0
	}
	return now - o.after + lease
}

// resolve waits until nothing of a process that is gone goes on in PostgreSQL.
func (b *Bus) resolve(ctx context.Context, p Process, o *outsider) {
	defer func() {
		b.mu.Lock()
		o.settling = false
		b.mu.Unlock()
	}()
	var open opened
	for {
		asking, cancel := b.call(ctx)
		settled, err := open.over(asking, b.Census, o.within(b.clock.now(), b.Lease))
		cancel()
		b.mu.Lock()
		back := b.census.outside[p] != o || !o.absent
		b.mu.Unlock()
		if back {
			return
		}
		if err == nil && settled {
			b.pardon(ctx, p, o)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.Lease / beatsPerLease):
		}
	}
}

// pardon lets the fleet invalidate everything, since a process wrote without the log, and then takes the process for gone.
func (b *Bus) pardon(ctx context.Context, p Process, o *outsider) {
	for ctx.Err() == nil {
		b.mu.Lock()
		changed := b.changed
		if b.member != nil {
			b.number++
			q := &queued{event: &event{kind: kindAll, process: b.process, number: b.number}, done: make(chan struct{})}
			m := b.member
			b.enqueue(q)
			b.mu.Unlock()
			select {
			case <-q.done:
			case <-ctx.Done():
				return
			}
			if !b.awaitApplied(ctx, m, q) {
				continue
			}
			b.mu.Lock()
			if b.member == m {
				if b.census.outside[p] == o && (!o.settling || o.absent) {
					delete(b.census.outside, p)
				}
				b.evaluate()
				b.broadcast()
				b.mu.Unlock()
				return
			}
			changed = b.changed
		}
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// awaitApplied waits until this process has read an event that is in the log; false when the membership or the context ends before.
func (b *Bus) awaitApplied(ctx context.Context, m *membership, q *queued) bool {
	for {
		b.mu.Lock()
		p, still, changed := b.history.position.Load(), b.member == m && q.seq > 0, b.changed
		b.mu.Unlock()
		if !still || p == nil {
			return false
		}
		if p.Seq >= q.seq {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
