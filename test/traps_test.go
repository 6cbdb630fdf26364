package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// traps is how many there are.
const traps = 33

// waiting are the traps of parts that this version does not have. One of them that names no test must say so.
var waiting = []int{5, 6, 7, 8, 32}

// TestTraps: docs/traps.md has every trap, and names tests that exist.
func TestTraps(t *testing.T) {
	text, err := os.ReadFile("../docs/traps.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^### (\d+)\. .*$`)
	found := heading.FindAllStringSubmatchIndex(string(text), -1)
	if len(found) != traps {
		t.Fatalf("%d traps, want %d", len(found), traps)
	}
	for i, at := range found {
		number, end := i+1, len(text)
		if got := string(text[at[2]:at[3]]); got != fmt.Sprint(number) {
			t.Errorf("trap %s in place of %d", got, number)
		}
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		section := string(text[at[1]:end])
		named := 0
		for line := range strings.SplitSeq(section, "\n") {
			if rest, list := strings.CutPrefix(line, "- "); list {
				named += check(t, number, "", rest)
			} else if rest, more := strings.CutPrefix(line, "  "); more {
				named += check(t, number, "testdata/wire/", rest)
			}
		}
		absent := strings.Contains(section, "**Not in this version**")
		if absent != slices.Contains(waiting, number) || absent == (named > 0) {
			t.Errorf("trap %d: says that it is not in this version: %v; names %d tests", number, absent, named)
		}
	}
}

// check looks for the tests of a list: folders, each with the tests or scripts in it. It returns the number of tests.
func check(t *testing.T, trap int, folder, list string) (named int) {
	t.Helper()
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		name := m[1]
		switch {
		case strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz"):
			named++
			if !defines(t, folder, name) {
				t.Errorf("trap %d: no %s in %q", trap, name, folder)
			}
		case folder == "testdata/wire/" && !strings.Contains(name, "/") && !isFolder(name):
			named++
			if _, err := os.Stat(filepath.Join("..", folder, name+".txt")); err != nil {
				t.Errorf("trap %d: %v", trap, err)
			}
		default:
			folder = name
			if !isFolder(folder) {
				t.Errorf("trap %d: no folder %s", trap, folder)
			}
		}
	}
	return named
}

func isFolder(name string) bool {
	info, err := os.Stat(filepath.Join("..", name))
	return err == nil && info.IsDir()
}

// defines tells whether a test file of the folder has the function.
func defines(t *testing.T, folder, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^func ` + function + `\(`).Match(text) {
			return true
		}
	}
	return false
}
