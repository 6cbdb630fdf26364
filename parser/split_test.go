package parser_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/parser"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string][]parser.Part{
		"":                                  nil,
		" ;; -- nothing; at all\n; /* ; */": nil,
		"SELECT 1":                          {{"SELECT 1", 1}},
		"-- a; b\nSELECT 1;\n\n/* pgrecall: ttl=5s */\nSELECT ';', \"a;\" ;; -- end": {{"-- a; b\nSELECT 1", 2}, {"/* pgrecall: ttl=5s */\nSELECT ';', \"a;\"", 5}},
		"SELECT $$a;b$$; SELECT $1 <> E'ä\\';'\n;":                                   {{"SELECT $$a;b$$", 1}, {"SELECT $1 <> E'ä\\';'", 1}},
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3":          {{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", 1}, {"SELECT 3", 1}},
		"\\d goods;\nSELECT 1":  {{"\\d goods", 1}, {"SELECT 1", 2}},
		"SELECT (1;\n SELECT 2": {{"SELECT (1;\n SELECT 2", 1}}, // PostgreSQL would refuse it, too
	} {
		got, err := parser.Split(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	var e *parser.SplitError
	if _, err := parser.Split("SELECT 1;\nSELECT 'x;\n"); !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("an open literal: %v, line %d", err, e.Line)
	}
}
