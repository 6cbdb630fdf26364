package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How often one message is logged: so many times in so long, then it is counted until the time is over.
const (
	repeatsLogged = 10
	repeatsIn     = 10 * time.Second
)

// repeats passes on what a program says once and keeps back what it says again and again, at the level of a warning or above: a dead server must not fill a
// disk. What was kept back is told with the next such message, as suppressed=N. Lines below are never kept back.
type repeats struct {
	slog.Handler
	seen *seen
	now  func() time.Time
}

// seen is shared by all handlers that stem from one.
type seen struct {
	mu       sync.Mutex
	messages map[string]*repeated
}

type repeated struct {
	since time.Time
	n     int // in this time
}

// mostMessages bounds what is remembered: messages are texts of the program, so that there are fewer.
const mostMessages = 1000

func newRepeats(next slog.Handler) *repeats {
	return &repeats{Handler: next, seen: &seen{messages: map[string]*repeated{}}, now: time.Now}
}

// Handle implements slog.Handler.
func (r *repeats) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelWarn {
		return r.Handler.Handle(ctx, record)
	}
	suppressed, ok := r.seen.admit(record.Message, r.now())
	if !ok {
		return nil
	}
	if suppressed > 0 {
		record = record.Clone()
		record.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return r.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (r *repeats) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &repeats{r.Handler.WithAttrs(attributes), r.seen, r.now}
}

// WithGroup implements slog.Handler.
func (r *repeats) WithGroup(name string) slog.Handler {
	return &repeats{r.Handler.WithGroup(name), r.seen, r.now}
}

// admit tells whether a message is logged, and how many were kept back before it.
func (s *seen) admit(message string, now time.Time) (suppressed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[message]
	switch {
	case m == nil:
		if len(s.messages) >= mostMessages {
			clear(s.messages)
		}
		s.messages[message] = &repeated{now, 1}
		return 0, true
	case now.Sub(m.since) >= repeatsIn:
		suppressed = max(0, m.n-repeatsLogged)
		m.since, m.n = now, 1
		return suppressed, true
	}
	m.n++
	return 0, m.n <= repeatsLogged
}
