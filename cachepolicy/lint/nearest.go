package lint

import (
	"cmp"
	"slices"
	"strings"
)

// nearest returns up to three of the names, as schema.name, that are most like a pattern that matched none.
func nearest(pattern string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	wanted := strings.ToLower(strings.ReplaceAll(pattern, "*", ""))
	schema, object, dotted := strings.Cut(wanted, ".")
	if !dotted {
		schema, object = "", wanted
	}
	if object == "" {
		return nil
	}
	limit := max(1, min(3, (len([]rune(object))+1)/3))
	var found []candidate
	for _, name := range names {
		inSchema, own, qualified := strings.Cut(strings.ToLower(name), ".")
		if !qualified {
			inSchema, own = "", inSchema
		}
		d := edits(object, own)
		if d > limit && len(object) >= 3 && (strings.Contains(own, object) || len(own) >= 3 && strings.Contains(object, own)) {
			d = limit
		}
		if d > limit {
			continue
		}
		if dotted && inSchema != schema {
			d++
		}
		found = append(found, candidate{name, d})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var result []string
	for _, c := range found[:min(3, len(found))] {
		result = append(result, c.name)
	}
	return result
}

// edits is the Levenshtein distance of two texts.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(y)]
}

// meant words what to do about a pattern that matches nothing.
func meant(pattern string, names []string) string {
	near := nearest(pattern, names)
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}
