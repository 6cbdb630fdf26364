package bus

import "slices"

// A witness is a member that has watched the server, or heard of one that did, without a break since the event floor. Nothing is known of what
// happened to definitions, rights and rows while there was none: when the last one is gone without another having heard of it, the next
// member begins a new time, with the log's end as floor, and no entry of L2 from before can be proved. The fences that are up stay.

// witness finds out whether this member is one: Redis says so, or another witness has beaten since this one joined. Until then nothing is
// provable from before its own Join. The log is applied up to the state. The caller holds mu.
func (b *Bus) witness(m *membership, s *state) {
	m.witness = m.witness || slices.Contains(s.witnesses, m.id) || slices.ContainsFunc(s.witnesses, func(id string) bool {
		then, met := m.met[id]
		return !met || s.members[id].beat > then.beat
	})
	if m.witness {
		b.witnessed = m.epochText
		b.history.watched.Store(s.floor)
	}
}
