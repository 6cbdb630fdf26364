package cachepolicy

import (
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
)

// compileDeclarations checks what is declared of functions and triggers.
func (p *Policy) compileDeclarations(defect func(path, what, value string)) {
	if p.Declared == nil {
		return
	}
	for i := range p.Declared.Functions {
		f := &p.Declared.Functions[i]
		at := "functions[" + strconv.Itoa(i) + "]"
		switch {
		case strings.ContainsAny(f.Name, "()"):
			defect(at+".name", "takes no argument types: it means all functions of that name", f.Name)
		default:
			compilePattern(at+".name", "function", f.Name, defect)
		}
		compileEffects(at, f.Effects, f.Writes, defect)
		patterns(at+".reads", f.Reads, defect)
		switch {
		case f.Cache && len(f.Writes) > 0:
			defect(at+".cache", "has no meaning for a function that writes", "")
		case f.Cache && f.Effects == "" && len(f.Reads) == 0:
			defect(at+".cache", "needs reads, or effects: none for a function that reads no relation", "")
		case f.Effects == "" && len(f.Reads)+len(f.Writes) == 0:
			defect(at, "says nothing: it needs effects, reads or writes", "")
		}
	}
	for i := range p.Declared.Triggers {
		t := &p.Declared.Triggers[i]
		at := "triggers[" + strconv.Itoa(i) + "]"
		if t.Name == "" || strings.TrimSpace(t.Name) != t.Name {
			defect(at+".name", "must be the name of a trigger, * for any", t.Name)
		}
		if t.Table != "" {
			compilePattern(at+".table", "table", t.Table, defect)
		}
		compileEffects(at, t.Effects, t.Writes, defect)
		if t.Effects == "" && len(t.Writes) == 0 {
			defect(at, "says nothing: it needs effects or writes", "")
		}
	}
}

func compileEffects(at string, effects catalog.Effects, writes []string, defect func(path, what, value string)) {
	switch {
	case effects != "" && effects != catalog.EffectsNone:
		defect(at+".effects", "must be none", string(effects))
	case effects != "" && len(writes) > 0:
		defect(at+".writes", "contradicts effects: none", "")
	}
	patterns(at+".writes", writes, defect)
}

func patterns(at string, list []string, defect func(path, what, value string)) {
	for i, pattern := range list {
		compilePattern(at+"["+strconv.Itoa(i)+"]", "table", pattern, defect)
	}
}
