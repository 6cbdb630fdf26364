package model

import (
	"hash/maphash"
	"unsafe"
)

// broken marks a state that must not be reached.
const broken = 127

func violated(s state) state {
	s.known = broken
	return s
}

// search is one run. Of the states that were met only two hashes are kept.
type search struct {
	options Options
	seeds   [2]maphash.Seed
	seen    map[[2]uint64]struct{}
	path    []string
}

// Explore runs through all interleavings, depth first, each state once.
func Explore(o Options) Result {
	x := search{options: o, seen: map[[2]uint64]struct{}{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	s := initial(o)
	found := x.visit(&s)
	r := Result{States: len(x.seen), Complete: !found && len(x.seen) <= o.Limit}
	if found {
		r.Trace, r.Violation = x.path, x.path[len(x.path)-1]
	}
	return r
}

// initial is the state in which all are members and nothing is cached.
func initial(o Options) state {
	s := state{epoch: 1, l2: none, crashes: o.Crashes, cuts: o.Cuts, losses: o.Losses}
	all := bit(o.Proxies) - 1
	s.members = all
	for p := range s.proxies {
		s.proxies[p].cache = none
		if p < o.Proxies {
			s.proxies[p] = proxy{member: true, live: true, epoch: 1, trusts: all &^ bit(p), cache: none}
			if o.Lax != 0 && o.Lax&bit(p) == 0 {
				s.proxies[p] = proxy{cache: none}
				s.members &^= bit(p)
			}
			if o.Late&bit(p) != 0 {
				s.proxies[p] = proxy{cache: none}
				s.absent |= bit(p)
			} else if o.Late != 0 {
				s.proxies[p].witness = true
			}
		}
	}
	s.members &^= s.absent
	if o.Late != 0 {
		s.witnesses = s.members
	}
	return s
}

// visit returns true when it has found a violation; path leads to it.
func (x *search) visit(s *state) bool {
	bytes := (*[unsafe.Sizeof(*s)]byte)(unsafe.Pointer(s))[:] // it has neither pointers nor padding
	key := [2]uint64{maphash.Bytes(x.seeds[0], bytes), maphash.Bytes(x.seeds[1], bytes)}
	if _, known := x.seen[key]; known || len(x.seen) > x.options.Limit {
		return false
	}
	x.seen[key] = struct{}{}
	found := false
	x.options.successors(s, func(step string, t state) {
		if found {
			return
		}
		x.path = append(x.path, step)
		if found = t.known == broken || x.visit(&t); !found {
			x.path = x.path[:len(x.path)-1]
		}
	})
	return found
}
