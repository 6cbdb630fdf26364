package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Break is a deliberate defect. README.md in testdata/mutations tells how one is written.
type Break struct {
	Name  string
	Place string // file and line where it is written
	Hunks []Hunk
	Tests []Test // each should notice; one that does is enough
}

// Hunk is a change of one place of a file.
type Hunk struct {
	File     string // from the root of the repository
	Old, New string // whole lines
}

// Test is a test function of a package, perhaps a part of it.
type Test struct {
	Package string // folder, from the root of the repository
	Name    string // TestX or TestX/part
}

func (t Test) String() string { return t.Package + " " + t.Name }

// errBreaks is a list of breaks that can't be read, or does not fit the source.
var errBreaks = errors.New("list of breaks")

// folder is where the lists are, from the root of the repository.
const folder = "testdata/mutations"

// readBreaks reads all lists, in the order of their names.
func readBreaks(root string) ([]Break, error) {
	paths, err := filepath.Glob(filepath.Join(root, folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("%w: %d files in %s: %w", errBreaks, len(paths), folder, errors.Join(err))
	}
	var all []Break
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		breaks, err := parse(filepath.Base(path), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, breaks...)
	}
	return all, nil
}

// parse reads one list.
func parse(file, text string) ([]Break, error) {
	var all []Break
	lines := bufio.NewScanner(strings.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		place := fmt.Sprintf("%s:%d", file, number)
		word, rest, _ := strings.Cut(line, " ")
		if word == "break" {
			all = append(all, Break{Name: rest, Place: place})
			continue
		}
		if line == "" || word == "#" {
			continue
		}
		if len(all) == 0 || !all[len(all)-1].add(line, word, rest) {
			return nil, fmt.Errorf("%w: %s: %q", errBreaks, place, line)
		}
	}
	for i := range all {
		if b := &all[i]; b.Name == "" || len(b.Hunks) == 0 || len(b.Tests) == 0 || slices.ContainsFunc(b.Hunks, func(h Hunk) bool { return h.Old == "" || h.Old == h.New }) {
			return nil, fmt.Errorf("%w: %s: %q changes nothing, or names no test", errBreaks, b.Place, b.Name)
		}
	}
	return all, lines.Err()
}

// add takes a line of the break; false when it can't be read.
func (b *Break) add(line, word, rest string) bool {
	switch word {
	case "in":
		b.Hunks = append(b.Hunks, Hunk{File: rest})
		return rest != ""
	case "test":
		names := strings.Fields(rest)
		for _, name := range names[min(1, len(names)):] {
			b.Tests = append(b.Tests, Test{names[0], name})
		}
		return len(names) > 1
	}
	if len(b.Hunks) == 0 || len(b.Tests) > 0 {
		return false
	}
	h := &b.Hunks[len(b.Hunks)-1]
	switch code := line[1:] + "\n"; line[0] {
	case '-':
		h.Old += code
	case '+':
		h.New += code
	case ' ':
		h.Old, h.New = h.Old+code, h.New+code
	default:
		return false
	}
	return true
}

// apply returns the texts of the files that the break changes, by their paths from the root.
func (b *Break) apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, h := range b.Hunks {
		text, done := changed[h.File]
		if !done {
			read, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(h.File)))
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %q: %w", errBreaks, b.Place, b.Name, err)
			}
			text = "\n" + string(read) // so that a line begins after a newline everywhere
		}
		if n := strings.Count(text, "\n"+h.Old); n != 1 {
			return nil, fmt.Errorf("%w: %s: %q: the lines to change are %d times in %s, want once", errBreaks, b.Place, b.Name, n, h.File)
		}
		changed[h.File] = strings.Replace(text, "\n"+h.Old, "\n"+h.New, 1)
	}
	for file, text := range changed {
		changed[file] = text[1:]
	}
	return changed, nil
}
