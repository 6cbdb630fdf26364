package model

import "fmt"

// successors calls next for each step that can be taken.
func (o *Options) successors(s *state, next func(name string, t state)) {
	for p := range o.Proxies {
		if s.crashed&bit(p) != 0 {
			continue
		}
		if s.absent&bit(p) != 0 {
			o.join(s, p, next)
			continue
		}
		if o.Readers&bit(p) != 0 {
			o.reads(s, p, next)
		}
		o.membership(s, p, next)
	}
	for w := range o.Writes {
		o.write(s, w, next)
	}
	if !o.Session && s.database > s.known { // somebody reads it past all caches
		t := *s
		t.known = s.database
		next("somebody sees the newest", t)
	}
	if o.Late != 0 && s.versions == 0 && s.crashed|s.absent == bit(o.Proxies)-1 {
		t := *s
		t.versions, t.database, t.known = 1, 1, 1
		next("the row changes while no proxy runs", t)
	}
	if s.losses > 0 { // Redis forgets everything
		t := *s
		t.losses--
		t.epoch++
		t.log, t.length, t.open, t.members, t.vouches = [maxEvents]uint8{}, 0, 0, 0, 0
		next("Redis loses its data", t)
	}
}

func bit(n int) uint8 { return 1 << n }

func (o *Options) owner(w int) int { return w % o.Proxies }

// fleet tells whether a proxy and Redis agree that it is a member.
func (s *state) fleet(p int) bool {
	return s.proxies[p].member && s.proxies[p].epoch == s.epoch && s.members&bit(p) != 0
}

func (s *state) reachable(p int) bool { return s.cut&bit(p) == 0 }

// append puts an event into the log.
func (s *state) append(event uint8) {
	if s.length == maxEvents {
		panic("the log is too short for this run")
	}
	s.log[s.length] = event
	s.length++
}

// live tells whether a proxy may answer out of its cache.
func (o *Options) live(s *state, p int) bool {
	if o.Session || o.Without == LeaseCheck {
		return true
	}
	x := &s.proxies[p]
	if !x.member || !x.live {
		return false
	}
	others := (bit(o.Proxies) - 1) &^ bit(p)
	return o.Without == Trust || (x.trusts|x.dead|s.absent)&others == others
}

// invalidate drops all that a proxy has cached.
func (x *proxy) invalidate() { x.cache, x.fillOK = none, false }

// lost ends a membership in the proxy's own eyes.
func (x *proxy) lost() { x.member, x.live, x.trusts = false, false, 0 }

func (o *Options) membership(s *state, p int, next func(string, state)) {
	x := &s.proxies[p]
	if s.crashes > 0 {
		t := *s
		t.crashes--
		t.crashed |= bit(p)
		t.proxies[p] = proxy{}
		next(fmt.Sprintf("%d dies", p), t)
	}
	if s.cuts > 0 && s.reachable(p) {
		t := *s
		t.cuts--
		t.cut |= bit(p)
		next(fmt.Sprintf("%d is cut off", p), t)
	}
	if !s.reachable(p) {
		t := *s
		t.cut &^= bit(p)
		next(fmt.Sprintf("%d is connected", p), t)
	}
	if x.live && o.Late == 0 {
		t := *s
		t.proxies[p].live = false
		next(fmt.Sprintf("the lease of %d lapses", p), t)
	}
	for q := range o.Proxies {
		if q == p {
			continue
		}
		if silent := !s.fleet(q) || !s.reachable(q); silent && x.trusts&bit(q) != 0 {
			t := *s
			t.proxies[p].trusts &^= bit(q)
			next(fmt.Sprintf("%d hears nothing of %d", p, q), t)
		}
		o.forget(s, p, q, next)
	}
	if !s.reachable(p) {
		return
	}
	if x.member && !s.fleet(p) {
		t := *s
		t.proxies[p].lost()
		next(fmt.Sprintf("%d learns that it is no member", p), t)
	}
	if !x.member {
		o.join(s, p, next)
		return
	}
	if !s.fleet(p) {
		return
	}
	if !x.live {
		t := *s
		t.proxies[p].live = true
		next(fmt.Sprintf("%d beats", p), t)
	}
	if o.Lax&bit(p) != 0 {
		o.levels(s, p, next)
	}
	if o.Late != 0 {
		o.witness(s, p, next)
	}
	if x.applied < s.length {
		t := *s
		o.apply(&t, p)
		next(fmt.Sprintf("%d applies event %d", p, x.applied+1), t)
	} else {
		for q := range o.Proxies {
			heard := (s.fleet(q) && (o.Lax&bit(q) == 0 || s.vouches&bit(q) != 0 || o.Without == Vouch)) || o.Without == TrustOfAnswers && s.members&bit(q) != 0
			if q != p && x.trusts&bit(q) == 0 && heard && s.crashed&bit(q) == 0 {
				t := *s
				t.proxies[p].trusts |= bit(q)
				t.proxies[p].dead &^= bit(q)
				next(fmt.Sprintf("%d hears %d", p, q), t)
			}
		}
	}
	for q := range o.Proxies { // by its own clock it is not Live any more
		if q != p && s.members&bit(q) != 0 && (s.crashed&bit(q) != 0 || !s.proxies[q].live && o.Late == 0) {
			t := *s
			t.members &^= bit(q)
			if o.Without == FencesOfDead {
				for w := range o.Writes {
					if o.owner(w) == q && t.open&bit(w) != 0 {
						t.open &^= bit(w)
						t.append(eventRelease | uint8(w))
					}
				}
			}
			if o.Late != 0 {
				t.witnesses &^= bit(q)
				o.watch(&t, p)
			}
			next(fmt.Sprintf("%d declares %d missing", p, q), t)
		}
	}
}

