package bus

import (
	"sync/atomic"
	"time"
)

// counts are what happened since the start.
type counts struct {
	fences, appended, applied, waits, waitNanoseconds, alone, missing, lost, gaps, forks, everything, failures, epochs atomic.Uint64
}

func (c *counts) waited(d time.Duration) {
	c.waits.Add(1)
	c.waitNanoseconds.Add(uint64(d))
}

// Stats is what happened since the start, and the state.
type Stats struct {
	Member, Live, Down bool
	Members            int    // others
	Outside            int    // processes because of which nobody is Live
	Seq                uint64 // of the position
	Lag                uint64 // events that the slowest other member had not applied at its last beat
	OwnFences          int
	OtherFences        int
	Queued             int

	Fences     uint64 // announced
	Appended   uint64 // events
	Applied    uint64 // events of the log
	Waits      uint64 // strict ones
	Waited     time.Duration
	Alone      uint64 // writes that went on without the log
	Missing    uint64 // members that fell silent
	Lost       uint64 // memberships of this process that ended early
	Gaps       uint64 // events trimmed before they were read
	Forks      uint64
	Everything uint64 // times that everything was invalidated
	Failures   uint64 // of Redis and of the census
	Epochs     uint64 // times that the log was another one than before
}

// Stats returns the state of now.
func (b *Bus) Stats() Stats {
	c := &b.counts
	s := Stats{
		Live: b.Live(), Down: b.down.Load(), Fences: c.fences.Load(), Appended: c.appended.Load(), Applied: c.applied.Load(), Waits: c.waits.Load(),
		Waited: time.Duration(min(c.waitNanoseconds.Load(), 1<<62)), Alone: c.alone.Load(), Missing: c.missing.Load(), Lost: c.lost.Load(),
		Gaps: c.gaps.Load(), Forks: c.forks.Load(), Everything: c.everything.Load(), Failures: c.failures.Load(), Epochs: c.epochs.Load(),
	}
	if p, ok := b.Position(); ok {
		s.Seq = p.Seq
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Member, s.Outside, s.OwnFences, s.OtherFences, s.Queued = b.member != nil, len(b.census.outside), len(b.own), len(b.remote), len(b.queue)
	if b.member != nil {
		s.Members = len(b.member.others)
		for _, o := range b.member.others {
			if s.Seq > o.applied {
				s.Lag = max(s.Lag, s.Seq-o.applied)
			}
		}
	}
	return s
}
