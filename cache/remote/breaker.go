package remote

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// state is what a breaker is in. A probe takes it from open to closed, an error or a hang back, Close to shut for good.
type state uint32

const (
	open   state = iota // the store is not asked
	closed              // the store is asked
	shut                // the Guard is closed
)

// breaker says whether the store is asked.
type breaker struct {
	state atomic.Uint32 // a state; all that a caller looks at

	minBackoff, maxBackoff time.Duration
	tripped                chan struct{} // holds a token when the prober has something to do

	mu       sync.Mutex
	up       chan struct{} // closed while the breaker is closed
	backoff  time.Duration // before the next probe
	closedAt time.Time
	last     string // why it opened last

	opened, probes atomic.Uint64
}

// init leaves it open, with a probe due at once.
func (b *breaker) init(minBackoff, maxBackoff time.Duration) {
	b.minBackoff, b.maxBackoff = minBackoff, maxBackoff
	b.up = make(chan struct{})
	b.tripped = make(chan struct{}, 1)
	b.tripped <- struct{}{}
}

// refuses returns why the store is not asked, nil when it is.
func (b *breaker) refuses() error {
	switch state(b.state.Load()) {
	case closed:
		return nil
	case shut:
		return cache.ErrRemoteClosed
	default:
		return cache.ErrRemoteOpen
	}
}

// shut ends it.
func (b *breaker) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Store(uint32(shut))
}

// trip opens a breaker that is closed.
func (b *breaker) trip(cause error) {
	if state(b.state.Load()) != closed {
		return // without the lock: all callers of a store that hangs come here at once
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if state(b.state.Load()) != closed {
		return
	}
	b.last = cause.Error()
	// A store that fails again soon after a probe was answered is probed less often.
	if time.Since(b.closedAt) > b.maxBackoff {
		b.backoff = b.minBackoff
	} else {
		b.backoff = b.longer(b.backoff)
	}
	b.up = make(chan struct{})
	b.state.Store(uint32(open))
	b.opened.Add(1)
	b.tripped <- struct{}{} // there is room: the prober took the last token before it closed the breaker
}

// reset closes a breaker that is open.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state(b.state.Load()) != open {
		return
	}
	b.closedAt = time.Now()
	b.state.Store(uint32(closed))
	close(b.up)
}

// failed notes a failed probe and returns how long to wait before the next.
func (b *breaker) failed(err error) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = err.Error()
	b.backoff = b.longer(b.backoff)
	return jittered(b.backoff)
}

// wait returns how long to wait before the first probe.
func (b *breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return jittered(b.backoff)
}

func (b *breaker) longer(d time.Duration) time.Duration {
	return min(max(2*d, b.minBackoff), b.maxBackoff)
}

// jittered returns d, up to a tenth shorter: many proxies must not probe in step.
func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

func (b *breaker) isUp() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.up
}

func (b *breaker) lastError() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

func (b *breaker) stats(s *cache.RemoteStats) {
	s.Opened, s.Probes, s.LastError = b.opened.Load(), b.probes.Load(), b.lastError()
}

// probe is the one goroutine that asks a store that is down, one PING at a time.
func (g *Guard) probe() {
	b := &g.breaker
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-b.tripped:
		case <-g.ctx.Done():
			return
		}
		for wait := b.wait(); ; {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-g.ctx.Done():
				return
			}
			err := g.answers()
			if err == nil {
				b.reset()
				break
			}
			wait = b.failed(err)
		}
	}
}

// answers returns nil when the store answers within the bound that callers wait. A probe that takes longer may have
// connected, or looked for a new master, so that it has a second chance.
func (g *Guard) answers() error {
	var err error
	for range 2 {
		g.breaker.probes.Add(1)
		ctx, cancel := context.WithTimeoutCause(g.ctx, g.options.ProbeTimeout, errHang)
		start := time.Now()
		// The probe is not detached from its goroutine: a store that keeps it gets no second one.
		err = g.backend.Ping(ctx)
		cancel()
		if err != nil || time.Since(start) <= g.options.Hang {
			return err
		}
		err = errHang
	}
	return err
}
