package parser

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"pgregory.net/rapid"
)

const traceComment = "action='%2Fa',traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',tracestate='a%3D1'"

var traceTests = []struct {
	text string
	want string // body of the comment
}{
	{"SELECT 1 /*" + traceComment + "*/", traceComment},
	{"SELECT 1 /*" + traceComment + "*/;", traceComment},
	{"SELECT 1; /*" + traceComment + "*/", traceComment},
	{"/*" + traceComment + "*/ SELECT 1", traceComment},
	{"/* pgrecall: off */ /*" + traceComment + "*/ SELECT 1", traceComment},
	{"SELECT 1 -- " + traceComment, " " + traceComment},
	{"/*traceparent='a'*/ SELECT 1 /*traceparent='b'*/", "traceparent='b'"},
	{"SELECT 1 /* /* nested */ traceparent='a'*/", " /* nested */ traceparent='a'"},
	{"SELECT $t$ /* $t$ /*traceparent='a'*/", "traceparent='a'"},
	{"/*traceparent='a'*/ SELECT 1; SELECT 2", "traceparent='a'"},

	{"SELECT 1 /*" + traceComment + "*/ + 1", ""},
	{"SELECT '/*" + strings.ReplaceAll(traceComment, "'", "''") + "*/'", ""},
	{"SELECT $$/*" + traceComment + "*/$$", ""},
	{"SELECT E'\\'/*traceparent='''", ""},
	{"SELECT 1 AS \"/*traceparent='a'*/\"", ""},
	{"SELECT 1 /*a_traceparent='x'*/", ""},
	{"SELECT 1 /*traceparent=x*/", ""},
}

func TestTraceComments(t *testing.T) {
	for _, test := range traceTests {
		_, d, ok := Canonicalize(nil, test.text)
		if !ok || test.text[d.TraceAt:d.TraceEnd] != test.want {
			t.Errorf("%s: %q, %v", test.text, test.text[d.TraceAt:d.TraceEnd], ok)
		}
		checkCanonical(t, test.text)
	}
}

// TestTraceCommentsDoNotMatter: before and behind a statement they leave its canonical text, and so its key, as it was, and other comments' meaning.
func TestTraceCommentsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(spacingTexts).Draw(t, "text")
		if rapid.Bool().Draw(t, "ruled") {
			text = "/* pgrecall: off */" + text
		}
		comment := "/*" + traceComment + "*/"
		with := rapid.SampledFrom([]string{comment + text, comment + "\n" + text, text + comment, text + " " + comment, text + ";" + comment, text + comment + ";"}).Draw(t, "with")
		want, ruled, _ := Canonicalize(nil, text)
		got, d, ok := Canonicalize(nil, with)
		if !ok || string(got) != string(want) || d.Off != ruled.Off || with[d.TraceAt:d.TraceEnd] != traceComment {
			t.Fatalf("%q became %q with %+v, want %q", with, got, d, want)
		}
		checkCanonical(t, with)
	})
}

// checkTrace holds the place of a trace context to PostgreSQL's scanner: it is a comment, all of it, and no token.
func checkTrace(t reporter, text string, d Directive) {
	t.Helper()
	scanned, err := pg.Scan(text)
	if err != nil {
		return
	}
	for _, token := range scanned.GetTokens() {
		from, to := uint32(token.GetStart()), uint32(token.GetEnd())
		switch token.GetToken() {
		case pg.Token_C_COMMENT:
			if from+2 == d.TraceAt && to-2 == d.TraceEnd {
				return
			}
		case pg.Token_SQL_COMMENT:
			if from+2 == d.TraceAt && to == d.TraceEnd {
				return
			}
		}
	}
	t.Fatalf("%q: no comment from %d to %d", text, d.TraceAt, d.TraceEnd)
}
