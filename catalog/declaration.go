package catalog

import "slices"

// Declarations are what somebody who knows says of functions and triggers: it counts more than what their text shows. Nil declares nothing.
// They are immutable once in use.
type Declarations struct {
	Functions []FunctionDeclaration `yaml:"functions"` // the first that matches counts
	Triggers  []TriggerDeclaration  `yaml:"triggers"`
}

// FunctionDeclaration says what functions and procedures outside pg_catalog do when they are called. They change no
// setting and define nothing.
type FunctionDeclaration struct {
	Name string `yaml:"name"` // pattern: name, or schema.name
	// Effects is "none" for functions that write nothing.
	Effects Effects `yaml:"effects"`
	// Reads and Writes are patterns for relations, as in rules. Reads is everything that the answer depends on, Writes everything
	// that is written; what triggers and foreign keys of these do follows by itself. A name that matches nothing makes the declaration void.
	Reads  []string `yaml:"reads"`
	Writes []string `yaml:"writes"`
	// Cache allows answers of VOLATILE functions in the cache: they depend on the arguments and on Reads alone.
	Cache bool `yaml:"cache"`
}

// TriggerDeclaration says what triggers do when they fire.
type TriggerDeclaration struct {
	Name    string   `yaml:"name"`  // pattern
	Table   string   `yaml:"table"` // pattern: name, or schema.name; "" for any
	Effects Effects  `yaml:"effects"`
	Writes  []string `yaml:"writes"`
}

// Effects is a word for what a function or trigger does.
type Effects string

// EffectsNone is the word for: writes nothing.
const EffectsNone Effects = "none"

// Function returns what is declared of a function, nil for nothing.
func (d *Declarations) Function(f *Function) *FunctionDeclaration {
	if d == nil || f.Builtin {
		return nil
	}
	for i := range d.Functions {
		if GlobName(d.Functions[i].Name, f.Schema, f.Name) {
			return &d.Functions[i]
		}
	}
	return nil
}

// Without returns the declarations but for those that are for the function.
func (d *Declarations) Without(f *Function) *Declarations {
	rest := &Declarations{Triggers: d.Triggers}
	for _, declared := range d.Functions {
		if !GlobName(declared.Name, f.Schema, f.Name) {
			rest.Functions = append(rest.Functions, declared)
		}
	}
	return rest
}

// Trigger returns what is declared of a trigger on a relation, nil for nothing.
func (d *Declarations) Trigger(t *Trigger, on *Relation) *TriggerDeclaration {
	if d == nil {
		return nil
	}
	for i := range d.Triggers {
		declared := &d.Triggers[i]
		if Glob(declared.Name, t.Name) && (declared.Table == "" || GlobName(declared.Table, on.Schema, on.Name)) {
			return declared
		}
	}
	return nil
}

// Matching returns the relations outside the system's schemas that the patterns match, in the order of their OIDs. It is not ok where a pattern
// matches none.
func (s *Snapshot) Matching(patterns []string) (relations []*Relation, ok bool) {
	for _, pattern := range patterns {
		found := false
		for _, r := range s.byOID {
			if r.OID >= FirstNormalObjectID && GlobName(pattern, r.Schema, r.Name) {
				found = true
				if !slices.Contains(relations, r) {
					relations = append(relations, r)
				}
			}
		}
		if !found {
			return nil, false
		}
	}
	slices.SortFunc(relations, func(a, b *Relation) int { return int(int64(a.OID) - int64(b.OID)) })
	return relations, true
}
