package cachepolicy

import (
	"regexp"
	"strings"
)

// renames tells whether a text may give the name of a column to something else, so that the relations'
// columns don't tell what the name means. It errs towards true: only a text with one SELECT and no list of column
// aliases is trusted, since nothing can be renamed in it but for the result.
func renames(text, column string) bool {
	text = strings.ToLower(text)
	if len(queryWord.FindAllStringIndex(text, 2)) != 1 {
		return true
	}
	_, from, found := strings.Cut(text, "from")
	if !found {
		return true
	}
	// FROM t AS x (a, column) renames; so does FROM f() AS x (column text).
	for {
		at := strings.Index(from, column)
		if at < 0 {
			return false
		}
		before := strings.TrimRight(from[:at], ` "`)
		from = from[at+len(column):]
		after := strings.TrimLeft(from, ` "`)
		if before == "" || strings.IndexByte("(,", before[len(before)-1]) < 0 || after == "" {
			continue
		}
		if after[0] == ',' || after[0] == ')' || after[0] >= 'a' && after[0] <= 'z' {
			return true
		}
	}
}

var queryWord = regexp.MustCompile(`\b(select|values|with|table)\b`) //nolint:gochecknoglobals // constant
