package parser

import (
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// levelsOf is the depth of a message.
func levelsOf(m protoreflect.Message) int {
	deepest := 0
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				deepest = max(deepest, levelsOf(v.List().Get(i).Message()))
			}
		default:
			deepest = max(deepest, levelsOf(v.Message()))
		}
		return true
	})
	return deepest + 1
}

// seeds are texts near the edges of scan.l and of every kind of command; testdata/fuzz holds what was found.
func seeds(f *testing.F) {
	for _, text := range spacingTexts {
		f.Add(text)
	}
	for _, test := range commandTests {
		f.Add(test.text)
	}
	f.Add("SELECT 'a' -- c\n'b' /* pgrecall: ttl=1s */;")
	for _, test := range traceTests {
		f.Add(test.text)
	}
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
		if canonical, _, ok := Canonicalize(nil, text); ok {
			depth, _ := depthOf(string(canonical))
			tree, err := pg.Parse(string(canonical))
			if levels := levelsOf(tree.ProtoReflect()); err != nil || levels > 4*depth+20 {
				t.Fatalf("%q has %d levels, bounded by %d tokens: %v", text, levels, depth, err)
			}
		}
		if again := Analyze(s.Canonical); again.Canonical != s.Canonical || len(again.Commands) != len(s.Commands) {
			t.Fatalf("the analysis of %q is another for its canonical text", text)
		}
	})
}
