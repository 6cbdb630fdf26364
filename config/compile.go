package config

import (
	"errors"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// compile makes the policy ready for use and places its defects in the file.
func (f *file) compile() {
	if len(f.errs) > 0 {
		return // a rule that was not understood would be reported twice
	}
	err := f.config.Policy.Compile()
	if err == nil {
		return
	}
	causes := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		causes = joined.Unwrap()
	}
	for _, cause := range causes {
		e := &Error{What: cause.Error()}
		var defect *cachepolicy.RuleError
		if errors.As(cause, &defect) {
			e.Path = defect.Path
			if !strings.HasPrefix(e.Path, "rules") && !strings.HasPrefix(e.Path, "functions") && !strings.HasPrefix(e.Path, "triggers") {
				e.Path = "cache." + e.Path // where the file has the policy's defaults
			}
			e.What = strings.TrimPrefix(cause.Error(), defect.Path+": ")
		}
		if line := nearestLine(f.lines, e.Path); line > 0 {
			e.Source, e.Line = f.name, line
		}
		f.errs = append(f.errs, e)
	}
}

// nearestLine returns the line of the path, or of the nearest thing around it that the file has, 0 for none.
func nearestLine(lines map[string]int, path string) int {
	for path != "" {
		if line, ok := lines[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}
