package wire

import (
	"fmt"
	"slices"
	"strings"
)

// compare returns "" when two transcripts are equal, else where they part, for people.
func compare(s *script, want, got []entry) string {
	for i := range max(len(want), len(got)) {
		if i < len(want) && i < len(got) && want[i].connection == got[i].connection && want[i].step == got[i].step && want[i].equal(got[i].frame) {
			continue
		}
		var text strings.Builder
		fmt.Fprintf(&text, "message %d differs\n", i+1)
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
