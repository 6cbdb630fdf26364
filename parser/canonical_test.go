package parser

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonicalize(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{" ; ;\n", ""},
		{"SELECT  1 ;", "select 1"},
		{"SELECT 1; ; -- end", "select 1"},
		{"SELECT 1;SELECT 2;", "select 1;select 2"},
		{"/* a */ SELECT /* b /* nested */ */ 1 -- c", "select 1"},
		{"SELECT/**/1", "select 1"},
		{"SELECT 1/*/ not the end */+2", "select 1 +2"},
		{"SELECT 1 /***/ + /**** x ****/ 2", "select 1 + 2"},
		{"SELECT 1--2\r+3", "select 1 +3"},
		{"SELECT a-- b\n-c", "select a -c"},
		{"SELECT 1+/*c*/-2", "select 1+ -2"},
		{"SELECT @-1, a @> b, a->>'K'", "select @-1, a @> b, a->>'K'"},
		{"SELECT 'It''s  A' , \"Quoted  \"\"Name\"", "select 'It''s  A' , \"Quoted  \"\"Name\""},
		{"SELECT 'a'\n  'b'", "select 'a'\n'b'"},
		{"SELECT 'a' -- c\n -- d\n'b'", "select 'a'\n'b'"},
		{"SELECT 'a' 'b'", "select 'a' 'b'"},
		{"SELECT 'a'\n/* c */ 'b'", "select 'a' 'b'"},
		{"SELECT 'a' /* c\n */ 'b'", "select 'a' 'b'"},
		{"SELECT 'a'\nFROM t", "select 'a' from t"},
		{"SELECT \"a\"\n'b'", "select \"a\" 'b'"},
		{"SELECT E'a\\'B''\\\\'\n 'c\\'D' X", "select e'a\\'B''\\\\'\n'c\\'D' x"},
		{"SELECT 'a\\'\n, 'B'", "select 'a\\' , 'B'"},
		{"SELECT B'01', X'AF', N'Nn', U&'\\0041', U&\"D\\0061t\" UESCAPE '!'",
			"select b'01', x'AF', n'Nn', u&'\\0041', u&\"D\\0061t\" uescape '!'"},
		{"SELECT U&B", "select u&b"},
		{"SELECT $$ It's -- /* $$, $Tag$ $$ $tag$ $Tag$", "select $$ It's -- /* $$, $Tag$ $$ $tag$ $Tag$"},
		{"SELECT A$b$C, $1, $22", "select a$b$c, $1, $22"},
		{"SELECT 1.5E+10, .5, 5., 1e5, a.B.c", "select 1.5E+10, .5, 5., 1e5, a.b.c"},
		{"SELECT (1..2)", "select (1..2)"},
		{"SELECT ÄÖ, ä", "select ÄÖ, ä"},
		{"SELECT a::INT4[ 1 ]", "select a::int4[ 1 ]"},
	} {
		got, _, ok := Canonicalize(nil, test.text)
		if !ok || string(got) != test.want {
			t.Errorf("Canonicalize(%q) = %q, %v, want %q", test.text, got, ok, test.want)
		}
		checkCanonical(t, test.text)
	}
}

func TestCanonicalizeRefuses(t *testing.T) {
	for _, text := range []string{
		"SELECT 'a", "SELECT E'a\\'", "SELECT \"a", "SELECT $$a$", "SELECT $a$ $A$", "SELECT /* a", "SELECT /* /* */",
		"SELECT $a", "SELECT 'a\x00'", "SELECT \x00", "SELECT -- \x00", "SELECT /*\x00*/ 1", "SELECT $$\x00$$",
		"SELECT 0x1F", "SELECT 1_000", "SELECT 1a", "SELECT 1é", "SELECT 1e", "SELECT 1e+", "SELECT 1.a", "SELECT $1a",
		"SELECT\v1", "SELECT {fn now()}", "SELECT \\d", strings.Repeat("/*", 65) + strings.Repeat("*/", 65),
		"SELECT U&'a", "SELECT U&\"a", "SELECT $", "SELECT E'\\\x00'",
	} {
		if got, _, ok := Canonicalize(nil, text); ok || len(got) > 0 {
			t.Errorf("Canonicalize(%q) = %q, want it refused", text, got)
		}
		checkCanonical(t, text)
	}
}

