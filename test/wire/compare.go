package wire

import (
	"fmt"
	"slices"
	"strings"
)

// mostDifferences is how many steps with a difference are shown.
const mostDifferences = 4

// compare returns "" when two transcripts are equal, else where they part, for people: the first
// difference of each step, since steps wait for their messages and so fall in line again.
func compare(s *script, want, got []entry) string {
	if slices.EqualFunc(want, got, entry.equal) {
		return ""
	}
	var differences []string
	for step := -1; step < len(s.steps) && len(differences) < mostDifferences; step++ {
		if difference := compareStep(s, ofStep(want, step), ofStep(got, step)); difference != "" {
			differences = append(differences, difference)
		}
	}
	if len(differences) == 0 {
		return "the same messages in another order of steps"
	}
	return strings.Join(differences, "\n")
}

func (e entry) equal(other entry) bool {
	return e.connection == other.connection && e.step == other.step && e.frame.equal(other.frame)
}

func ofStep(transcript []entry, step int) []entry {
	return slices.DeleteFunc(slices.Clone(transcript), func(e entry) bool { return e.step != step })
}

func compareStep(s *script, want, got []entry) string {
	for i := range max(len(want), len(got)) {
		if i < len(want) && i < len(got) && want[i].equal(got[i]) {
			continue
		}
		var text strings.Builder
		fmt.Fprintf(&text, "message %d of the step differs\n", i+1)
		for _, e := range want[max(0, i-3):i] {
			fmt.Fprintf(&text, "      both %s\n", describe(s, e, e.brief()))
		}
		text.WriteString("  expected " + at(s, want, i) + "\n       got " + at(s, got, i))
		return text.String()
	}
	return ""
}

func at(s *script, transcript []entry, i int) string {
	if i >= len(transcript) {
		return "nothing"
	}
	return describe(s, transcript[i], transcript[i].full())
}

func describe(s *script, e entry, text string) string {
	where := "after the last step"
	if e.step >= 0 {
		where = fmt.Sprintf("line %d", s.steps[e.step].line)
	}
	return fmt.Sprintf("%s, %s: %s", where, e.connection, text)
}

// compareGolden returns "" when the script holds the output, else the first difference.
func compareGolden(s *script, outputs map[int][]string) string {
	for i, st := range s.steps {
		if st.verb == verbUntil && !slices.Equal(st.golden, outputs[i]) {
			return fmt.Sprintf("line %d: PostgreSQL's answer is not the one in the script (-update writes it)\nin the script:\n%s\nanswer:\n%s",
				st.line, strings.Join(st.golden, "\n"), strings.Join(outputs[i], "\n"))
		}
	}
	return ""
}
