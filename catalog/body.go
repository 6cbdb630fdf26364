package catalog

import "github.com/pgrecall/pgrecall/parser"

// FunctionByOID returns a function that a user made, nil when there is none.
func (s *Snapshot) FunctionByOID(oid uint32) *Function { return s.byFunction[oid] }

// Body returns what a function's body may run, once per snapshot. The result has an error for functions of which
// nobody can tell.
func (s *Snapshot) Body(f *Function) *parser.Body {
	type key uint32
	body, _ := s.Memo(key(f.OID), func() any {
		if f.Standard {
			return parser.AnalyzeStandardBody(f.Source)
		}
		return parser.AnalyzeBody(f.Language, f.Source)
	}).(*parser.Body)
	return body
}

// DefaultsOf returns what the defaults of a function's arguments may run, once per snapshot.
func (s *Snapshot) DefaultsOf(f *Function) *parser.Body {
	type key uint32
	body, _ := s.Memo(key(f.OID), func() any { return parser.AnalyzeBody("sql", "SELECT "+f.DefaultValues) }).(*parser.Body)
	return body
}

// TriggerCondition returns what the WHEN of a trigger may run, once per snapshot.
func (s *Snapshot) TriggerCondition(t *Trigger) *parser.Body {
	type key string
	body, _ := s.Memo(key(t.Condition), func() any { return parser.AnalyzeTriggerCondition(t.Condition) }).(*parser.Body)
	return body
}
