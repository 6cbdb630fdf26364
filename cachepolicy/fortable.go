package cachepolicy

import "github.com/pgrecall/pgrecall/catalog"

// TableRule is what a policy says of the statements that read one relation alone.
type TableRule struct {
	// Decision is without what depends on the statement. Its Rule is the first that holds for all of them, nil for none.
	Decision
	// Partly are rules before that one which hold for some of them, by their user, fingerprint or text.
	Partly []*Rule
}

// ForTable tells which rules hold for a relation of a database. Rules that say never hold for views over it, too, which is not told here.
func (p *Policy) ForTable(database string, r *catalog.Relation) TableRule {
	t := TableRule{Decision: Decision{Verdict: Cache, TTL: p.DefaultTTL, MaxResult: int(p.MaxResult), Consistency: p.Consistency}}
	for i := range p.Rules {
		rule := &p.Rules[i]
		m := &rule.Match
		if m.Database != "" && !catalog.Glob(m.Database, database) || !m.Relation(r) {
			continue
		}
		if m.User != "" || m.Fingerprint != "" || m.query != "" {
			t.Partly = append(t.Partly, rule)
			continue
		}
		t.apply(rule)
		break
	}
	return t
}

// apply takes over what a rule says.
func (d *Decision) apply(rule *Rule) {
	d.Rule = rule
	if rule.TTL > 0 {
		d.TTL = rule.TTL
	}
	if rule.MaxResult > 0 {
		d.MaxResult = int(rule.MaxResult)
	}
	if rule.Consistency != nil {
		d.Consistency = *rule.Consistency
	}
	d.StaleWhileRevalidate, d.StaleIfError = rule.StaleWhileRevalidate, rule.StaleIfError
	if rule.Cache == CacheNever {
		d.Verdict, d.Reason, d.Detail = Bypass, ReasonRuleNever, rule.Name
	}
}