func TestDirective(t *testing.T) {
	for _, test := range []struct {
		text string
		want Directive
	}{
		{"SELECT 1", Directive{}},
		{"/* pgrecall: off */ SELECT 1", Directive{Off: true}},
		{"/*pgrecall:off*/SELECT 1", Directive{Off: true}},
		{"-- pgrecall: off\nSELECT 1", Directive{Off: true}},
		{"SELECT 1 /* pgrecall: ttl=30s */ ; ", Directive{TTL: "30s"}},
		{"SELECT 1; /* other */ -- pgrecall: ttl=1m", Directive{TTL: "1m"}},
		{"/* a */ /* pgrecall: off, ttl=5s */ SELECT 1", Directive{Off: true, TTL: "5s"}},
		{"/* pgrecall: ttl=5s */ SELECT 1 /* pgrecall: off */", Directive{Off: true, TTL: "5s"}},
		{"SELECT /* pgrecall: off */ 1", Directive{}},
		{"SELECT 1 /* pgrecall: off */ , 2", Directive{}},
		{"SELECT 1 /* pgrecall: off */ FROM t", Directive{}},
		{"SELECT 1 /* pgrecall: off */ 'x'", Directive{}},
		{"SELECT '/* pgrecall: off */'", Directive{}},
		{"SELECT 1 /* not pgrecall: off */", Directive{}},
		{"SELECT 1 /* pgrecall: offline */", Directive{}},
		{"/* pgrecall: off */", Directive{Off: true}},
		{"/* pgrecall: off */ SELECT 0x1F", Directive{Off: true}},
	} {
		if _, got, _ := Canonicalize(nil, test.text); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.text, got, test.want)
		}
	}
}

// tokens of statements that parse; every gap may be filled in any way that scan.l calls white space.
var spacingTexts = []string{
	"SELECT a . b , count ( * ) FROM t AS x WHERE a = $1 AND b <> 'It''s' ORDER BY 1 DESC LIMIT 10",
	"WITH r AS ( SELECT 1 ) SELECT * FROM r JOIN \"Mixed Case\" USING ( id )",
	"INSERT INTO t ( a , b ) VALUES ( E'x\\'y' , 2.5e3 ) ON CONFLICT DO NOTHING RETURNING *",
	"UPDATE t SET a = a - 1 , b = - 2 WHERE c @> ARRAY [ 1 , 2 ] :: int4 [ ]",
	"SELECT $q$ body -- $q$ , B'01' , U&'\\0041' , .5 ; DELETE FROM t",
	"SELECT CASE WHEN a IS NULL THEN 1 ELSE 2 END || 'x' ->> 'y'",
	"CREATE TABLE t ( a int DEFAULT 'now' , CHECK ( a > 0 ) )",
}

func TestSpacingAndCaseDoNotMatter(t *testing.T) {
	gaps := []string{" ", "\n", "\t\r\n ", "/* c */", " /* a /* b */ ' */ ", " -- it's\n", "\f--\r", "/**/"}
	rapid.Check(t, func(t *rapid.T) {
		words := strings.Split(rapid.SampledFrom(spacingTexts).Draw(t, "text"), " ")
		var spaced strings.Builder
		quoted := false // inside a literal or name with spaces of its own
		for i, word := range words {
			if i > 0 {
				if quoted {
					spaced.WriteByte(' ')
				} else {
					for range rapid.IntRange(1, 3).Draw(t, "gaps") {
						spaced.WriteString(rapid.SampledFrom(gaps).Draw(t, "gap"))
					}
				}
			}
			if word == "$q$" || strings.Count(word, "\"") == 1 {
				quoted = !quoted
			}
			if !quoted && !strings.ContainsAny(word, "'\"$") && rapid.Bool().Draw(t, "lower") {
				word = strings.ToLower(word)
			}
			spaced.WriteString(word)
		}
		want, _, _ := Canonicalize(nil, strings.Join(words, " "))
		got, _, ok := Canonicalize(nil, spaced.String())
		if !ok || string(got) != string(want) {
			t.Fatalf("%q became %q, want %q", spaced.String(), got, want)
		}
	})
}

// TestCanonicalKeepsTree draws token soup, so that odd neighbours meet: most of it is no SQL, and then
// neither form may be.
func TestCanonicalKeepsTree(t *testing.T) {
	tokens := []string{
		"SELECT ", "select", "a", "B", "_x", "é", "$1", "$$", "$t$", "'", "''", "'a'", "E'", "E'\\''", "\\", "b'", "X'0f'", "U&'", "U&\"", "N'z'",
		"\"", "\"Q\"", "1", "1.", ".5", "1e5", "1e", "0x1", "..", ".", "+", "-", "--", "/*", "*/", "/", "*", "=", "<>", "@", "||", "::", ":", ",",
		"(", ")", "[", "]", ";", " ", "\n", "\t", "\r", "\f", "\v", "type ", " int ", "uescape '!'", "#", "?", "&", "as ", "from t ",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := "SELECT " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(tokens), 0, 12).Draw(t, "tokens"), "")
		checkCanonical(t, text)
	})
}

func TestTimeWord(t *testing.T) {
	for _, value := range []string{"now", "NOW", " Today ", "2020-01-01,tomorrow", "{yesterday}", "now()", "xx now", "a'now'", "now2"} {
		if !TimeWord([]byte(value)) {
			t.Errorf("%q holds a time word", value)
		}
	}
	for _, value := range []string{"", "n", "no", "know", "nowhere", "todays", "snow", "tomorro", "yesterdays", "2020-01-01", "noW_"[:2], "t o d a y"} {
		if TimeWord([]byte(value)) {
			t.Errorf("%q holds no time word", value)
		}
	}
}
