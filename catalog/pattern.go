package catalog

import "strings"

// Glob tells whether the pattern, in which * stands for any text, matches the whole of s. It takes time in
// proportion to the product of their lengths at worst.
func Glob(pattern, s string) bool {
	var p, i int
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// GlobName tells whether a pattern for the names of objects, name or schema.name, matches. Without a dot it does in any schema.
func GlobName(pattern, schema, name string) bool {
	inSchema, object, dotted := strings.Cut(pattern, ".")
	if !dotted {
		return Glob(pattern, name)
	}
	return Glob(inSchema, schema) && Glob(object, name)
}
