package bus

import (
	"context"
	"time"
)

// Orphans are the fences of processes that are no members any more.

// orphans returns the fences of others that Redis does not know of: it has lost the log, and who is not there to announce them may be dead. Members that
// come later have to know of the writes. The caller holds mu.
func (b *Bus) orphans(epoch uint64) (list []*queued) {
	for name, r := range b.remote {
		if r.epoch == epoch {
			continue
		}
		r.epoch = epoch
		e := event{kind: kindFence, process: name.process, number: name.number, tags: r.tags}
		list = append(list, &queued{event: &e, up: name.String(), done: make(chan struct{})})
	}
	return list
}

// opened are the transactions that were open at some time.
type opened struct {
	ask func(context.Context) (bool, error) // nil: nobody has noted them yet
}

// over tells whether those are over that were open when it was first called, and had been for less than a time, 0 being any.
func (o *opened) over(ctx context.Context, c Census, within time.Duration) (over bool, err error) {
	if o.ask == nil {
		if o.ask, err = c.Open(ctx, within); err != nil {
			return false, err
		}
	}
	return o.ask(ctx)
}

// askForOrphans ends the fences of processes that are no members any more, once their backends are gone.
func (b *Bus) askForOrphans(ctx context.Context) {
	orphans := make(map[token]*remoteFence)
	b.mu.Lock()
	if b.member != nil {
		for name, r := range b.remote {
			switch {
			case b.memberOf(name.process) != nil:
				r.open = opened{} // what it has open later is what it may leave behind
			// A list of members that is older than the fence does not tell that its owner is none.
			case !r.asked && b.member.learned > r.at:
				orphans[name] = r
			}
		}
	}
	b.mu.Unlock()
	for name, r := range orphans {
		if gone, err := b.gone(ctx, r); err != nil || !gone {
			continue
		}
		b.mu.Lock()
		_, outside := b.census.outside[name.process]
		if b.remote[name] == r && b.member != nil && b.memberOf(name.process) == nil && (r.tags.Backend != 0 || !outside) {
			r.asked = true
			b.enqueue(&queued{event: &event{kind: kindChanged, process: name.process, number: name.number, tags: r.tags}, down: name.String(), done: make(chan struct{})})
		}
		b.mu.Unlock()
	}
}

// gone tells whether what a process that is no member sent under a fence is over. Where nobody knows the backend all transactions have to be.
func (b *Bus) gone(parent context.Context, r *remoteFence) (bool, error) {
	ctx, cancel := b.call(parent)
	defer cancel()
	switch {
	case r.tags.Backend != 0:
		return b.Census.BackendGone(ctx, r.tags.Database, r.tags.Backend, r.since)
	case r.tags.Flush != nil: // nothing was sent
		return true, nil
	}
	return r.open.over(ctx, b.Census, 0)
}
