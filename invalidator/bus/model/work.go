package model

import "fmt"

// write takes the steps of a write. Its owner may have died.
func (o *Options) write(s *state, w int, next func(string, state)) {
	p := o.owner(w)
	at, x := &s.writes[w], &s.proxies[p]
	dead := s.crashed&bit(p) != 0
	step := func(what string, t state) { next(fmt.Sprintf("write %d of %d: %s", w, p, what), t) }
	switch at.stage {
	case stageSent:
		t := *s
		t.versions++
		t.database = t.versions
		t.writes[w].version, t.writes[w].stage = t.versions, stageCommitted
		step("commits", t)
	case stageCommitted:
		if !dead {
			o.release(s, w, step)
		}
	}
	if at.queued && !dead && s.reachable(p) && s.fleet(p) {
		t := *s
		t.writes[w].queued = false
		if at.stage < stageReleased {
			t.append(eventFence | uint8(w))
			t.open |= bit(w)
		} else {
			t.append(eventRelease | uint8(w))
		}
		step("comes into the log", t)
	}
	if dead { // its backend is gone, or it was never sent
		if s.open&bit(w) != 0 && at.stage != stageSent {
			for q := range o.Proxies {
				if s.crashed&bit(q) == 0 && s.fleet(q) && s.reachable(q) && s.members&bit(p) == 0 {
					t := *s
					t.open &^= bit(w)
					t.append(eventRelease | uint8(w))
					step("its backend is gone", t)
					break
				}
			}
		}
		return
	}
	switch at.stage {
	case stageIdle:
		t := *s
		t.writes[w].stage = stageFenced
		if o.Without == MembersInOneStep {
			t.writes[w].waits = t.members &^ bit(p)
		}
		y := &t.proxies[p]
		y.fences |= bit(w)
		y.fillOK = false
		if o.Without != PendingOwn {
			y.pending |= bit(w)
		}
		step("fences", t)
	case stageFenced:
		if s.reachable(p) && s.fleet(p) {
			t := *s
			t.append(eventFence | uint8(w))
			t.open |= bit(w)
			a := &t.writes[w]
			a.stage, a.event = stageAnnounced, t.length
			if o.Without != MembersInOneStep {
				a.waits = t.members &^ bit(p)
			}
			step("is announced", t)
		}
		if o.Lax&bit(p) != 0 && !x.knows && !x.vouched {
			t := *s
			t.writes[w].stage, t.writes[w].queued = stageSent, true
			step("is sent without waiting", t)
		}
		if o.Session && (!s.reachable(p) || !s.fleet(p)) {
			o.alone(s, w, step)
		}
	case stageAnnounced:
		if o.applied(s, w) {
			t := *s
			t.writes[w].stage = stageSent
			step("is sent", t)
		}
	case stageReleased:
		t := *s
		t.writes[w].stage = stageOver
		t.known = max(t.known, at.version)
		t.own[p] = max(t.own[p], at.version)
		step("is acknowledged", t)
	}
	if (at.stage == stageFenced || at.stage == stageAnnounced) && !o.Session && (!s.reachable(p) || !x.member) {
		trusted := false
		for q := range o.Proxies {
			trusted = trusted || q != p && s.crashed&bit(q) == 0 && s.proxies[q].trusts&bit(p) != 0
		}
		if !trusted || o.Without == AloneWait {
			o.alone(s, w, step)
		}
	}
}

// alone sends a write without the log.
func (o *Options) alone(s *state, w int, step func(string, state)) {
	t := *s
	t.writes[w].stage, t.writes[w].alone = stageSent, true
	x := &t.proxies[o.owner(w)]
	x.tell = true
	x.lost()
	step("is sent without the log", t)
}

// applied tells whether a write can be sent: all have applied its fence, and nobody of an epoch before is Live.
func (o *Options) applied(s *state, w int) bool {
	if o.Session || o.Without == FenceWait {
		return true
	}
	at := &s.writes[w]
	p := o.owner(w)
	if !s.proxies[p].member || s.proxies[p].epoch != s.epoch {
		return false // an answer that the process has not got in this epoch
	}
	for q := range o.Proxies {
		x := &s.proxies[q]
		if q == p || s.crashed&bit(q) != 0 {
			continue
		}
		if at.waits&bit(q) != 0 && s.members&bit(q) != 0 && (x.epoch != s.epoch || x.applied < at.event) {
			return false
		}
		if o.Without != EpochWait && x.epoch != s.epoch && x.live { // silence for longer than a lease
			return false
		}
	}
	return true
}

