package report

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// long proposes longer TTLs for tables that nobody wrote. A rule with a TTL is for a statement that names one of its tables, whatever else it reads:
// so the other tables of such statements get a rule before it that keeps their TTL.
func (p *proposer) long() {
	ttl, watched := p.lifetime()
	now, err := time.ParseDuration(p.in.Traffic.Policy.DefaultTTL)
	if err != nil || ttl <= now {
		return
	}
	unwritten := p.unwritten()
	var still []*Table // in the order of the report
	for i := range p.r.Tables {
		if t := &p.r.Tables[i]; unwritten[tableKey{t.Database, t.Name}] != nil {
			still = append(still, t)
		}
	}
	known := p.joinsKnown()
	for _, t := range still {
		each := fmt.Sprintf("%s, no write, %s hits", plural(t.Reads, "read"), percent(t.HitRate))
		seen := unwritten[tableKey{t.Database, t.Name}]
		if seen.RenewedUnchanged > 0 {
			each += fmt.Sprintf("; %s too old and asked for anew, all unchanged", plural(seen.RenewedUnchanged, "result"))
		}
		if seen.Compared > 0 {
			each += fmt.Sprintf("; %s, no difference", plural(seen.Compared, "comparison"))
		}
		rule := Rule{Name: "never written", TTL: duration(ttl), rank: rankLong}
		switch {
		case watched && known && (seen.RenewedUnchanged > 0 || seen.Compared >= leastCompared):
			rule.Why = fmt.Sprintf("Nobody wrote these tables in %s. What is written past pgrecall is seen when the TTL is over: shorten it if somebody does so.", seconds(p.r.Seconds))
			t.Advice = "ttl: " + duration(ttl)
			p.guard(t, unwritten)
			p.p.moreBytes += grown(seen, t.ResultBytes, p.r.Seconds, ttl)
		default:
			rule.Name, rule.Ask, rule.rank = "never written, perhaps", true, rankAsk
			rule.Why = "Nobody wrote these tables, but too little was seen to be sure. If nobody writes them past pgrecall, a longer TTL saves more."
			t.Advice = "a longer TTL, if nobody writes it past pgrecall"
		}
		if rule := p.gather(t.Database, rule); len(rule.Tables) < mostTables {
			rule.Tables = append(rule.Tables, RuleTable{t.Name, each})
		}
	}
}

// lifetime returns the longer TTL, and whether the time was long enough to propose it.
func (p *proposer) lifetime() (ttl time.Duration, watched bool) {
	period := time.Duration(p.r.Seconds * float64(time.Second))
	ttl = steps[0]
	for _, s := range steps {
		if s <= period/watchedPerTTL {
			ttl = s
		}
	}
	return ttl, period >= leastWatched
}

// unwritten returns the tables of which nothing was written, that are read alone or with others of that kind, and that no rule is for yet. A view is
// none where what stands behind it was written: it is never read without. With each comes what was seen of it in statements that read nothing else.
func (p *proposer) unwritten() map[tableKey]*Figures {
	candidate := func(key tableKey) bool {
		t := p.of[key]
		return t != nil && key.usable() && !t.written() && t.RenewedChanged == 0 && t.Differed == 0 &&
			t.Reads >= leastReads && t.Verdict == Pays
	}
	set, ruled := map[tableKey]*Figures{}, map[tableKey]bool{}
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		if s.Verdict == NotCached {
			continue
		}
		alone := true
		for _, name := range s.Tables {
			key := tableKey{s.Database, name}
			alone = alone && candidate(key)
			if s.Rule != "" {
				ruled[key] = true
			}
		}
		for _, name := range s.Tables {
			if !alone {
				continue
			}
			key := tableKey{s.Database, name}
			if set[key] == nil {
				set[key] = &Figures{}
			}
			set[key].observe(&s.Figures)
		}
	}
	maps.DeleteFunc(set, func(key tableKey, seen *Figures) bool { // others of a fleet may have written it
		return ruled[key] || 100*seen.Invalidated > seen.Hits+seen.Misses
	})
	// A table that can't be named in a rule can't be guarded either.
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		if slices.ContainsFunc(s.Tables, func(name string) bool { return !(tableKey{s.Database, name}).usable() }) {
			for _, name := range s.Tables {
				delete(set, tableKey{s.Database, name})
			}
		}
	}
	return set
}

// joinsKnown tells whether nearly all statements are known by shape: else a table may be joined with others that nobody knows.
func (p *proposer) joinsKnown() bool {
	rest := figures(&p.in.Traffic.Rest)
	return 100*rest.Reads <= p.r.Summary.Reads
}

// guard keeps the TTL of what is read together with a table that is to have a longer one.
func (p *proposer) guard(t *Table, unwritten map[tableKey]*Figures) {
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		if s.Database != t.Database || !slices.Contains(s.Tables, t.Name) {
			continue
		}
		for _, name := range s.Tables {
			other := p.of[tableKey{s.Database, name}]
			if other == nil || unwritten[tableKey{s.Database, name}] != nil {
				continue
			}
			rule := p.gather(t.Database, Rule{
				Name: "read together with those", rank: rankGuard, TTL: p.in.Traffic.Policy.DefaultTTL,
				Why: "The TTL that these have now, stated so that the next rule does not apply where they are joined with its tables.",
			})
			if !slices.ContainsFunc(rule.Tables, func(r RuleTable) bool { return r.Name == name }) {
				rule.Tables = append(rule.Tables, RuleTable{name, plural(other.Writes, "write")})
			}
		}
	}
}

// grown estimates the memory that a longer TTL takes: that of the results that were new in such a time.
func grown(seen *Figures, each int64, watched float64, ttl time.Duration) int64 {
	fresh := max(seen.Misses-seen.Invalidated-seen.RenewedUnchanged-seen.RenewedChanged, 0)
	return int64(float64(fresh*each) * min(1, ttl.Seconds()/max(watched, 1)))
}

// observe adds what is evidence of how long results hold.
func (f *Figures) observe(o *Figures) {
	f.Hits, f.Misses, f.Compared = f.Hits+o.Hits, f.Misses+o.Misses, f.Compared+o.Compared
	f.Invalidated, f.RenewedUnchanged, f.RenewedChanged = f.Invalidated+o.Invalidated, f.RenewedUnchanged+o.RenewedUnchanged, f.RenewedChanged+o.RenewedChanged
}
