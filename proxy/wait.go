package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/pgrecall/pgrecall/wire"
)

// Why a wait for the fleet ends before its time, besides the end of the session.
var (
	errCancelRequest = errors.New("a cancel request came")
	errClientGone    = errors.New("the client is gone")
)

// lookForClient is how often a session that waits for the fleet looks whether its client is still there, from one such time on.
const lookForClient = time.Second

// beginWait returns the context of a wait for the fleet. It ends with the session, and with a client that has been gone for as long as the
// server is let work for one that has left. The caller calls end after the wait.
func (s *session) beginWait() (ctx context.Context, cancel context.CancelCauseFunc, end func()) {
	ctx, cancel = context.WithCancelCause(s.life)
	watch := time.AfterFunc(lookForClient, func() { s.watchClient(ctx, cancel) })
	return ctx, cancel, func() {
		watch.Stop()
		cancel(nil)
	}
}

// watchClient ends a wait when its client has been gone for long. Nobody reads from the client meanwhile.
func (s *session) watchClient(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(lookForClient)
	defer tick.Stop()
	var since time.Time
	for ctx.Err() == nil {
		switch {
		case !hungUp(s.raw):
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= drainTime:
			cancel(errClientGone)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// canceledMessage answers a statement that a cancel request kept from being sent.
var canceledMessage = wire.AppendError(nil, canceledFields)

// What the server gets in place of a statement that was cancelled while it waited for the fleet: a syntax error, whatever state the session is in. It does
// to the transaction and to the pipeline what the statement's own error does, and the client gets canceledMessage in its place.
var (
	unsentQuery    = unsent(wire.Query)
	unsentExtended = unsent(wire.Parse)
)

func unsent(typ byte) []byte {
	b, at := wire.Begin(nil, typ)
	if typ == wire.Parse {
		b = wire.AppendString(b, "pgrecall_unsent")
	}
	b = wire.AppendString(b, "unsent /* pgrecall: a write that a cancel request ended before it was sent */")
	if typ == wire.Parse {
		b = append(b, 0, 0) // types of parameters
	}
	return wire.End(b, at)
}

// takeCanceled tells, once, that the statement that was foreseen last must not be sent.
func (f *frontend) takeCanceled() bool {
	canceled := f.canceled
	f.canceled = false
	return canceled
}

// unsent marks a message in whose place an error was sent.
func (a *aside) unsent() *aside {
	if a == nil {
		a = &aside{}
	}
	a.canceled = true
	return a
}

// sendInstead sends a message in place of the one in hand. Its expectation has been pushed.
func (s *session) sendInstead(size int, message []byte) {
	s.flushBefore()
	_ = s.sendUpstream(message)
	s.frontend.in.start = s.frontend.at + size
}

// hangUp ends the session from this side of the upstream: nothing is sent from here on.
func (s *session) hangUp() {
	if !s.ended() { // else the upstream has, and why has to be found out
		s.leaving.Store(true)
	}
	_ = s.upstream.Close()
}

// revoke ends a session whose client cancelled what nothing else can be sent in place of.
func (s *session) revoke() {
	s.revoked.Store(true)
	_ = s.upstream.Close()
}
