package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/redis/go-redis/v9"
)

// ackLength is about how many acknowledgements Redis keeps for each writer; those that are lost are in the members' beats, too.
const ackLength = 1000

var errNoMember = errors.New("no member any more")

// runReader applies the log as it grows, and takes what others acknowledge.
func (b *Bus) runReader(ctx context.Context, m *membership) {
	block := min(max(b.Lease/2, 10*time.Millisecond), time.Second/2) // Leave has to wait for it
	acks, heard := b.ackKey(b.process), "0-0"
	for ctx.Err() == nil {
		p := b.history.position.Load()
		if p == nil {
			return
		}
		reading, cancel := context.WithTimeout(ctx, block+b.Lease)
		streams, err := b.Redis.XRead(reading, &redis.XReadArgs{
			Streams: []string{b.keys[1], acks, entryID(p.Seq), heard}, Count: readCount, Block: block,
		}).Result()
		cancel()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			if ctx.Err() == nil {
				b.failed("read the log", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(b.Lease / beatsPerLease):
			}
			continue
		}
		for _, stream := range streams {
			if stream.Stream == acks {
				heard = stream.Messages[len(stream.Messages)-1].ID
				b.acknowledged(m, stream.Messages)
				continue
			}
			if err := b.apply(ctx, m, stream.Messages); err != nil {
				if errors.Is(err, errNoMember) {
					return
				}
				b.failed("acknowledge", err)
			}
		}
	}
}

func (b *Bus) ackKey(p Process) string {
	return "pgrecall:{" + b.Namespace + "}:acks:" + fmt.Sprintf("%08x", uint32(p))
}

// apply applies entries that follow each other, and tells those who wait for it. The error is Redis's: what was read is applied nevertheless.
func (b *Bus) apply(ctx context.Context, m *membership, entries []redis.XMessage) error {
	waiting := map[Process]bool{}
	b.mu.Lock()
	for _, entry := range entries {
		if b.member != m {
			break
		}
		if !b.applyEntry(ctx, m, entry, waiting) {
			break
		}
	}
	if b.member != m {
		b.mu.Unlock()
		return errNoMember
	}
	p := *b.history.position.Load()
	b.confirm(m)
	b.broadcast()
	b.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	ctx, cancel := b.call(ctx)
	defer cancel()
	pipe := b.Redis.Pipeline()
	for process := range waiting {
		key := b.ackKey(process)
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: ackLength, Approx: true, Values: []any{"e", m.epochText, "m", m.id, "s", p.Seq, "n", fmt.Sprintf("%016x", p.Nonce)}})
		pipe.PExpire(ctx, key, keepKeys)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// applyEntry applies one entry if it is the next. It returns false when that can't be told; the membership is over then. The caller holds mu.
func (b *Bus) applyEntry(ctx context.Context, m *membership, entry redis.XMessage, waiting map[Process]bool) bool {
	p := b.history.position.Load()
	seq, nonce, previous, e, err := readEntry(entry)
	if err != nil {
		b.lose(m, err.Error())
		return false
	}
	known, isKnown := b.history.nonce(seq)
	switch {
	case seq <= p.Seq && isKnown && known != nonce, seq == p.Seq+1 && previous != p.Nonce:
		b.fork(ctx, m)
		return false
	case seq <= p.Seq:
		return true
	case seq > p.Seq+1:
		b.counts.gaps.Add(1)
		b.lose(m, "the log was trimmed before it was read")
		return false
	}
	b.effect(m, seq, &e)
	if b.member != m {
		return false
	}
	if e.awaited && e.process != b.process {
		waiting[e.process] = true
	}
	b.history.touch(seq, b.reach(&e))
	next := invalidator.Position{Epoch: m.epoch, Seq: seq, Nonce: nonce}
	b.history.record(next)
	b.history.publish(next)
	if e.process == b.process && e.kind != kindFence {
		b.applied(e.number)
	}
	b.counts.applied.Add(1)
	return true
}

// fork ends the epoch: events that were acknowledged are gone and others have their numbers. The caller holds mu.
func (b *Bus) fork(ctx context.Context, m *membership) {
	b.counts.forks.Add(1)
	b.lose(m, "the log has a fork")
	b.work.Go(func() {
		ctx, cancel := b.call(context.WithoutCancel(ctx))
		defer cancel()
		if err := b.scripts.reset.Run(ctx, b.Redis, b.keys, m.epochText).Err(); err != nil {
			b.failed("begin a new epoch", err)
		}
	})
}

// applied notes that an event of this process was read that ends a change. The caller holds mu.
func (b *Bus) applied(number uint64) {
	if r, pending := b.pending[number]; pending {
		delete(b.pending, number)
		b.history.pend(r, -1)
	}
}

