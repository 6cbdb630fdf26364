package catalog

import (
	"slices"
	"strings"
)

// SearchPath is where a text looks for unqualified names.
type SearchPath struct {
	Schemas []string // in order
	// Doubtful is true where nobody knows which of the schemas counts: a name may mean what it names in any of them.
	Doubtful bool
}

// Anywhere is the path of a text of which nobody knows under which settings, or for which user, it is run.
func (s *Snapshot) Anywhere() SearchPath { return SearchPath{Schemas: s.Schemas(), Doubtful: true} }

// PathIn returns the path under which a function runs when it is called under another one. It is not ok where the function reads its own
// text with other settings than this package knows.
func (s *Snapshot) PathIn(f *Function, caller SearchPath) (own SearchPath, ok bool) {
	own = caller
	if f.Definer { // "$user" is another one then, and other schemas may be used
		own = s.Anywhere()
	}
	for _, setting := range f.Settings {
		name, value, _ := strings.Cut(setting, "=")
		switch strings.ToLower(name) {
		case "standard_conforming_strings":
			return own, false
		case "role", "session_authorization":
			return s.Anywhere(), true
		case "search_path":
			schemas, known := schemaList(value)
			if !known {
				return s.Anywhere(), true
			}
			// A schema that the user may not use is passed over.
			own = SearchPath{append([]string{systemSchema}, schemas...), len(schemas) > 1}
		}
	}
	return own, true
}

// schemaList reads a search_path as SplitIdentifierString does (src/backend/utils/adt/varlena.c), without the schemas that are searched
// anyway. It is not ok where the list is not understood, or names the schema of a user.
func schemaList(value string) (schemas []string, ok bool) {
	const spaces = " \t\n\r\f\v"
	value = strings.Trim(value, spaces)
	for value != "" {
		var name string
		if value[0] == '"' {
			end := endOfQuoted(value)
			if end < 0 {
				return nil, false
			}
			name, value = strings.ReplaceAll(value[1:end-1], `""`, `"`), value[end:]
		} else {
			end := strings.IndexAny(value, ",\""+spaces)
			if end < 0 {
				end = len(value)
			}
			name, value = strings.ToLower(value[:end]), value[end:]
		}
		value = strings.TrimLeft(value, spaces)
		rest, more := strings.CutPrefix(value, ",")
		rest = strings.TrimLeft(rest, spaces)
		if name == "$user" || value != "" && !more || more && rest == "" {
			return nil, false
		}
		if name != "" && name != "pg_temp" && name != systemSchema && !slices.Contains(schemas, name) {
			schemas = append(schemas, name)
		}
		value = rest
	}
	return schemas, true
}

func endOfQuoted(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '"' {
			return i + 1
		}
		i++
	}
	return -1
}
