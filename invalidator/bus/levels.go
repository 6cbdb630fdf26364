package bus

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// levels is what this process knows of who is strict. mu guards it.
type levels struct {
	strict bool // another member is, as far as Redis told last
	// until is when nobody trusts this process any more because of a beat that said that its writes wait.
	until time.Duration
}

// mustAwait tells whether a write has to wait for the others though this process has no need of it. It need not when nobody can be Live: no
// strict member trusts a process that does not say that it waits, as long as that process is a member, or shows in PostgreSQL. The caller
// holds mu.
func (b *Bus) mustAwait(now time.Duration) bool {
	if b.Strict || b.levels.strict || now < b.levels.until {
		return true
	}
	if c := &b.census; b.Census != nil && c.lasting(b.part(aloneLease)) && now < c.shown+b.part(trustLease) &&
		(b.levels.until == 0 || c.shown >= b.levels.until-b.part(aloneLease-silentLease)) { // later than any look that lets others take it for dead
		return false
	}
	return b.member == nil || now >= b.member.sent+b.part(ownLease) || b.Census != nil && !b.census.known
}

// vouch returns what a beat that is sent now says: "1" if all writes of this process wait from now on, and those that did not are in the log; "2" if
// it also knows of nobody who may have written alone. The caller holds mu.
func (b *Bus) vouch(sent time.Duration) string {
	if !b.Strict && !b.levels.strict {
		return "0"
	}
	for _, t := range b.own {
		if !t.awaited && t.membership != b.member {
			return "0"
		}
	}
	if slices.ContainsFunc(b.queue, func(q *queued) bool { return q.token != nil && !q.token.awaited }) {
		return "0"
	}
	b.levels.until = sent + b.part(aloneLease)
	if b.doubts(sent) {
		return "1"
	}
	return "2"
}

// learnLevels takes over who is strict. The caller holds mu.
func (b *Bus) learnLevels(s *state, own string) {
	strict := slices.ContainsFunc(s.strict, func(id string) bool { return id != own })
	if strict && !b.levels.strict && !b.Strict {
		b.Logger.Info("another member of the fleet has strict rules: the writes of this one wait for it")
		b.wake()
	}
	if b.levels.strict && !strict { // who was may be Live until its lease is over, in an epoch before
		b.levels.until = max(b.levels.until, b.clock.now()+b.part(aloneLease))
	}
	b.levels.strict = strict
}

// stranger is a fleet that this process can't join, since its lease is another one.
type stranger struct {
	epoch, tick, lease string
	since              time.Duration // when the tick was first seen
}

// meet notes the lease of the fleet. One that nobody beats in any more has no members and makes room.
func (b *Bus) meet(ctx context.Context, list []any, now time.Duration) {
	text := func(i int) string { s, _ := list[i].(string); return s }
	met := stranger{lease: text(1), epoch: text(2), tick: text(3), since: now}
	milliseconds, _ := strconv.ParseInt(met.lease, 10, 64)
	theirs := time.Duration(milliseconds) * time.Millisecond
	b.mu.Lock()
	before := b.stranger
	if before.epoch == met.epoch && before.tick == met.tick {
		met.since = before.since
	}
	b.stranger = met
	b.mu.Unlock()
	if before.lease != met.lease || before.epoch != met.epoch {
		b.Logger.Error("this process can't join the fleet: its lease is another one than that of the members. Nothing is answered out of a cache under strict until all have the same",
			"own", b.Lease, "fleet", theirs)
	}
	if now-met.since <= time.Duration(silentLease*float64(max(b.Lease, theirs))) {
		return
	}
	if err := b.scripts.reset.Run(ctx, b.Redis, b.keys, met.epoch).Err(); err != nil {
		b.failed("begin a new epoch", err)
		return
	}
	b.wake()
}

// AwaitStart returns when the start is over: a strict process is Live, the writes of another one need not wait any more because it is new. False when
// the context has ended before.
func (b *Bus) AwaitStart(ctx context.Context) bool {
	if b.Strict {
		return b.AwaitLive(ctx)
	}
	for {
		b.mu.Lock()
		over, changed := b.Census == nil || b.census.known, b.changed
		b.mu.Unlock()
		if over {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
