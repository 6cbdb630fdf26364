package bus

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// report is how far a member says that it has applied the log.
type report struct{ seq, nonce uint64 }

// reportsLength bounds how many reports of a member wait until this process has read as far; beats bring new ones.
const reportsLength = 1024

// report notes what a member says. The bus's mu is held.
func (m *membership) report(id string, r report) {
	if r.seq > m.acked[id] && len(m.reports[id]) < reportsLength {
		m.reports[id] = append(m.reports[id], r)
	}
}

// acknowledged takes what others have applied.
func (b *Bus) acknowledged(m *membership, messages []redis.XMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member != m {
		return
	}
	for _, message := range messages {
		text := func(name string) string {
			s, _ := message.Values[name].(string)
			return s
		}
		seq, err := strconv.ParseUint(text("s"), 10, 64)
		if err != nil || text("e") != m.epochText {
			continue
		}
		if nonce, err := strconv.ParseUint(text("n"), 16, 64); err == nil {
			m.report(text("m"), report{seq, nonce}) // the answer to the append itself may come later than this
		}
	}
	b.confirm(m)
	b.broadcast()
}

// confirm takes what members reported for true as far as this process has read the log itself: a number alone says nothing, since a
// Redis that lost the log's end gives the same numbers again. The caller holds mu.
func (b *Bus) confirm(m *membership) {
	p := b.history.position.Load()
	if b.member != m || p == nil {
		return
	}
	for id, reports := range m.reports {
		left := reports[:0]
		for _, r := range reports {
			if r.seq > p.Seq {
				left = append(left, r)
				continue
			}
			if nonce, known := b.history.nonce(r.seq); known && nonce == r.nonce {
				m.acked[id] = max(m.acked[id], r.seq)
			}
		}
		m.reports[id] = left
	}
	for _, t := range b.own {
		if t.membership != m {
			continue
		}
		if !t.read && t.seq <= p.Seq {
			nonce, known := b.history.nonce(t.seq)
			if !known || nonce != t.nonce {
				b.fork(context.Background(), m)
				return
			}
			t.read = true
		}
		t.acknowledge(m)
	}
}
