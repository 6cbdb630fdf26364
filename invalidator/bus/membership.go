package bus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
)

// Parts of a lease. What a process does by its own clock, and what others do by theirs because of its silence, stand so far apart that the order
// holds while the rates of two clocks differ by up to 10%.
const (
	beatsPerLease = 8
	ownLease      = 0.875 // after its last beat was sent a member is not Live any more
	silentLease   = 1.125 // after its last beat was first seen a member is declared missing
	trustLease    = 1.0   // after a moment at which a member certainly had the log nobody is Live any more because of it
	aloneLease    = 1.25  // after the last answer of Redis a write goes on without the log
	keepKeys      = time.Hour
	keepEpochs    = 1000 // that are over
)

func (b *Bus) part(share float64) time.Duration { return time.Duration(share * float64(b.Lease)) }

// membership is one stay among the members. mu guards it.
type membership struct {
	epoch     uint64
	epochText string
	id        string
	beats     uint64 // the last that was answered
	tries     uint64 // the last that was sent
	seen      uint64 // the last tick that was received
	ticks     []tick // of this membership, ascending
	sent      time.Duration
	learned   time.Duration // when the beat was sent that told who the others are, 0: none did
	told      uint64        // the log's end at that beat
	joined    uint64        // the last Join that was applied: who came then is not among the others before a beat has told
	settled   bool
	began     time.Duration // when the epoch was first seen
	lagging   time.Duration // since when the log could not be read up to its end, 0: it could
	others    map[string]*other
	acked     map[string]uint64 // the last event of this process's own log that a member has applied
	reports   map[string][]report
	met       map[string]memberState // the members when this one joined
	witness   bool
	cancel    context.CancelFunc
}

// tick is a beat that Redis executed, and when it was sent.
type tick struct {
	number uint64
	sent   time.Duration
}

// other is another member.
type other struct {
	process Process
	beat    uint64
	first   time.Duration // when this beat was first seen
	applied uint64
	// base is a moment at which the member certainly had not begun to go without the log: it had an answer of Redis after it.
	base    time.Duration
	trusted bool // there is a base
	certain bool // it knew of nobody who may have written alone; who has come since then can't know of them
	// hidden tells that PostgreSQL does not show it, and hiding since when: the answers between have no hole.
	hidden bool
	hiding time.Duration
	dead   bool // PostgreSQL did not show it while it could not have gone without the log yet
}

// run keeps this process a member until ctx ends.
func (b *Bus) run(ctx context.Context) {
	interval := b.Lease / beatsPerLease
	rest := interval
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-b.nudge:
			timer.Stop()
		}
		b.mu.Lock()
		m, closed := b.member, b.closed
		b.mu.Unlock()
		if closed {
			return
		}
		var ok bool
		if m == nil {
			ok = b.join(ctx)
			b.wakeIf(ok) // the first beat makes it known that the answer has come
		} else {
			ok = b.beat(ctx, m)
		}
		b.mu.Lock()
		again := m != nil && b.member == nil && ok
		b.mu.Unlock()
		switch {
		case again: // lost: join at once
			rest = 0
		case ok:
			rest = interval
		default:
			rest = min(max(rest, interval)*3/2, b.Lease)
		}
		timer.Reset(rest)
	}
}

func (b *Bus) wakeIf(ok bool) {
	if ok {
		b.wake()
	}
}

// call bounds one conversation with Redis.
func (b *Bus) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(b.Lease/2, b.Hang))
}