// forget lets a proxy learn that another one is dead and that nothing comes of it any more.
func (o *Options) forget(s *state, p, q int, next func(string, state)) {
	x := &s.proxies[p]
	if s.crashed&bit(q) == 0 || x.dead&bit(q) != 0 || !x.member || !s.reachable(p) || !s.fleet(p) {
		return
	}
	alone, under := false, false
	for w := range o.Writes {
		if o.owner(w) == q {
			alone = alone || s.writes[w].alone
			under = under || s.writes[w].alone && s.writes[w].stage == stageSent
		}
	}
	if under && o.Without != SettleDead {
		return
	}
	t := *s
	t.proxies[p].dead |= bit(q)
	if alone {
		t.append(eventAll)
		for t.proxies[p].applied < t.length {
			o.apply(&t, p)
		}
	}
	next(fmt.Sprintf("%d takes %d for dead", p, q), t)
}

// join makes a proxy a member.
func (o *Options) join(s *state, p int, next func(string, state)) {
	t := *s
	x := &t.proxies[p]
	t.members |= bit(p)
	t.absent &^= bit(p)
	t.vouches = 0 // who beats from now on knows that this proxy has joined
	for w := range o.Writes {
		if o.owner(w) != p {
			continue
		}
		if t.writes[w].queued {
			t.writes[w].queued = false
			x.tell = x.tell || t.writes[w].stage >= stageReleased
		}
		switch at := &t.writes[w]; at.stage {
		case stageFenced, stageAnnounced, stageSent, stageCommitted:
			if o.Without == AnnounceAtJoin {
				continue
			}
			if t.open&bit(w) == 0 || at.stage == stageFenced {
				t.append(eventFence | uint8(w))
			}
			t.open |= bit(w)
			if at.stage <= stageAnnounced {
				at.stage = stageAnnounced
			}
			at.waits, at.event = t.members&^bit(p), t.length
		default:
			if t.open&bit(w) != 0 {
				t.open &^= bit(w)
				t.append(eventRelease | uint8(w))
			}
			x.pending &^= bit(w)
		}
	}
	if o.Late != 0 {
		t.append(eventJoin)
		x.witness, x.watched = false, t.length
		o.watch(&t, p)
	}
	if x.tell && o.Without != AllAfterAlone {
		t.append(eventAll)
	}
	x.tell = false
	x.member, x.live, x.epoch, x.applied, x.trusts = true, true, t.epoch, t.length, 0
	for w := range o.Writes {
		switch owner := o.owner(w); {
		case owner == p:
		case t.open&bit(w) != 0:
			if o.Without != FencesAtJoin && x.fences&bit(w) == 0 {
				x.fences |= bit(w)
				x.fillOK = false
			}
		case t.members&bit(owner) != 0:
			x.fences &^= bit(w)
		}
	}
	if o.Without != InvalidateAtJoin {
		x.invalidate()
	}
	next(fmt.Sprintf("%d joins", p), t)
}

// levels are the steps of a member that is not strict, which finds out whether others are.
func (o *Options) levels(s *state, p int, next func(string, state)) {
	x := &s.proxies[p]
	strict := s.members&^o.Lax != 0
	if strict != x.knows {
		t := *s
		t.proxies[p].knows = strict
		next(fmt.Sprintf("%d hears whether others are strict", p), t)
	}
	pending := false
	for w := range o.Writes {
		pending = pending || o.owner(w) == p && s.writes[w].queued
	}
	if x.knows && s.vouches&bit(p) == 0 && (!pending || o.Without == VouchAfterLog) {
		t := *s
		t.vouches |= bit(p)
		t.proxies[p].vouched = true
		next(fmt.Sprintf("%d says that its writes wait", p), t)
	}
	trusted := false
	for q := range o.Proxies {
		trusted = trusted || q != p && s.proxies[q].live && s.proxies[q].trusts&bit(p) != 0
	}
	if x.vouched && !x.knows && !trusted { // time has passed
		t := *s
		t.vouches &^= bit(p)
		t.proxies[p].vouched = false
		next(fmt.Sprintf("%d is trusted by nobody any more", p), t)
	}
}

// apply lets a proxy apply the next event.
func (o *Options) apply(s *state, p int) {
	x := &s.proxies[p]
	event := s.log[x.applied]
	x.applied++
	w := int(event &^ eventKind)
	switch event & eventKind {
	case eventAll:
		x.invalidate()
	case eventFence:
		if o.owner(w) != p {
			x.fences |= bit(w)
			x.fillOK = false
		}
	case eventRelease:
		if o.owner(w) == p {
			x.pending &^= bit(w)
			return
		}
		x.fences &^= bit(w)
		if o.Without != InvalidateAtEnd {
			x.invalidate()
		}
	}
}
