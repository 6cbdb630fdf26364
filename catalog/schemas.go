package catalog

import (
	"maps"
	"slices"
)

type schemasKey struct{}

// Schemas returns the names of all schemas that hold something, sorted: where a session's search_path is not known, a name may mean
// what it names in any of them. The caller must not change the result.
func (s *Snapshot) Schemas() []string {
	schemas, _ := s.Memo(schemasKey{}, func() any {
		all := map[string]bool{systemSchema: true}
		for n := range s.relations {
			all[n.schema] = true
		}
		for n := range s.types {
			all[n.schema] = true
		}
		for _, functions := range s.functions {
			for _, f := range functions {
				all[f.Schema] = true
			}
		}
		for _, operators := range s.operators {
			for _, o := range operators {
				all[o.Schema] = true
			}
		}
		return slices.Sorted(maps.Keys(all))
	}).([]string)
	return schemas
}
