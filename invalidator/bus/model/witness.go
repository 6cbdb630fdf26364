package model

import "fmt"

// watch begins a new time when no member of before has watched the row.
func (o *Options) watch(s *state, p int) {
	if s.witnesses != 0 {
		return
	}
	if o.Without != Floor {
		s.floor = s.length
	}
	s.witnesses = bit(p)
}

// witness are the steps by which a member learns that it knows of what was before it.
func (o *Options) witness(s *state, p int, next func(string, state)) {
	if s.proxies[p].witness {
		if s.witnesses&bit(p) != 0 {
			t := *s
			t.crashed, t.members, t.witnesses, t.proxies[p] = t.crashed|bit(p), t.members&^bit(p), t.witnesses&^bit(p), proxy{}
			if s.crashes > 0 {
				t.crashes--
				t.witnesses |= t.members // they have come before it went
				next(fmt.Sprintf("%d leaves in order", p), t)
			}
		}
		return
	}
	for q := range o.Proxies {
		if s.witnesses&bit(q) == 0 || s.crashed&bit(q) != 0 && o.Without != WitnessBeat {
			continue
		}
		t := *s
		t.witnesses |= bit(p)
		t.proxies[p].witness, t.proxies[p].watched = true, t.floor
		next(fmt.Sprintf("%d knows what %d knew", p, q), t)
	}
}
