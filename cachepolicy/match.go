package cachepolicy

import (
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// subject is what rules look at: a statement that may be cached.
type subject struct {
	stmt     *parser.Statement
	scope    *Scope
	snapshot *catalog.Snapshot
	named    []*catalog.Relation // in the text
	all      []uint32            // named and what stands behind them
	settings []string            // Decision.Settings
	secured  bool                // Decision.RowSecurity

	normalized *string // computed when a rule asks for it
}

// decide applies the rules to a statement that may be cached.
func (p *Policy) decide(s *subject) Decision {
	d := Decision{
		Verdict: Cache, Relations: s.all, Settings: s.settings, RowSecurity: s.secured,
		TTL: p.DefaultTTL, MaxResult: int(p.MaxResult), Consistency: p.Consistency,
	}
	for i := range p.Rules {
		rule := &p.Rules[i]
		if !rule.matches(s) {
			continue
		}
		d.apply(rule)
		break
	}
	return d
}

func (r *Rule) matches(s *subject) bool {
	m := &r.Match
	switch {
	case m.Database != "" && !catalog.Glob(m.Database, s.scope.Database),
		m.User != "" && !catalog.Glob(m.User, s.scope.CurrentUser),
		m.Fingerprint != "" && m.fingerprint != s.stmt.Fingerprint(),
		(len(m.Tables) > 0 || m.Schema != "") && !r.matchesRelations(s):
		return false
	}
	return m.query == "" || catalog.Glob(m.query, s.text())
}

func (r *Rule) matchesRelations(s *subject) bool {
	if slices.ContainsFunc(s.named, r.Match.Relation) {
		return true
	}
	return r.Cache == CacheNever && slices.ContainsFunc(s.all, func(oid uint32) bool {
		relation := s.snapshot.ByOID(oid)
		return relation != nil && r.Match.Relation(relation)
	})
}

// Relation tells whether the relation is one that Tables and Schema are for.
func (m *Match) Relation(r *catalog.Relation) bool {
	if m.Schema != "" && !catalog.Glob(m.Schema, r.Schema) {
		return false
	}
	if len(m.Tables) == 0 {
		return true
	}
	return slices.ContainsFunc(m.Tables, func(pattern string) bool {
		return catalog.GlobName(pattern, r.Schema, r.Name)
	})
}

// text returns the statement's text without its constants, for patterns; the canonical text where there is no such form.
func (s *subject) text() string {
	if s.normalized == nil {
		text, err := parser.Normalize(s.stmt.Canonical)
		if err != nil {
			text = s.stmt.Canonical
		}
		text = fold(text)
		s.normalized = &text
	}
	return *s.normalized
}

// fold makes texts comparable that differ in case and blanks alone.
func fold(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }
