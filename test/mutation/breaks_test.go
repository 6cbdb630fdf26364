package main

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// fewest is how many breaks there are at least.
const fewest = 40

// TestBreaksApply: each break fits the source of today, and the tests that should notice it exist.
func TestBreaksApply(t *testing.T) {
	all, err := readBreaks(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < fewest {
		t.Errorf("%d breaks, want %d", len(all), fewest)
	}
	names := map[string]string{}
	for _, b := range all {
		if other := names[b.Name]; other != "" {
			t.Errorf("%s: %q is at %s, too", b.Place, b.Name, other)
		}
		names[b.Name] = b.Place
		changed, err := b.apply(root)
		if err != nil {
			t.Error(err)
		}
		for file, text := range changed {
			if err := parses(t, file, text); err != nil {
				t.Errorf("%s: %q: %v", b.Place, b.Name, err)
			}
		}
		for _, test := range b.Tests {
			if !exists(t, test) {
				t.Errorf("%s: %q: no test %s", b.Place, b.Name, test)
			}
		}
	}
}

// parses tells why a text is no program in the language of its file.
func parses(t *testing.T, file string, text string) error {
	t.Helper()
	if filepath.Ext(file) != ".js" {
		_, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		return err
	}
	node := exec.CommandContext(t.Context(), "node", "--check", "-")
	node.Stdin = strings.NewReader(text)
	if output, err := node.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

// exists tells whether a package has the test; of a part of TestScripts, whether the script is there.
func exists(t *testing.T, test Test) bool {
	t.Helper()
	function, part, _ := strings.Cut(test.Name, "/")
	if function == "TestScripts" && part != "" {
		if _, err := os.Stat(filepath.Join(root, "testdata/wire", part+".txt")); err != nil {
			return false
		}
	}
	files, err := filepath.Glob(filepath.Join(root, test.Package, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	definition := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(function) + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if definition.Match(text) {
			return true
		}
	}
	return false
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no break":           "in a.go\n-x\n+y\ntest p TestX\n",
		"no test":            "break a\nin a.go\n-x\n+y\n",
		"no change":          "break a\nin a.go\n x\ntest p TestX\n",
		"nothing to replace": "break a\nin a.go\n+x\ntest p TestX\n",
		"no file":            "break a\n-x\n+y\ntest p TestX\n",
		"unknown line":       "break a\nin a.go\n-x\n+y\n?\ntest p TestX\n",
		"test without name":  "break a\nin a.go\n-x\n+y\ntest p\n",
	} {
		if breaks, err := parse("list", text); !errors.Is(err, errBreaks) {
			t.Errorf("%s: %+v, %v", name, breaks, err)
		}
	}
}

// TestRunTellsCaughtFromMissed makes a break that a test notices, one that none does, and one that does not compile.
func TestRunTellsCaughtFromMissed(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/m\n\ngo 1.26\n")
	write("m/m.go", "package m\n\nfunc one() int {\n\treturn 1\n}\n\nfunc two() int {\n\treturn 2\n}\n")
	write("m/m_test.go", "package m\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif one() != 1 {\n\t\tt.Error()\n\t}\n}\n\nfunc TestBad(t *testing.T) { t.Error() }\n")
	for _, c := range []struct {
		old, new, test string
		want           error
	}{
		{"\treturn 1", "\treturn 3", "TestOne", nil},
		{"\treturn 2", "\treturn 3", "TestOne", errMissed},
		{"\treturn 2", "\treturn x", "TestOne", errBreaks},
		{"\treturn 4", "\treturn 3", "TestOne", errBreaks},
		{"\treturn 1", "\treturn 3", "TestNone", errNoTest},
		{"\treturn 1", "\treturn 3", "TestBad", errUnbroken},
	} {
		write(folder+"/list.txt", "break b\nin m/m.go\n-"+c.old+"\n+"+c.new+"\ntest m "+c.test+"\n")
		if err := run(t.Context(), directory, "", false); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%q to %q, %s: %v, want %v", c.old, c.new, c.test, err, c.want)
		}
	}
}
