package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseGitea(t *testing.T) {
	found, err := parseGitea(strings.NewReader(`=== RUN   TestA
=== TestA (a_test.go:1)
=== RUN   TestA/b
    a_test.go:5: 2026/01/01 --- something
--- PASS: TestA (0.10s)
    --- PASS: TestA/b (0.05s)
=== RUN   TestC
+++ TestC is a slow test--- FAIL: TestC (11.00s)
=== RUN   TestD
--- SKIP: TestD (0.00s)
=== RUN   TestE
panic: over
`))
	want := results{"TestA": passed, "TestA/b": passed, "TestC": failed, "TestD": skipped, "TestE": failed, giteaEnd: failed}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
	found, err = parseGitea(strings.NewReader("--- FAIL: TestC (11.00s)\nFAIL\n"))
	if want := (results{"TestC": failed, giteaEnd: passed}); err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
}

func TestUncachedTable(t *testing.T) {
	var out strings.Builder
	uncachedTable(&out, []*report{{suite: &suite{name: "S"}, route: "pgrecall", uncached: []uncached{
		{Query: "select a\n from `b` || c", Reason: "x", Detail: "now", Count: 2, Seconds: 1.5},
		{Query: "select 2", Reason: "y", Count: 1, Seconds: 1},
		{Query: "select 3", Reason: "x", Count: 3, Seconds: 0.5},
	}}, {suite: &suite{name: "S"}, route: "direct"}})
	want := []string{
		"| `x` | 2.0 | 5 | `select a from 'b' \\|\\| c` (now)<br>`select 3` |",
		"| `y` | 1.0 | 1 | `select 2` |",
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got := lines[len(lines)-2:]; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
