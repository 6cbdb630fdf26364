package bus

import (
	"sync/atomic"

	"github.com/pgrecall/pgrecall/invalidator"
)

// Bounds of what is known of the log's past.
const (
	historyLength = 1 << 16 // events
	slotCount     = 1 << 16 // invalidator's slots
)

// history is what this process knows of the log: its own position, the nonces of the last events, and for each slot the last event that
// touched it. One goroutine at a time writes, any may read; readers take no lock.
type history struct {
	position atomic.Pointer[invalidator.Position] // nil: the place in the log is lost
	floor    atomic.Uint64                        // nothing is known of what came before this event
	nonces   [historyLength]atomic.Uint64         // by number
	last     [slotCount]atomic.Uint64             // by slot
	all      atomic.Uint64                        // the last event that touched everything
	watched  atomic.Uint64                        // the server was watched from this event on
	begins   atomic.Uint64                        // counts calls of begin

	// Changes of this process whose events it has not read yet: nothing that they touch is fresh.
	pending    [slotCount]atomic.Int32
	pendingAll atomic.Int32
}

// reach is what of the cache an event touches.
type reach struct {
	everything bool
	slots      []invalidator.Slot
}

// pend notes a change of this process, n being 1, or that its event was read, n being -1.
func (h *history) pend(r reach, n int32) {
	if r.everything {
		h.pendingAll.Add(n)
	}
	for _, slot := range r.slots {
		h.pending[slot].Add(n)
	}
}

// forget loses the place in the log: nothing is provable until begin.
func (h *history) forget() { h.position.Store(nil) }

// begin forgets everything and starts to record at a place in the log. Readers see nothing before publish.
func (h *history) begin(p invalidator.Position) {
	h.position.Store(nil)
	h.begins.Add(1) // readers that have passed their first look see it at the second
	for i := range h.last {
		h.last[i].Store(0)
	}
	h.all.Store(0)
	h.floor.Store(p.Seq)
	h.record(p)
}

// record notes an event's nonce; its slots are touched already.
func (h *history) record(p invalidator.Position) { h.nonces[p.Seq%historyLength].Store(p.Nonce) }

// publish moves behind an event that was recorded.
func (h *history) publish(p invalidator.Position) { h.position.Store(&p) }

// touch notes what an event after the position touches.
func (h *history) touch(seq uint64, r reach) {
	if r.everything {
		h.all.Store(seq)
	}
	for _, slot := range r.slots {
		h.last[slot].Store(seq)
	}
}

// nonce returns an event's, false where it is not known.
func (h *history) nonce(seq uint64) (uint64, bool) {
	nonce := h.nonces[seq%historyLength].Load()
	now := h.position.Load()
	// The event after the position may be being written over the oldest one.
	if now == nil || seq > now.Seq || seq < h.floor.Load() || now.Seq-seq >= historyLength-1 {
		return 0, false
	}
	return nonce, true
}

// fresh tells whether no event after p, among those that were applied when it was called, touches one of the slots.
func (h *history) fresh(p invalidator.Position, slots []invalidator.Slot) bool {
	begins := h.begins.Load()
	before := h.position.Load()
	if before == nil || before.Epoch != p.Epoch || p.Epoch == 0 || p.Seq > before.Seq {
		return false
	}
	if h.pendingAll.Load() != 0 || h.all.Load() > p.Seq || h.watched.Load() > p.Seq {
		return false
	}
	for _, slot := range slots {
		if h.pending[slot].Load() != 0 || h.last[slot].Load() > p.Seq { // in this order: an event is touched, then not pending any more
			return false
		}
	}
	nonce, known := h.nonce(p.Seq)
	if !known || nonce != p.Nonce {
		return false
	}
	after := h.position.Load() // what was read above was of this epoch and this past
	return after != nil && after.Epoch == p.Epoch && h.begins.Load() == begins
}
