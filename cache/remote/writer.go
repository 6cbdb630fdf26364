package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// Put implements [cache.Remote]: it queues the write and returns. The value must never be changed afterwards. An error
// says that the write was dropped; without one it may still be, later, and then only Stats tells.
func (g *Guard) Put(_ context.Context, name string, value []byte, ttl time.Duration) error {
	if err := g.breaker.refuses(); err != nil {
		return err
	}
	if ttl < time.Millisecond {
		return fmt.Errorf("put: %w: its lifetime is %v", cache.ErrValueRefused, ttl)
	}
	if g.refusing() {
		g.queue.count(cache.DroppedRefused)
		return cache.ErrWritesRefused
	}
	return g.queue.put(queued{cache.Write{Name: name, Value: value}, time.Now().Add(ttl)})
}

// Delete implements [cache.Remote]: it queues behind the writes before it. Nothing that must not be served may
// rely on it.
func (g *Guard) Delete(_ context.Context, names ...string) error {
	if err := g.breaker.refuses(); err != nil {
		return err
	}
	var err error
	for _, name := range names {
		err = errors.Join(err, g.queue.put(queued{cache.Write{Name: name, Delete: true}, time.Time{}}))
	}
	return err
}

// Drain returns when no write waits or is under way.
func (g *Guard) Drain(ctx context.Context) error { return await(ctx, g.queue.emptied()) }

// write is the one goroutine that writes.
func (g *Guard) write() {
	batch := make([]cache.Write, 0, g.options.BatchWrites)
	for {
		select {
		case <-g.queue.wake:
		case <-g.ctx.Done():
			return
		}
		for {
			switch {
			case g.breaker.refuses() != nil:
				g.queue.clear(cache.DroppedOpen)
			case g.refusing():
				g.queue.clear(cache.DroppedRefused)
			}
			var bytes int64
			batch, bytes = g.queue.take(batch[:0], g.options.BatchWrites, g.options.BatchBytes)
			if len(batch) == 0 {
				break
			}
			batch = g.writeBatch(batch, bytes)
		}
	}
}

// writeBatch writes and returns a slice for the next batch.
func (g *Guard) writeBatch(batch []cache.Write, bytes int64) []cache.Write {
	bound := g.options.Hang + time.Duration(float64(bytes)/float64(g.options.WriteRate)*float64(time.Second))
	_, err := call(g.ctx, g, bound, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.backend.Apply(ctx, batch) })
	switch {
	case err == nil:
		g.queue.done("", 0)
		clear(batch) // frees the values
		return batch
	case errors.Is(err, cache.ErrWritesRefused):
		g.refusedUntil.Store(cache.Monotonic() + int64(g.options.RefusedPause))
		g.queue.done(cache.DroppedRefused, len(batch))
	case errors.Is(err, cache.ErrValueRefused):
		g.queue.done(cache.DroppedLarge, 1)
	default:
		g.queue.done(cache.DroppedOpen, len(batch))
	}
	// The call may still be under way and read the batch.
	return make([]cache.Write, 0, g.options.BatchWrites)
}

// refusing tells whether the store refused writes a moment ago.
func (g *Guard) refusing() bool {
	until := g.refusedUntil.Load()
	return until != 0 && cache.Monotonic() < until
}
