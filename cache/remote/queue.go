package remote

import (
	"context"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// writeOverhead is what a write takes in the queue beside its name and value, in bytes.
const writeOverhead = 96

// queued is a write that waits.
type queued struct {
	cache.Write
	until time.Time // end of its lifetime
}

func (w *queued) size() int64 { return int64(len(w.Name)) + int64(len(w.Value)) + writeOverhead }

// queue holds the writes that wait, oldest first, bounded in bytes.
type queue struct {
	limit int64
	wake  chan struct{} // holds a token when there is something to write

	mu      sync.Mutex
	closed  bool
	writes  []queued // those before first are gone
	first   int
	bytes   int64
	busy    chan struct{}     // closed when the batch under way is done; nil without one
	empty   chan struct{}     // closed when nothing waits or is under way; nil while that is so
	dropped map[string]uint64 // by reason
}

func (q *queue) init(limit int64) {
	q.limit = limit
	q.wake = make(chan struct{}, 1)
	q.dropped = map[string]uint64{}
}

// put appends a write. When there is no room the oldest leave: of two results the older is more likely stale.
func (q *queue) put(w queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return cache.ErrRemoteClosed
	}
	size := w.size()
	if size > q.limit {
		q.dropped[cache.DroppedLarge]++
		return cache.ErrValueRefused
	}
	for q.bytes+size > q.limit {
		q.shift()
		q.dropped[cache.DroppedFull]++
	}
	q.writes = append(q.writes, w)
	q.bytes += size
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
	return nil
}

// shift removes the oldest; there must be one.
func (q *queue) shift() queued {
	w := q.writes[q.first]
	q.writes[q.first] = queued{} // frees the value
	q.first++
	q.bytes -= w.size()
	if q.first == len(q.writes) {
		q.writes, q.first = q.writes[:0], 0
	} else if q.first > 1024 && q.first > len(q.writes)/2 {
		n := copy(q.writes, q.writes[q.first:])
		clear(q.writes[n:])
		q.writes, q.first = q.writes[:n], 0
	}
	return w
}

// take moves the oldest writes to batch, at most so many, and begins a batch unless there are none. Lifetimes are those
// that remain now.
func (q *queue) take(batch []cache.Write, most int, mostBytes int64) (taken []cache.Write, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for len(batch) < most && q.first < len(q.writes) {
		if size := q.writes[q.first].size(); len(batch) > 0 && bytes+size > mostBytes {
			break
		}
		w := q.shift()
		if !w.Delete {
			if w.TTL = w.until.Sub(now); w.TTL < time.Millisecond {
				q.dropped[cache.DroppedExpired]++
				continue
			}
		}
		batch = append(batch, w.Write)
		bytes += w.size()
	}
	if len(batch) > 0 {
		q.busy = make(chan struct{})
	}
	q.settle()
	return batch, bytes
}

// done ends a batch, of which so many writes were dropped for a reason.
func (q *queue) done(reason string, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if dropped > 0 {
		q.dropped[reason] += uint64(dropped)
	}
	close(q.busy)
	q.busy = nil
	q.settle()
}

// settle tells those who wait for it that nothing waits or is under way. The lock is held.
func (q *queue) settle() {
	if q.empty != nil && q.busy == nil && q.first == len(q.writes) {
		close(q.empty)
		q.empty = nil
	}
}

// emptied returns what is closed when nothing waits or is under way, nil when that is so.
func (q *queue) emptied() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.empty
}

// clear drops all writes that wait.
func (q *queue) clear(reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeAll(reason)
}

// removeAll drops all writes that wait. The lock is held.
func (q *queue) removeAll(reason string) {
	if n := len(q.writes) - q.first; n > 0 {
		q.dropped[reason] += uint64(n)
	}
	q.writes, q.first, q.bytes = nil, 0, 0
	q.settle()
}

// count counts a write that was not even queued.
func (q *queue) count(reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped[reason]++
}

// drop removes the writes with the prefix, and returns when the batch under way is done.
func (q *queue) drop(ctx context.Context, prefix string) error {
	q.mu.Lock()
	var kept []queued
	var bytes int64
	for _, w := range q.writes[q.first:] {
		if cache.HasRemotePrefix(w.Name, prefix) {
			q.dropped[cache.DroppedFlushed]++
			continue
		}
		kept = append(kept, w)
		bytes += w.size()
	}
	q.writes, q.first, q.bytes = kept, 0, bytes
	q.settle()
	busy := q.busy
	q.mu.Unlock()
	return await(ctx, busy)
}

// await returns when the channel is closed; a nil channel has nothing to wait for.
func await(ctx context.Context, busy <-chan struct{}) error {
	if busy == nil {
		return nil
	}
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.removeAll(cache.DroppedClosed)
}

func (q *queue) stats(s *cache.RemoteStats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Queued, s.QueuedBytes, s.QueueLimit = len(q.writes)-q.first, q.bytes, q.limit
	s.Dropped = make(map[string]uint64, len(q.dropped))
	for reason, n := range q.dropped {
		s.Dropped[reason] = n
	}
}
