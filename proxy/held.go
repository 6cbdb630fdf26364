package proxy

import (
	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/wire"
)

// answerHeld answers the held cycle, whose messages can all be answered, with one write, and remembers what it leaves behind.
func (s *session) answerHeld() {
	f := &s.frontend
	at := f.cycle.offset(&f.in)
	_ = s.flushTo(at)
	status := byte(s.status.Load())
	last := f.cycle.held[len(f.cycle.held)-1].typ
	out := f.out[:0]
	hits := 0
	var parts [][]byte // only for large results
	var check, renew sampledHit
	add := func(b []byte) {
		if len(out)+len(b) <= copyLimit {
			out = append(out, b...)
			return
		}
		parts = append(parts, append([]byte(nil), out...), b)
		out = out[:0]
	}
	for i := range f.cycle.held {
		h := &f.cycle.held[i]
		switch h.typ {
		case wire.Parse:
			out = append(out, wire.ParseCompleteMessage...)
			s.notePrepared(h.prepared)
			h.prepared.parsed.Store(true)
		case wire.Bind:
			out = append(out, wire.BindCompleteMessage...)
			if last == wire.Flush || status != wire.StatusIdle { // it outlives the cycle
				h.portal.message = append([]byte(nil), f.in.buf[at:at+h.size]...)
				s.notePortal(h.name, h.portal)
				if h.portal == f.cycle.scratch {
					f.cycle.scratch = nil
				}
			}
			check.bind(h, f.in.buf[at:at+h.size])
			renew.bind(h, f.in.buf[at:at+h.size])
		case wire.Describe:
			if h.kind == 'S' {
				add(h.entry.Parameters)
			}
			add(h.entry.Row)
		case wire.Execute:
			if f.scope != nil && f.scope.trace {
				add(s.traceHit(h.entry, s.staleness(h.entry)))
			}
			add(h.entry.Data)
			h.portal.executed = true
			s.belongsTo(h.portal.prepared)
			s.countHit(h.entry)
			hits++
			if s.sampled() && last == wire.Sync {
				check.execute(h)
			}
			s.hotHit(h.portal.key, h.entry, h.portal, &check)
			if h.entry == f.due.entry && last == wire.Sync {
				renew.execute(h)
			}
		case wire.Close:
			out = append(out, wire.CloseCompleteMessage...)
			if h.kind == 'S' {
				if h.prepared == f.unnamed {
					f.unnamed = nil
				}
				delete(f.statements, h.prepared.name)
			} else {
				delete(f.portals, h.name)
			}
		case wire.Sync:
			out = wire.AppendReadyForQuery(out, status)
		}
		at += h.size
		*h = heldMessage{}
	}
	if parts == nil {
		s.answer(out)
	} else {
		s.answerParts(append(parts, out)...)
	}
	f.out = out[:0]
	s.observeHits(hits)
	s.finishFlight()
	if renew.entry != nil {
		s.refreshPortal(renew.portal, renew.tail)
	}
	if check.entry != nil && s.verifiable() {
		s.verifyPortal(check.portal, check.entry, check.tail)
	}
}

// sampledHit is a hit in a held cycle that is to be verified or refreshed.
type sampledHit struct {
	bound   *portal // by the last Bind message
	message []byte  // that one, in the inbox

	portal *portal
	entry  *cache.Entry // nil for none
	tail   []byte       // of the Bind message, after the names
}

func (c *sampledHit) bind(h *heldMessage, message []byte) { c.bound, c.message = h.portal, message }

func (c *sampledHit) execute(h *heldMessage) {
	if c.bound == h.portal {
		c.portal, c.entry, c.tail = h.portal, h.entry, c.boundTail()
	}
}

// boundTail returns what follows the names in the last Bind message.
func (c *sampledHit) boundTail() []byte {
	scan := wire.Scan(c.message[wire.HeaderSize:])
	scan.Name()
	scan.Name()
	return scan.Rest()
}

// accepted tells whether something in the cache shows that the server accepts every statement that is parsed here.
func (c *cycle) accepted() bool {
	for i := range c.held {
		if c.held[i].typ != wire.Parse {
			continue
		}
		shown := false
		for j := i + 1; j < len(c.held); j++ {
			o := &c.held[j]
			shown = shown || o.entry != nil && o.prepared == c.held[i].prepared && (o.typ == wire.Bind || o.typ == wire.Describe)
		}
		if !shown {
			return false
		}
	}
	return true
}

func (s *session) notePortal(name string, p *portal) {
	f := &s.frontend
	if f.portals == nil {
		f.portals = map[string]*portal{}
	}
	f.portals[name] = p
}

// finishFlight lets go of a flight that no fill has taken over.
func (s *session) finishFlight() {
	c := &s.frontend.cycle
	if c.flight != nil {
		c.flight.Finish(nil)
		c.flight = nil
	}
}

// takeFlight returns the flight that this session leads for the key, nil when there is none.
func (c *cycle) takeFlight(key cache.Key) *cache.Flight {
	if c.flight == nil || c.key != key {
		return nil
	}
	flight := c.flight
	c.flight = nil
	return flight
}
