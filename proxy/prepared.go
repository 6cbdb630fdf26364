package proxy

import (
	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/wire"
)

// newPrepared reads the text of a Parse message.
func (s *session) newPrepared(name, text, types []byte) *prepared {
	p := &prepared{name: string(name), epoch: s.srv.settingsEpoch.Load()}
	statement, canonical, directive := s.read(text)
	if statement == nil {
		statement = s.srv.Statements.Analyze(canonical)
	}
	p.statement, p.directive = statement, directive
	p.digest = cache.StatementDigest(canonical, types)
	p.types = declaredTypes(types)
	if s.srv.Observer != nil && directive.TraceEnd != 0 {
		p.parent = &parsedContext{traceContext(text, directive), s.now()}
	}
	return p
}

// learnFor learns the session's scope when a statement needs it and does not change it. The session must be known idle.
func (s *session) learnFor(p *prepared) {
	f := &s.frontend
	s.checkScope()
	if plan := s.planOf(p); s.unlearnt(plan) && f.known && !plan.touched.Settings {
		s.learnScope(plan)
	}
}

// planOf returns the plan of a prepared statement in the session's scope.
func (s *session) planOf(p *prepared) *plan {
	if p == nil || p.statement == nil || p.failed.Load() {
		return s.unknownPlan()
	}
	if p.before != nil {
		if p.parsed.Load() {
			p.before = nil
		} else if p.cycle != s.frontend.cycles {
			return s.unknownPlan() // the name may stand for another statement still: the server may have skipped this one
		}
	}
	if p.cached.valid(s.srv, s.frontend.database, s.frontend.scope) {
		return p.cached
	}
	p.cached = s.plan(p.statement)
	p.odd = oddTypes(p.types, p.cached.snapshot)
	return p.cached
}

// find returns the prepared statement of a name as it stands after the held messages.
func (f *frontend) find(name []byte) *prepared {
	for i := len(f.cycle.held) - 1; i >= 0; i-- {
		h := &f.cycle.held[i]
		if h.prepared != nil && h.prepared.name == string(name) {
			switch {
			case h.typ == wire.Parse:
				return h.prepared
			case h.typ == wire.Close && h.kind == 'S':
				return nil
			}
		}
	}
	return f.named(name)
}

// findPortal returns the portal of a name as it stands after the held messages.
func (f *frontend) findPortal(name []byte) *portal {
	for i := len(f.cycle.held) - 1; i >= 0; i-- {
		h := &f.cycle.held[i]
		if h.name == string(name) {
			switch {
			case h.typ == wire.Bind:
				return h.portal
			case h.typ == wire.Close && h.kind == 'P':
				return nil
			}
		}
	}
	return f.portals[string(name)]
}
