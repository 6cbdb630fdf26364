package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// reporter is what testing.TB and rapid.T share.
type reporter interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// treeOf returns the parse tree of a text without locations, "" and false when it has none.
func treeOf(tb reporter, text string) (string, bool) {
	tb.Helper()
	tree, err := pg.Parse(text)
	if err != nil {
		return "", false
	}
	stripLocations(tree.ProtoReflect())
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(tree)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b), true
}

func stripLocations(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(field.Name())
		switch {
		case field.Kind() == protoreflect.Int32Kind && (strings.HasSuffix(name, "location") || name == "stmt_len"):
			m.Clear(field)
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				stripLocations(v.List().Get(i).Message())
			}
		default:
			stripLocations(v.Message())
		}
		return true
	})
}

// checkCanonical checks all that Canonicalize promises of one text.
func checkCanonical(t reporter, text string) {
	t.Helper()
	prefix := []byte("kept")
	got, directive, ok := Canonicalize(prefix, text)
	fromBytes, sameDirective, sameOK := Canonicalize(nil, []byte(text))
	if ok != sameOK || directive != sameDirective || string(got[len(prefix):]) != string(fromBytes) {
		t.Fatalf("string and bytes differ for %q: %q, %q", text, got, fromBytes)
	}
	if !strings.HasPrefix(string(got), "kept") {
		t.Fatalf("dst was changed: %q", got)
	}
	if !ok {
		if len(got) != len(prefix) {
			t.Fatalf("not ok, but %q was appended", got)
		}
		return
	}
	canonical := string(fromBytes)
	if len(canonical) > len(text) {
		t.Fatalf("%q grew to %q", text, canonical)
	}
	if again, _, ok := Canonicalize(nil, canonical); !ok || string(again) != canonical {
		t.Fatalf("not idempotent: %q, then %q, %v", canonical, again, ok)
	}
	if bounded(canonical, true) != nil {
		return
	}
	before, parsed := treeOf(t, text)
	if parsed && directive.TraceEnd != 0 {
		checkTrace(t, text, directive)
	}
	// libpg_query's scanner, unlike PostgreSQL's, ends a literal where a -- comment stands before its
	// continuation; the canonical form has a newline there, which both read alike.
	if !parsed && strings.Contains(canonical, "'\n'") && strings.Contains(text, "--") {
		return
	}
	after, stillParsed := treeOf(t, canonical)
	if parsed != stillParsed || before != after {
		t.Fatalf("trees differ:\n%q parsed %v\n%q parsed %v", text, parsed, canonical, stillParsed)
	}
}
