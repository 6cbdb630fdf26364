package catalog

import (
	"slices"
	"sync"

	"github.com/pgrecall/pgrecall/parser"
)

// FirstNormalObjectID is the lowest OID of an object that wasn't made by initdb
// (FirstNormalObjectId in PostgreSQL's access/transam.h).
const FirstNormalObjectID = 16384

// systemSchema is the schema that PostgreSQL searches even where search_path doesn't name it.
const systemSchema = "pg_catalog"

// Relation returns the relation of this schema and name, nil when there is none.
func (s *Snapshot) Relation(schema, relation string) *Relation {
	return s.relations[name{schema, relation}]
}

// ByOID returns the relation with this OID, nil when there is none.
func (s *Snapshot) ByOID(oid uint32) *Relation { return s.byOID[oid] }

// Resolve finds the relation that a name means in a session whose current_schemas(true) are
// schemas: the first schema that has the name, or the named schema only. Temporary relations are
// not part of a snapshot: callers must rule them out.
func (s *Snapshot) Resolve(schemas []string, schema, relation string) (*Relation, bool) {
	if schema != "" {
		r := s.relations[name{schema, relation}]
		return r, r != nil
	}
	for _, candidate := range schemas {
		if r := s.relations[name{candidate, relation}]; r != nil {
			return r, true
		}
	}
	return nil, false
}

// Functions returns all functions that a call by this name may mean: those of every schema in
// the path when the name isn't qualified, since PostgreSQL chooses among all of them by argument
// types (manual, section 10.3). The caller must not change the result.
func (s *Snapshot) Functions(schemas []string, schema, function string) []*Function {
	return inSchemas(s.functions[function], schemas, schema, func(f *Function) string { return f.Schema })
}

// Operators returns all operators that a symbol may mean, as Functions does.
func (s *Snapshot) Operators(schemas []string, schema, operator string) []*Operator {
	return inSchemas(s.operators[operator], schemas, schema, func(o *Operator) string { return o.Schema })
}

// Type returns the type that a name means, nil when there is none.
func (s *Snapshot) Type(schemas []string, schema, typ string) *Type {
	if schema != "" {
		return s.types[name{schema, typ}]
	}
	if !slices.Contains(schemas, systemSchema) {
		if t := s.types[name{systemSchema, typ}]; t != nil {
			return t
		}
	}
	for _, candidate := range schemas {
		if t := s.types[name{candidate, typ}]; t != nil {
			return t
		}
	}
	return nil
}

// TypeByOID returns the type with this OID, nil when there is none.
func (s *Snapshot) TypeByOID(oid uint32) *Type { return s.typeByOID[oid] }

// Memo returns the value that compute gave for this key once, and keeps it for as long as the
// snapshot lives. compute may run more than once when goroutines race; one result is kept.
func (s *Snapshot) Memo(key any, compute func() any) any {
	if value, ok := s.memo.Load(key); ok {
		return value
	}
	value, _ := s.memo.LoadOrStore(key, compute())
	return value
}

// ViewStatement returns what analyze says of a view's definition, once per snapshot.
func (s *Snapshot) ViewStatement(view *Relation, analyze func(text string) *parser.Statement) *parser.Statement {
	type key uint32
	statement, _ := s.Memo(key(view.OID), func() any { return analyze(view.ViewDefinition) }).(*parser.Statement)
	return statement
}

// memo is a Snapshot's store for what others derive from it alone.
type memo = sync.Map

// inSchemas filters candidates by schema. The common case, that all of them are reachable, costs
// no allocation.
func inSchemas[T any](all []*T, schemas []string, schema string, schemaOf func(*T) string) []*T {
	reachable := func(candidate *T) bool {
		of := schemaOf(candidate)
		if schema != "" {
			return of == schema
		}
		return of == systemSchema || slices.Contains(schemas, of)
	}
	for i, candidate := range all {
		if !reachable(candidate) {
			kept := slices.Clone(all[:i])
			for _, rest := range all[i+1:] {
				if reachable(rest) {
					kept = append(kept, rest)
				}
			}
			return kept
		}
	}
	return all
}
