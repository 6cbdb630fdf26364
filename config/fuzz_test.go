package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzLoad holds the loader to its contract for any text: it returns, a configuration or errors
// with their place, and what it accepts survives a round through the setters.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add(settingLine.ReplaceAllString(string(example), "$1$2"))
	f.Add("rules:\n  - {name: a, match: {tables: [b, 'c.*'], user: u}, ttl: 5s, cache: never}\n")
	f.Add("a: &a [*a, *a]\n? b\n: c\n<<: *a\n--- |\n x\n")
	f.Add("listen: [':1', ]\n\t\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		l := &file{name: "f", config: Defaults()}
		l.decode([]byte(text))
		l.check(false)
		err := l.errs.err()
		if err != nil {
			var defects Errors
			if !errors.As(err, &defects) {
				t.Fatalf("not Errors: %v", err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
			for _, d := range defects {
				if d.What == "" || d.Line < 0 || d.Line > lines {
					t.Errorf("a defect in line %d of %d: %+v", d.Line, lines, d)
				}
			}
			return
		}
		again := Defaults()
		for _, s := range settings() {
			values := s.get(l.config)
			if s.flag == "upstream" && values[0] == "" {
				continue
			}
			if err := s.set(again, values); err != nil {
				t.Errorf("%s: own value refused: %v", s.path, err)
			}
		}
		again.rulesText, again.functionsText, again.triggersText = l.config.rulesText, l.config.functionsText, l.config.triggersText
		if a, r := Changed(l.config, again); len(a)+len(r) > 0 {
			t.Errorf("changed by a round: %v %v", a, r)
		}
	})
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"", "1", "256MiB", "512kB", "9223372036854775807", "B", "1 MiB", "+1", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseBytes(s)
		if err != nil {
			return
		}
		if again, err := ParseBytes(FormatBytes(n)); err != nil || again != n {
			t.Errorf("%q -> %d -> %q -> %d, %v", s, n, FormatBytes(n), again, err)
		}
	})
}
