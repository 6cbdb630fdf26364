package cachepolicy

import "testing"

func TestEveryReasonHasItsSentences(t *testing.T) {
	seen := map[string]Reason{}
	for _, r := range Reasons {
		what, change := r.Meaning()
		if what == "" || change == "" {
			t.Errorf("%s has no sentences", r)
		}
		if other, twice := seen[what]; twice {
			t.Errorf("%s and %s mean the same", r, other)
		}
		seen[what] = r
	}
}
