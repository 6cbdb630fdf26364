package main

import (
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
)

// policyInForce writes a policy in the words of the configuration's file. No list is nil.
func policyInForce(p *cachepolicy.Policy) admin.Policy {
	shown := admin.Policy{
		DefaultTTL: config.FormatDuration(p.DefaultTTL), MaxResult: config.FormatBytes(int64(p.MaxResult)), Consistency: config.ConsistencyWord(p.Consistency),
		Rules: []admin.RuleText{}, Functions: []admin.Declared{}, Triggers: []admin.Declared{},
	}
	duration := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return config.FormatDuration(d)
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		m := &r.Match
		text := admin.RuleText{
			Name: r.Name, Cache: string(r.Cache), TTL: duration(r.TTL),
			StaleWhileRevalidate: duration(r.StaleWhileRevalidate), StaleIfError: duration(r.StaleIfError),
			Match: admin.MatchText{Tables: m.Tables, Schema: m.Schema, Database: m.Database, User: m.User, Fingerprint: m.Fingerprint, Query: m.Query},
		}
		if r.MaxResult > 0 {
			text.MaxResult = config.FormatBytes(int64(r.MaxResult))
		}
		if r.Consistency != nil {
			text.Consistency = config.ConsistencyWord(*r.Consistency)
		}
		shown.Rules = append(shown.Rules, text)
	}
	if p.Declared == nil {
		return shown
	}
	for _, f := range p.Declared.Functions {
		shown.Functions = append(shown.Functions, admin.Declared{Name: f.Name, Effects: string(f.Effects), Reads: f.Reads, Writes: f.Writes, Cache: f.Cache})
	}
	for _, t := range p.Declared.Triggers {
		shown.Triggers = append(shown.Triggers, admin.Declared{Name: t.Name, Table: t.Table, Effects: string(t.Effects), Writes: t.Writes})
	}
	return shown
}
