package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// errHang is the cause of a context that ended at a bound.
var errHang = fmt.Errorf("the store hangs: %w", context.DeadlineExceeded)

// hang says how long the store did not answer.
func hang(bound time.Duration) error { return fmt.Errorf("no answer within %v: %w", bound, errHang) }

// call runs f, on the store, and returns when it has returned, or at the bound at the latest: then the store is down. A caller
// whose own context ends earlier is told so, and says nothing of the store.
func call[T any](ctx context.Context, g *Guard, bound time.Duration, f func(context.Context) (T, error)) (result T, err error) {
	inner, cancel := context.WithTimeoutCause(ctx, bound, errHang)
	defer cancel()
	if !g.backend.Prompt() {
		result, err = detached(inner, g, f)
		return result, g.judge(inner, bound, err)
	}
	if !g.begin() {
		return result, cache.ErrRemoteBusy
	}
	defer g.running.Add(-1)
	// A goroutine of its own for each call would double the latency of a hit. Should the store's client not keep its
	// promise, then at least nobody else goes there.
	watchdog := time.AfterFunc(bound, func() { g.breaker.trip(hang(bound)) })
	result, err = f(inner)
	watchdog.Stop()
	return result, g.judge(inner, bound, err)
}

// detached runs f and returns when it has returned, or when the context is done: f goes on alone then, and what it returns
// is dropped.
func detached[T any](ctx context.Context, g *Guard, f func(context.Context) (T, error)) (result T, err error) {
	if err := context.Cause(ctx); err != nil {
		return result, err
	}
	if !g.begin() {
		return result, cache.ErrRemoteBusy
	}
	type reply struct {
		result T
		err    error
	}
	done := make(chan reply, 1)
	go func() {
		defer g.running.Add(-1)
		result, err := f(ctx)
		done <- reply{result, err}
	}()
	select {
	case r := <-done:
		return r.result, r.err
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

// begin counts a call, unless there are too many.
func (g *Guard) begin() bool {
	if g.running.Add(1) <= int64(g.options.Running) {
		return true
	}
	g.running.Add(-1)
	g.busy.Add(1)
	return false
}

// judge opens the breaker when a call's error says that the store is not fit to be asked, and returns the error for the caller.
func (g *Guard) judge(inner context.Context, bound time.Duration, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-inner.Done() // the socket's timer was a moment ahead of the context's, which knows whose bound it was
	}
	switch cause := context.Cause(inner); {
	case err == nil || errors.Is(err, cache.ErrRemoteBusy) || g.ctx.Err() != nil:
		return err
	case errors.Is(cause, errHang):
		g.hangs.Add(1)
		g.breaker.trip(hang(bound)) // what the store's client says of its own timeout tells less
		return fmt.Errorf("%w: %w", cache.ErrRemoteOpen, hang(bound))
	case cause != nil:
		return err // the caller had enough
	}
	g.errors.Add(1)
	if !errors.Is(err, cache.ErrWritesRefused) && !errors.Is(err, cache.ErrValueRefused) { // with these it answers
		g.breaker.trip(err)
	}
	return err
}