// beat renews the lease and learns of the others. It returns false when Redis has not answered.
func (b *Bus) beat(parent context.Context, m *membership) bool {
	ctx, cancel := b.call(parent)
	defer cancel()
	b.mu.Lock()
	m.tries++ // a number is never used twice: others tell by it how old a beat is
	before, this, seen := m.beats, m.tries, m.seen
	var applied invalidator.Position
	if p := b.history.position.Load(); p != nil {
		applied = *p
	}
	sent := b.clock.now()
	awaits, witness := b.vouch(sent), "0"
	if m.witness {
		witness = "1"
	}
	b.mu.Unlock()
	nonce := fmt.Sprintf("%016x", applied.Nonce)
	list, err := b.scripts.beat.Run(ctx, b.Redis, b.keys, m.epochText, m.id, before, this, applied.Seq, seen, nonce, keepKeys.Milliseconds(), awaits, witness).Slice()
	if err != nil {
		b.failed("beat", err)
		return false
	}
	s := readState(list)
	b.mu.Lock()
	if b.member != m {
		b.mu.Unlock()
		return true
	}
	if s.lost || !s.readable {
		b.lose(m, "Redis does not know this member")
		b.mu.Unlock()
		return true
	}
	if s.seq < applied.Seq || s.seq == applied.Seq && s.nonce != applied.Nonce { // its end was lost, under the same run id
		b.fork(parent, m)
		b.mu.Unlock()
		return true
	}
	b.answered()
	m.beats, m.seen, m.sent = this, s.tick, sent
	now := b.clock.now()
	if now > b.received+b.part(ownLease) { // others may have taken it for dead, and Redis have forgotten that it said so
		b.census.doubt(b.received + b.part(silentLease))
	}
	b.received = now
	b.learnLevels(&s, m.id)
	if m.ticks = append(m.ticks, tick{s.tick, sent}); len(m.ticks) > 4*beatsPerLease {
		m.ticks = m.ticks[1:]
	}
	b.mu.Unlock()
	// What the others are is known only together with all that they wrote before.
	if !b.catchUp(ctx, m, s.seq) {
		return true
	}
	b.learn(m, s, sent)
	b.declare(ctx, m)
	b.settle(ctx, m)
	return true
}

// catchUp applies the log up to an event.
func (b *Bus) catchUp(ctx context.Context, m *membership, end uint64) bool {
	for {
		p := b.history.position.Load()
		if p == nil {
			return false
		}
		if p.Seq >= end {
			b.mu.Lock()
			m.lagging = 0
			b.mu.Unlock()
			return true
		}
		entries, err := b.Redis.XRangeN(ctx, b.keys[1], "("+entryID(p.Seq), "+", readCount).Result()
		if err == nil && len(entries) == 0 {
			b.mu.Lock()
			b.lose(m, "the log's end is missing")
			b.mu.Unlock()
			return false
		}
		if err == nil {
			err = b.apply(ctx, m, entries)
		}
		if err != nil {
			b.failed("read the log", err)
			b.lags(m)
			return false
		}
	}
}

// lags notes that the log could not be read. A member that lags for too long gives up: writers wait for it in vain.
func (b *Bus) lags(m *membership) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := b.clock.now(); {
	case b.member != m:
	case m.lagging == 0:
		m.lagging = now
	case now-m.lagging > b.Lease:
		b.lose(m, "the log can't be read")
	}
}

// learn takes over what a beat told of the others.
func (b *Bus) learn(m *membership, s state, sent time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member != m {
		return
	}
	now := b.clock.now()
	m.learned, m.told = sent, s.seq
	b.witness(m, &s)
	m.settled = m.settled || s.settled
	for id := range m.others {
		if _, still := s.members[id]; !still {
			delete(m.others, id)
			delete(m.acked, id)
			delete(m.reports, id)
		}
	}
	for id, at := range s.members {
		if id == m.id {
			continue
		}
		o := m.others[id]
		if o == nil {
			o = &other{process: processOf(id), beat: at.beat, first: now}
			m.others[id] = o
		}
		if o.beat != at.beat {
			o.beat, o.first = at.beat, now
		}
		o.applied, o.certain = max(o.applied, at.applied), at.certain
		o.dead = o.dead && o.certain
		m.report(id, report{at.applied, at.nonce})
		heard := false
		for _, t := range m.ticks {
			if t.number > at.seen || at.seen == 0 {
				continue
			}
			heard = true
			if at.awaits { // who does not wait for this process may write at any time
				o.base, o.trusted = max(o.base, t.sent), true
			}
		}
		if out := b.census.outside[o.process]; out != nil && (o.trusted || heard && !b.Strict) {
			if out.missing.Epoch != m.epoch || out.missing.Seq <= s.seq { // what is applied may be newer than this state
				delete(b.census.outside, o.process)
			}
		}
	}
	for _, t := range b.own {
		t.prune(m, s.members, sent)
	}
	b.census.beats++
	b.confirm(m)
	b.evaluate()
	b.broadcast()
}

