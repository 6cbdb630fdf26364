package parser

import (
	"testing"
	"unicode/utf8"
)

// seeds are texts near the edges of scan.l and of every kind of command; testdata/fuzz holds what was found.
func seeds(f *testing.F) {
	for _, text := range spacingTexts {
		f.Add(text)
	}
	for _, test := range commandTests {
		f.Add(test.text)
	}
	f.Add("SELECT 'a' -- c\n'b' /* pgrecall: ttl=1s */;")
	f.Add("SELECT E'\\'' U&\"d\\0061t\" UESCAPE '!' $t$ $$ $t$ 1..2 @-1")
}

func FuzzCanonicalize(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) <= 4<<10 {
			checkCanonical(t, text)
		}
	})
}

func FuzzAnalyze(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		s := Analyze(text)
		if s.Size <= 0 || s.Size < len(s.Canonical) {
			t.Fatalf("size %d of a text of %d bytes", s.Size, len(s.Canonical))
		}
		if s.Err != nil {
			if s.Commands != nil {
				t.Fatal("commands beside an error")
			}
			return
		}
		if !utf8.ValidString(text) || len(text) > MaxText {
			t.Fatal("not refused")
		}
		for _, c := range s.Commands {
			switch {
			case c.Kind == KindUnknown && !c.ExecutesUnknown && !c.Unsupported:
				t.Fatalf("%q is unknown, but nothing says so", text)
			case c.Unsupported:
				t.Fatalf("%q: %s is not handled", text, c.UnsupportedWhat)
			case c.Kind == KindSelect && (len(c.Writes) > 0 || c.Into):
				t.Fatalf("%q is a SELECT that writes", text)
			case c.Kind == KindWrite && len(c.Writes) == 0:
				t.Fatalf("%q writes nothing", text)
			}
		}
		if again := Analyze(s.Canonical); again.Canonical != s.Canonical || len(again.Commands) != len(s.Commands) {
			t.Fatalf("the analysis of %q is another for its canonical text", text)
		}
	})
}
