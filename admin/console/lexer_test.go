package console

import (
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		" ; ;; -- nothing\n /* at /* all */ */": "",
		"SHOW Stats":                            "show stats",
		"a;b ; c":                               "a|b|c",
		`FLUSH TABLE "My T;able".X`:             "flush table My T;able.x",
		`FLUSH TABLE 'it''s'`:                   "flush table it's",
		`FLUSH TABLE E'it\'s;' x`:               "flush table eit's; x",
		`FLUSH TABLE date'\' x`:                 `flush table date\ x`,
		`a"b""c"d`:                              `ab"cd`,
		"EXPLAIN SELECT $$ a ; 'b $$; c":        "explain select $$ a ; 'b $$|c",
		"EXPLAIN SELECT $x$ $$ ; $x$ $1 a$b;c":  "explain select $x$ $$ ; $x$ $1 a$b|c",
		"a--b;c\nd":                             "a d",
		"a/*;*/b":                               "a b",
		"8f9e7a39f0adeef7":                      "8f9e7a39f0adeef7",
		"ÄÖ 日本":                                 "ÄÖ 日本",
	} {
		statements, err := split(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var all []string
		for _, s := range statements {
			var words []string
			for _, w := range s.words {
				words = append(words, w.text)
				if w.start < 0 || w.end > len(s.text) || w.start >= w.end {
					t.Errorf("%q: a word from %d to %d", text, w.start, w.end)
				}
			}
			all = append(all, strings.Join(words, " "))
		}
		if got := strings.Join(all, "|"); got != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
	for _, text := range []string{"'", `"a`, "/* /* */", "$$ a", "$x$ $y$", "a 'b''", `E'\'`} {
		if _, err := split(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// TestQuotedWordsAreNoKeywords: a table may be called all.
func TestQuotedWordsAreNoKeywords(t *testing.T) {
	for text, understood := range map[string]bool{
		`"show" stats`: false, `show "stats"`: false, `flush "all"`: false, `flush table "all"`: true, `flush 'table' t`: false, `"pause"`: false, "PauSe": true,
		"set search_path = a": true, "SET search_path=a": true, "set l1_size = 1": false, "start transaction read only": true, "start": false, "discard all": true,
		"set session characteristics as transaction read only": true, "reload it": false, "resume 'now'": false, "show": false, "show help limit 3": false,
		"explain": false, "explain database d": false, "set": false, "set session": false, "set local timezone to utc": true, "flush tenant a database b fingerprint ff table t": true,
	} {
		statements, err := split(text)
		if err != nil || len(statements) != 1 {
			t.Fatalf("%q: %v %v", text, statements, err)
		}
		c, failure := understand(statements[0])
		if (failure == nil) != understood || (c != nil) != understood {
			t.Errorf("%q: %v", text, failure)
		}
		if failure != nil && failure.Code != codeSyntax {
			t.Errorf("%q: %s", text, failure.Code)
		}
	}
}