// evaluate computes until when this process is Live. The caller holds mu.
func (b *Bus) evaluate() {
	m := b.member
	if m == nil || !b.Strict || b.closed || m.learned == 0 || m.told < m.joined || !m.settled || b.cluster > 0 || len(b.census.outside) > 0 {
		b.live.clear()
		return
	}
	end := m.sent + b.part(ownLease)
	for _, o := range m.others {
		switch {
		case b.elsewhere(o):
			b.live.clear()
			return
		case o.dead:
		case !o.trusted || !o.certain:
			b.live.clear()
			return
		default:
			end = min(end, o.base+b.part(trustLease))
		}
	}
	if b.Census != nil {
		if !b.census.watched || b.clock.now() < b.census.watching+b.part(aloneLease) {
			b.live.clear()
			return
		}
		end = min(end, b.census.looked+b.part(trustLease))
	}
	b.live.set(&b.clock, end)
}

// declare tells the fleet which members are silent.
func (b *Bus) declare(ctx context.Context, m *membership) {
	type silent struct {
		id   string
		beat uint64
	}
	var list []silent
	b.mu.Lock()
	now := b.clock.now()
	for id, o := range m.others {
		if now > o.first+b.part(silentLease) {
			list = append(list, silent{id, o.beat})
		}
	}
	b.mu.Unlock()
	for _, it := range list {
		missing := event{kind: kindMissing, process: processOf(it.id)}
		err := b.scripts.missing.Run(ctx, b.Redis, b.keys, m.epochText, m.id, random(), b.LogLength, it.id, it.beat, missing.encode()).Err()
		if err != nil {
			b.failed("declare a member missing", err)
			return
		}
		b.wake()
	}
}

// settle tells the fleet that no member of an epoch before can be Live any more.
func (b *Bus) settle(ctx context.Context, m *membership) {
	b.mu.Lock()
	due := !m.settled && b.clock.now() > m.began+b.part(silentLease)
	b.mu.Unlock()
	if !due {
		return
	}
	if err := b.scripts.settle.Run(ctx, b.Redis, b.keys, m.epochText).Err(); err != nil {
		b.failed("settle the epoch", err)
		return
	}
	b.wake()
}

// lose ends a membership. The caller holds mu.
func (b *Bus) lose(m *membership, why string) {
	if b.member != m {
		return
	}
	b.live.clear()
	if p := b.history.position.Load(); p != nil {
		b.reached = *p
	}
	b.history.forget()
	b.member = nil
	m.cancel()
	for _, q := range b.queue {
		b.drop(q)
	}
	b.queue = nil
	if !b.closed {
		b.counts.lost.Add(1)
		b.Logger.Warn("this process is no member of the fleet for the moment", "reason", why)
	}
	b.broadcast()
	b.wake()
}

// failed notes that Redis did not do what it was asked.
func (b *Bus) failed(what string, err error) {
	b.counts.failures.Add(1)
	if !b.down.Swap(true) {
		b.Logger.Warn("Redis fails", "doing", what, "error", err)
	}
}

// answered notes that Redis works.
func (b *Bus) answered() {
	if b.down.Swap(false) {
		b.Logger.Info("Redis answers again")
	}
}

func entryID(seq uint64) string { return strconv.FormatUint(seq, 10) + "-0" }
