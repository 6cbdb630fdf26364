package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// groupLength is how many events one script call appends at most.
const groupLength = 256

// queued is an event that waits for its place in the log.
type queued struct {
	event    *event
	up, down string        // the token that it puts up or takes down
	token    *Token        // of this process, nil: of none
	seq      uint64        // its place, 0: none
	done     chan struct{} // closed when the event is in the log, or given up
}

var errLost = errors.New("redis does not know this member")

// enqueue hands an event over. The caller holds mu and has seen that there is a membership.
func (b *Bus) enqueue(q *queued) {
	b.queue = append(b.queue, q)
	signal(b.queued)
}

// drop gives an event up because the membership is over. What it said is said when the process joins again: its fences one by one, and
// everything else by invalidating everything. The caller holds mu.
func (b *Bus) drop(q *queued) {
	close(q.done)
	switch q.event.kind {
	case kindFence:
		if r := b.remote[token{q.event.process, q.event.number}]; r != nil && q.token == nil { // of another process: it is announced again
			r.epoch = 0
		}
	case kindChanged, kindUnchanged:
		if r := b.remote[token{q.event.process, q.event.number}]; r != nil { // of another process: it is asked for again
			r.asked = false
		}
		if q.token != nil {
			b.isolations++
		}
	default:
		b.isolations++
	}
}

// runAppends sends what is queued. Events that come while a call is under way go together with the next.
func (b *Bus) runAppends(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.queued:
		}
		for b.appendGroup(ctx) {
		}
	}
}

// appendGroup appends what is queued; false when there is nothing more to do.
func (b *Bus) appendGroup(ctx context.Context) bool {
	b.mu.Lock()
	m := b.member
	before := b.history.position.Load()
	group := b.queue[:min(len(b.queue), groupLength):min(len(b.queue), groupLength)]
	b.mu.Unlock()
	if m == nil || before == nil || len(group) == 0 || ctx.Err() != nil {
		return false
	}
	err := b.send(ctx, m, group, before.Seq)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.member != m: // the queue was dropped
		return true
	case errors.Is(err, errLost):
		b.lose(m, err.Error())
		return false
	case err != nil:
		b.failed("append", err)
		time.AfterFunc(b.Lease/beatsPerLease, func() { signal(b.queued) })
		return false
	}
	b.answered()
	for _, q := range group {
		close(q.done)
	}
	b.queue = b.queue[len(group):]
	b.broadcast()
	return true
}

// send appends events in one step and notes where the fences among them are. A second try appends them twice, which costs hits only: fences have
// names. Applied is a number of the log that this process has seen: what comes now has to come after it.
func (b *Bus) send(parent context.Context, m *membership, group []*queued, applied uint64) error {
	ctx, cancel := b.call(parent)
	defer cancel()
	arguments := make([]any, 0, 4+3*len(group))
	arguments = append(arguments, m.epochText, m.id, random(), b.LogLength)
	for _, q := range group {
		arguments = append(arguments, q.up, q.down, q.event.encode())
	}
	reply, err := b.scripts.append.Run(ctx, b.Redis, b.keys, arguments...).Slice()
	if err != nil {
		return err
	}
	if len(reply) != 4 {
		return errLost
	}
	first, ok := reply[1].(int64)
	strict, isText := reply[2].(string)
	list, areTexts := reply[3].(string)
	nonces, err := readNonces(list)
	if err != nil || !ok || !isText || !areTexts || len(nonces) != len(group) {
		return fmt.Errorf("append: %v: %w", reply, errors.Join(err))
	}
	at := b.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member != m {
		return nil
	}
	if uint64(first) <= applied {
		b.fork(parent, m)
		return nil
	}
	members := strings.Fields(strict)
	for i, q := range group {
		q.seq = uint64(first) + uint64(i)
		if q.event.kind == kindFence && q.token != nil {
			q.token.appended(m, q.seq, nonces[i], members, at)
		}
	}
	b.confirm(m) // all may have been read before this answer
	b.counts.appended.Add(uint64(len(group)))
	return nil
}

// readNonces reads a list of nonces.
func readNonces(list string) ([]uint64, error) {
	texts := strings.Fields(list)
	nonces := make([]uint64, len(texts))
	for i, text := range texts {
		var err error
		if nonces[i], err = strconv.ParseUint(text, 16, 64); err != nil {
			return nil, fmt.Errorf("nonce %q: %w", text, err)
		}
	}
	return nonces, nil
}