// release ends a write in its own process and in the log.
func (o *Options) release(s *state, w int, step func(string, state)) {
	t := *s
	p := o.owner(w)
	x := &t.proxies[p]
	x.fences &^= bit(w)
	x.invalidate()
	t.writes[w].stage = stageReleased
	if s.reachable(p) && s.fleet(p) && t.open&bit(w) != 0 {
		t.open &^= bit(w)
		t.append(eventRelease | uint8(w))
	} else if o.Without != TellOfEnds && !t.writes[w].queued {
		x.tell = true
	}
	step("is released", t)
}

// reads takes the steps of reads.
func (o *Options) reads(s *state, p int, next func(string, state)) {
	x := &s.proxies[p]
	step := func(what string, t state) { next(fmt.Sprintf("%d %s", p, what), t) }
	if (x.cache != none || x.hit != 0) && x.fill == 0 {
		o.hit(s, p, step)
	}
	switch {
	case x.fill == 0 && x.fences == 0 && x.cache == none && x.hit == 0:
		t := *s
		y := &t.proxies[p]
		y.fill, y.fillOK, y.fillLive, y.fillFloor = 1, true, o.live(s, p), o.floor(s, p)
		y.fillAt, y.fillEpoch = x.applied, 0
		if x.member {
			y.fillEpoch = x.epoch
		}
		step("takes a stamp", t)
	case x.fill == 1:
		t := *s
		y := &t.proxies[p]
		y.fill, y.fillL2 = 2+s.database, false
		step("queries", t)
		if o.L2 && x.fillLive && x.member && o.fresh(s, p) {
			t := *s
			t.proxies[p].fill, t.proxies[p].fillL2 = 2+s.l2, true
			step("reads L2", t)
		}
	case x.fill >= 2:
		t := *s
		y := &t.proxies[p]
		value := x.fill - 2
		t.known = max(t.known, value)
		if x.fillOK || o.Without == StampFirst && x.fences == 0 {
			y.cache = value
			if o.L2 && !x.fillL2 && x.fillEpoch != 0 && s.reachable(p) {
				t.l2, t.l2At, t.l2Epoch = value, int8(x.fillAt), int8(x.fillEpoch)
			}
		}
		y.fill, y.fillOK = 0, false
		y.fillLive, y.fillAt, y.fillEpoch, y.fillL2, y.fillFloor = false, 0, 0, false, 0
		if x.fillL2 && value < x.fillFloor {
			step(fmt.Sprintf("answers %d out of L2 where %d was known", value, x.fillFloor), violated(t))
			return
		}
		step("answers and fills", t)
	}
}

// floor is the oldest version that a read which begins now may return.
func (o *Options) floor(s *state, p int) int8 {
	if o.Session {
		return s.own[p]
	}
	return s.known
}

// fresh tells whether L2's entry is provably newer than all that a proxy has applied.
func (o *Options) fresh(s *state, p int) bool {
	x := &s.proxies[p]
	if s.l2 == none {
		return false
	}
	if o.Without == Position {
		return true
	}
	if int8(x.epoch) != s.l2Epoch || int8(x.applied) < s.l2At || x.pending != 0 || x.epoch != s.epoch {
		return false
	}
	if s.l2At < int8(x.watched) {
		return false
	}
	for i := uint8(s.l2At); i < x.applied; i++ { // all others touch the one row
		if s.log[i]&eventKind != eventJoin {
			return false
		}
	}
	return true
}

// hit takes the two steps of an answer out of the cache.
func (o *Options) hit(s *state, p int, step func(string, state)) {
	x := &s.proxies[p]
	t := *s
	y := &t.proxies[p]
	stamped := x.cache != none && x.fences == 0
	if x.hit == 0 {
		y.hit, y.hitFloor = 1, o.floor(s, p)
		if o.Without == LeaseBeforeStamp {
			y.hitOK, y.hitValue = stamped, x.cache
		} else {
			y.hitOK = o.live(s, p)
		}
		if !y.hitOK {
			return // it goes upstream
		}
		step("begins a hit", t)
		return
	}
	value, good := x.cache, stamped
	if o.Without == LeaseBeforeStamp {
		value, good = x.hitValue, o.live(s, p)
	}
	y.hit, y.hitOK, y.hitValue, y.hitFloor = 0, false, 0, 0
	if !good {
		step("goes upstream after all", t)
		return
	}
	t.known = max(t.known, value)
	if value < x.hitFloor {
		step(fmt.Sprintf("answers %d where %d was known", value, x.hitFloor), violated(t))
		return
	}
	step("answers out of its cache", t)
}