// reach returns what an event touches.
func (b *Bus) reach(e *event) reach {
	switch e.kind {
	case kindAll:
		return reach{everything: true}
	case kindFence, kindChanged, kindBump:
		slots := b.slots(e.tags)
		return reach{e.tags.Cluster || e.tags.Flush != nil && len(slots) == 0, slots}
	case kindUnchanged, kindJoin, kindLeave, kindMissing:
	}
	return reach{}
}

// slots returns those of tags; of the cluster only what belongs to the tags' own database.
func (b *Bus) slots(t Tags) []invalidator.Slot {
	if t.Flush != nil {
		return t.Flush.slots(b.Slots, t.Database)
	}
	slots := make([]invalidator.Slot, 0, len(t.Relations)+2)
	if t.Whole || t.Definition || t.Cluster || t.Settings {
		slots = append(slots, b.Slots.Database(t.Database))
	}
	if t.Definition || t.Cluster {
		slots = append(slots, b.Slots.Definitions(t.Database))
	}
	for _, oid := range t.Relations {
		slots = append(slots, b.Slots.Relation(t.Database, oid))
	}
	return slots
}

// effect does what the event with this number asks for. The effects of this process's own writes are there already. The caller holds mu.
func (b *Bus) effect(m *membership, seq uint64, e *event) {
	own := e.process == b.process
	name := token{e.process, e.number}
	switch e.kind {
	case kindFence:
		switch _, pending := b.pending[e.number]; {
		case own && b.own[e.number] == nil && !pending:
			// Its end has been read: Redis took up a call late that had been given up and made again.
			b.enqueue(&queued{event: &event{kind: kindChanged, process: e.process, number: e.number, tags: e.tags}, down: name.String(), done: make(chan struct{})})
		case own:
		case b.remote[name] == nil:
			b.raise(m.epoch, name, e)
		default:
			b.remote[name].epoch = m.epoch
		}
	case kindChanged, kindUnchanged:
		switch {
		case own:
		case b.remote[name] != nil:
			b.lower(name, e.kind == kindChanged)
		case e.kind == kindChanged:
			b.bump(e.tags)
		}
	case kindBump:
		if !own {
			b.bump(e.tags)
		}
	case kindAll:
		b.Applier.Everything()
		b.counts.everything.Add(1)
		if !own {
			b.Applier.Invalidated(Tags{Cluster: true})
		}
	case kindLeave:
		b.census.left[e.process] = struct{}{}
		delete(b.census.outside, e.process) // fences that it left up are ended as those of the dead
	case kindMissing:
		b.counts.missing.Add(1)
		if own {
			b.lose(m, "the others declared this member missing")
			return
		}
		b.missing(m, invalidator.Position{Epoch: m.epoch, Seq: seq}, e.process)
	case kindJoin:
		for name, r := range b.remote {
			if name.process == e.process && r.epoch != m.epoch { // it has just announced all that are up
				b.lower(name, true)
			}
		}
		m.joined = seq
		b.live.clear()
		b.wake() // to get to know it
	}
}

// raise puts up the fence of another process. The caller holds mu.
func (b *Bus) raise(epoch uint64, name token, e *event) {
	t := &e.tags
	r := &remoteFence{epoch: epoch, fence: &invalidator.Fence{Whole: t.Whole, MayDefine: t.Whole, Definition: t.Definition, Cluster: t.Cluster}, tags: e.tags, since: time.Now(), at: b.clock.now()}
	r.fence.Add(b.Slots, b.slots(e.tags)...)
	r.fence.Raise(b.Slots, b.Slots.Database(e.tags.Database))
	b.remote[name] = r
	if e.tags.Flush != nil {
		b.Applier.Flushed(e.tags)
	}
	if e.tags.Cluster {
		b.cluster++
		b.live.clear()
	}
}

// lower takes the fence of another process down. The caller holds mu.
func (b *Bus) lower(name token, changed bool) {
	r := b.remote[name]
	delete(b.remote, name)
	if changed {
		b.tell(r.tags)
	}
	r.fence.Release(b.Slots, changed)
	if changed {
		b.Applier.Invalidated(r.tags)
	}
	if r.tags.Cluster {
		b.cluster--
		b.evaluate()
	}
}

// bump invalidates what other processes changed. The caller holds mu.
func (b *Bus) bump(t Tags) {
	b.tell(t)
	switch {
	case t.Cluster:
		b.Slots.WidenAll()
	case t.Definition || t.Whole:
		b.Slots.Widen(b.Slots.Database(t.Database))
	}
	for _, slot := range b.slots(t) {
		b.Slots.Bump(slot)
	}
	b.Applier.Invalidated(t)
}

// tell lets the applier do what is not done by slots. The caller holds mu.
func (b *Bus) tell(t Tags) {
	if t.Flush != nil {
		b.Applier.Flushed(t)
		return
	}
	if t.Definition || t.Cluster || t.Settings {
		b.Applier.Changed(t)
	}
	if t.Cluster {
		b.Applier.Everything()
		b.counts.everything.Add(1)
	}
}
