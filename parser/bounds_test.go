package parser

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// nestings make texts n levels deep or n items wide.
var nestings = map[string]func(n int) string{
	"operators":   func(n int) string { return "SELECT 1" + strings.Repeat("+1", n) },
	"signs":       func(n int) string { return "SELECT " + strings.Repeat("-+", n) + "1" },
	"not":         func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "a" },
	"parentheses": func(n int) string { return strings.Repeat("(", n) + "SELECT 1" + strings.Repeat(")", n) },
	"casts":       func(n int) string { return "SELECT 1" + strings.Repeat("::int", n) },
	"is null":     func(n int) string { return "SELECT a" + strings.Repeat(" ISNULL", n) },
	"between":     func(n int) string { return "SELECT a" + strings.Repeat(" BETWEEN 1 AND 2 IS NULL", n) },
	"union":       func(n int) string { return "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", n) },
	"join":        func(n int) string { return "SELECT 1 FROM a" + strings.Repeat(" JOIN a ON a AND b", n) },
	"case":        func(n int) string { return nest("SELECT ", "CASE WHEN a.end AND b THEN c AND ", "1", " END", n) },
	"calls":       func(n int) string { return nest("SELECT ", "f(1, ", "1", ")", n) },
	"arrays":      func(n int) string { return nest("SELECT ", "ARRAY[", "1", "]", n) },
	"subscripts":  func(n int) string { return nest("SELECT ", "a[", "1", "]", n) },
	"sublinks":    func(n int) string { return nest("SELECT ", "EXISTS (SELECT ", "1", ")", n) },
	"subqueries":  func(n int) string { return nest("", "SELECT 1 FROM (", "SELECT 1", ") a", n) },
	"with":        func(n int) string { return nest("", "WITH a AS (", "SELECT 1", ") SELECT 1", n) },
	"or":          func(n int) string { return "SELECT a = 1" + strings.Repeat(" OR a = 1 AND b", n) },
	"values":      func(n int) string { return "VALUES (1, 'a')" + strings.Repeat(", (1, 'a')", n) },
	"columns":     func(n int) string { return "SELECT a" + strings.Repeat(",a", n) },
	"statements":  func(n int) string { return strings.Repeat("SELECT 1;", n) },
}

func nest(before, open, inside, closing string, n int) string {
	return before + strings.Repeat(open, n) + inside + strings.Repeat(closing, n)
}

const childVariable = "PGRECALL_PARSER_STACK_CHILD"

// TestDeepestTextFitsAFifthOfTheStack analyses the deepest and widest texts that the bounds let pass, in a
// process whose threads have a fifth of the least stack that glibc gives: an overflow there ends a process.
func TestDeepestTextFitsAFifthOfTheStack(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		for name, text := range nestings {
			deepest := largest(text)
			if s := Analyze(text(deepest)); s.Err != nil {
				t.Errorf("%s: %v", name, s.Err)
			}
			if _, err := Normalize(text(deepest)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		return
	}
	child := exec.Command("sh", "-c", `ulimit -s 410 && exec "$0" -test.run='^TestDeepestTextFitsAFifthOfTheStack$'`, os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
}

// largest returns the largest n for which the bounds let the text pass.
func largest(text func(int) string) int {
	passes := func(n int) bool {
		canonical, _, ok := Canonicalize(nil, text(n))
		return ok && len(canonical) <= MaxText && bounded(string(canonical), true) == nil
	}
	high := 2
	for passes(high) {
		high *= 2
	}
	low := high / 2
	for low+1 < high {
		if middle := (low + high) / 2; passes(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func TestBounds(t *testing.T) {
	for name, text := range nestings {
		n := largest(text)
		if n < 50 {
			t.Errorf("%s: only %d pass", name, n)
		}
		if err := Analyze(text(MaxText / 2)).Err; !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v for a huge text", name, err)
		}
		long := text(n)
		start := time.Now()
		Analyze(long)
		if took := time.Since(start); took > 30*time.Second { // about 0.2 s on an idle machine
			t.Errorf("%s: %d bytes took %v", name, len(long), took)
		}
		if err := Analyze(text(n + 1)).Err; !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v beyond the bound", name, err)
		}
	}
	for _, name := range []string{"or", "values", "columns", "statements"} { // wide, not deep
		if n := largest(nestings[name]); n < 5000 {
			t.Errorf("%s: only %d pass", name, n)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]error{
		"SELECT '\xff'":   ErrEncoding,
		"SELECT \"\xe4\"": ErrEncoding,
		"SELECT '" + strings.Repeat("x", MaxText) + "'": ErrTooLong,
		"SELECT 0x1F" + strings.Repeat(" + 1", 500):     ErrTooLong,
	} {
		if s := Analyze(text); !errors.Is(s.Err, want) || s.Commands != nil || s.Single() != nil {
			t.Errorf("%.30q: %v, want %v", text, s.Err, want)
		}
		if _, err := Normalize(text); !errors.Is(err, want) {
			t.Errorf("%.30q: Normalize: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{"SELECT 'a\x00'", "SELEC 1", "SELECT 'a", "SELECT E'\\xff'"} {
		if s := Analyze(text); s.Err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if s := Analyze("SELECT 0x1F"); s.Err != nil || s.Canonical != "SELECT 0x1F" {
		t.Errorf("%+v", s)
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	_, normalizeErr := Normalize("SELEC 'secret'")
	for _, err := range []error{Analyze("SELECT 'secret' 'secret'").Err, normalizeErr} {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || strings.Contains(err.Error(), "secret") || errors.Unwrap(err) == nil {
			t.Errorf("%v", err)
		}
	}
}

func TestNormalize(t *testing.T) {
	got, err := Normalize("SELECT a FROM t WHERE b = 'secret' AND c IN (1, 2)")
	if want := "select a from t where b = $1 and c in ($2, $3)"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"ALTER ROLE a PASSWORD 'secret'", "COPY (SELECT 'secret') TO STDOUT", "SELECT 1; SET a = 'secret'"} {
		if got, err := Normalize(text); !errors.Is(err, ErrUtility) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func ExampleNormalize() {
	fmt.Println(Normalize("SELECT * FROM users WHERE id = 42"))
	// Output: select * from users where id = $1 <nil>
}
