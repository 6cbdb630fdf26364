package catalog

import (
	"cmp"
	"maps"
	"slices"
)

// Relations returns the tables and views that users made, of all kinds but temporary ones, by their schemas and names.
func (s *Snapshot) Relations() []*Relation {
	var list []*Relation
	for _, r := range s.byOID {
		if r.OID >= FirstNormalObjectID && r.Persistence != 't' {
			switch r.Kind {
			case 'r', 'p', 'v', 'm', 'f':
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Relation) int { return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name)) })
	return list
}

// UserFunctions returns the functions and procedures outside pg_catalog, those of extensions too, by schema, name and OID.
func (s *Snapshot) UserFunctions() []*Function {
	return slices.SortedFunc(maps.Values(s.byFunction), func(a, b *Function) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name), cmp.Compare(a.OID, b.OID))
	})
}
