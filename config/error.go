package config

import (
	"fmt"
	"strings"
)

// Error is one defect of the configuration.
type Error struct {
	// Source is the file, "--flag" or "PGRECALL_VARIABLE" that holds the defect.
	Source string
	// Line is the line in the file, from 1; 0 where there is none.
	Line int
	// Path is the place in the file, as "cache.l1_size" or "rules[0].match.tables[1]"; "" for all of it.
	Path string
	// What says what is wrong and what would be right.
	What string
}

// Error returns "file:line: path: what".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(e.Source)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.What)
	return b.String()
}

// Errors are all defects that one load found, in the order of the file, then variables, then flags.
type Errors []*Error

// Error returns the defects, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each *Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// err returns nil for no defects, so that an empty list never hides in a non-nil error.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
