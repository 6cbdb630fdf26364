package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// Guard is a [cache.Remote] around another one. While the store is down Get and Put cost one atomic load. Put and Delete
// only queue: Drain waits for them. It begins closed to callers until a first probe, sent at once, has been answered:
// nobody waits for a first connection.
type Guard struct {
	backend cache.Backend
	options Options
	breaker breaker
	queue   queue

	ctx    context.Context // of all calls; ends at Close
	cancel context.CancelCauseFunc
	owned  sync.WaitGroup // the writer and the prober

	running             atomic.Int64 // calls under way
	refusedUntil        atomic.Int64 // writes are, in nanoseconds of cache.Monotonic
	hangs, busy, errors atomic.Uint64
}

// New returns a Guard that owns the backend and closes it.
func New(backend cache.Backend, options Options) *Guard {
	g := &Guard{backend: backend, options: options.withDefaults()}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	g.queue.init(g.options.QueueBytes)
	g.breaker.init(g.options.MinBackoff, g.options.MaxBackoff)
	g.owned.Go(g.write)
	g.owned.Go(g.probe)
	return g
}

// Up tells whether the store is being asked, for the price of an atomic load: callers need not make a name otherwise.
func (g *Guard) Up() bool { return g.breaker.refuses() == nil }

// WaitUp returns when the store is being asked.
func (g *Guard) WaitUp(ctx context.Context) error {
	select {
	case <-g.breaker.isUp():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the store: %w (%s)", context.Cause(ctx), g.breaker.lastError())
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	}
}

// Get implements [cache.Remote]. It returns ErrRemoteOpen at once while the store is down, and takes no longer than
// Options.Hang.
func (g *Guard) Get(ctx context.Context, names ...string) ([]cache.Value, error) {
	if err := g.breaker.refuses(); err != nil {
		return nil, err
	}
	return call(ctx, g, g.options.Hang, func(ctx context.Context) ([]cache.Value, error) {
		return g.backend.Get(ctx, names...)
	})
}

// Claim implements [cache.Remote], as quick to fail as Get.
func (g *Guard) Claim(ctx context.Context, name string, ttl time.Duration) (bool, error) {
	if err := g.breaker.refuses(); err != nil {
		return false, err
	}
	return call(ctx, g, g.options.Hang, func(ctx context.Context) (bool, error) {
		return g.backend.Claim(ctx, name, ttl)
	})
}

// Ping implements [cache.Remote]: it asks the store, open or not, and returns after Options.ProbeTimeout at the latest.
func (g *Guard) Ping(ctx context.Context) error {
	if err := g.breaker.refuses(); errors.Is(err, cache.ErrRemoteClosed) {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.options.ProbeTimeout, errHang)
	defer cancel()
	_, err := detached(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.backend.Ping(ctx) })
	return err
}

// Flush implements [cache.Remote]. It drops the writes with the prefix that wait, lets the batch under way end, and then takes the
// time that the store needs: only the caller's context bounds it.
func (g *Guard) Flush(ctx context.Context, prefix string) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if err := g.breaker.refuses(); err != nil {
		return 0, fmt.Errorf("%w (%s)", err, g.breaker.lastError())
	}
	if err := g.queue.drop(ctx, prefix); err != nil {
		return 0, err
	}
	return detached(ctx, g, func(ctx context.Context) (int, error) { return g.backend.Flush(ctx, prefix) })
}

// Stats implements [cache.Remote].
func (g *Guard) Stats() cache.RemoteStats {
	s := g.backend.Stats()
	s.Up = g.Up()
	s.Hangs, s.Busy = g.hangs.Load(), g.busy.Load()
	s.Errors = g.errors.Load() + s.Hangs
	g.breaker.stats(&s)
	g.queue.stats(&s)
	return s
}

// closeTimeout is how long Close waits for a store that does not even close.
const closeTimeout = time.Second

// Close implements [cache.Remote]: what is queued is dropped; call Drain before to have it written.
func (g *Guard) Close() error {
	g.cancel(cache.ErrRemoteClosed)
	g.breaker.shut()
	g.queue.close()
	done := make(chan error, 1)
	go func() {
		err := g.backend.Close()
		g.owned.Wait()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return errors.New("the store did not close in time")
	}
}
