package proxy

import (
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
)

// lookup returns the entry that may be served under the key at this moment, nil when there is none.
func (s *session) lookup(key cache.Key, directive parser.Directive) *cache.Entry {
	entry := s.srv.L1.Get(key)
	if entry == nil || !s.fresh(key, entry, directive) {
		return nil
	}
	return entry
}

// fresh tells whether an entry may be served: nothing that it depends on has changed or is about to, and it is
// young enough for the rule of today.
func (s *session) fresh(key cache.Key, entry *cache.Entry, directive parser.Directive) bool {
	live := s.srv.fleet == nil || s.srv.fleet.Live() // before the stamp is looked at
	number := s.srv.policy.Load().number
	rule := entry.Source.Rule(number)
	if rule == nil { // the policy has changed since
		p := s.plan(entry.Source.Statement)
		if p.decision.Verdict != cachepolicy.Cache {
			return false
		}
		rule = entry.Source.SetRule(number, p.rule())
	}
	if ageOnly := s.ageOnly(rule.AgeOnly); !s.srv.holds(entry, ageOnly) || !ageOnly && !live && s.needsCertainty() || s.outdated() {
		return false
	}
	left := entry.Left(key, s.frontend.received, ttlOf(rule, directive))
	if left > 0 && left >= entry.Origin*s.srv.early.reach.Load() {
		return true
	}
	return s.nearEnd(key, entry, rule, directive, left)
}

// ttlOf returns how long an entry may answer a statement.
func ttlOf(rule *cache.Rule, directive parser.Directive) time.Duration {
	if directive.TTL != "" {
		if d, err := time.ParseDuration(directive.TTL); err == nil {
			return d
		}
	}
	return rule.TTL
}

// holds tells whether nothing that an entry depends on has changed or is about to; where its age alone decides, whether no definition and
// no right has.
func (srv *Server) holds(entry *cache.Entry, ageOnly bool) bool {
	if srv.flushes.covers(entry) {
		return false
	}
	if ageOnly {
		return srv.slots.Load(entry.Stamp[0].Slot) == entry.Stamp[0].Word
	}
	return srv.slots.Valid(entry.Stamp)
}

// needsCertainty tells whether a hit has to be sure of what other proxies did.
func (s *session) needsCertainty() bool {
	return s.srv.strict && s.frontend.scope.consistency != "session" || s.frontend.scope.consistency == "strict"
}

// ageOnly tells whether the age of an entry alone decides, given what the rule says: the session may ask for another
// consistency (pgrecall.consistency). Every session of one proxy reads its own writes, and those of others, too.
func (s *session) ageOnly(rule bool) bool {
	switch s.frontend.scope.consistency {
	case "strict", "session":
		return false
	case "ttl":
		return true
	}
	return rule
}
