package catalog

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Temporary is what is known of a session's temporary schema, where unqualified names of relations and types
// are looked up first (functions and operators never are: manual, section 20.11.1). The zero value: it has none.
type Temporary struct {
	Exists bool
	// Names are those of the relations and types in it, nil when they are not known. True are plain tables: writing
	// or reading one runs nothing and touches nothing else. All others may do anything: views, tables with triggers, rules, parents,
	// children, defaults or checks that call functions.
	Names map[string]bool
}

// Shadows tells whether an unqualified name may mean a temporary relation or type.
func (t Temporary) Shadows(name string) bool {
	if !t.Exists || t.Names == nil {
		return t.Exists
	}
	_, shadows := t.Names[name]
	return shadows
}

// Plain tells whether the name is known to be that of a plain table.
func (t Temporary) Plain(name string) bool { return t.Exists && t.Names[name] }

// RunsSomething tells whether reading or writing one of them may run or touch something else.
func (t Temporary) RunsSomething() bool {
	for _, plain := range t.Names {
		if !plain {
			return true
		}
	}
	return false
}

// TemporaryNames is an SQL expression, for the session itself, of what ParseTemporaryNames reads; NULL where the session has no
// temporary schema. It means the same under every search_path and client_encoding.
const TemporaryNames = `(SELECT pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_object_agg(n.name, n.plain)::pg_catalog.text, 'UTF8'), 'hex') FROM (
 SELECT c.relname AS name, (c.relkind OPERATOR(pg_catalog.=) 'r' AND NOT c.relhasrules AND NOT c.relhastriggers AND NOT c.relhassubclass AND NOT c.relrowsecurity
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
       JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) CASE WHEN t.typcategory OPERATOR(pg_catalog.=) 'A' THEN t.typelem ELSE t.oid END
     WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
       AND e.typtype OPERATOR(pg_catalog.<>) 'b' AND e.typtype OPERATOR(pg_catalog.<>) 'e' AND e.oid OPERATOR(pg_catalog.>=) '16384')
   AND NOT EXISTS (SELECT FROM (
       SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, d.oid FROM pg_catalog.pg_attrdef d WHERE d.adrelid OPERATOR(pg_catalog.=) c.oid
       UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid
       UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid OPERATOR(pg_catalog.=) c.oid) e (classid, objid)
     JOIN pg_catalog.pg_depend p ON p.classid OPERATOR(pg_catalog.=) e.classid AND p.objid OPERATOR(pg_catalog.=) e.objid
     WHERE (p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass OR p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass)
       AND p.refobjid OPERATOR(pg_catalog.>=) '16384')) AS plain
  FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
 UNION ALL SELECT t.typname, false FROM pg_catalog.pg_type t WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND t.typrelid OPERATOR(pg_catalog.=) '0') n
 WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) '0')`

// ParseTemporaryNames reads the value of TemporaryNames, "" for NULL.
func ParseTemporaryNames(value string) (map[string]bool, error) {
	if value == "" {
		return map[string]bool{}, nil
	}
	text, err := hex.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("temporary names: %w", err)
	}
	names := make(map[string]bool)
	if err := json.Unmarshal(text, &names); err != nil {
		return nil, fmt.Errorf("temporary names: %w", err)
	}
	return names, nil
}
