package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const exampleFile = "../config.example.yaml"

func TestExampleIsTheDefaults(t *testing.T) {
	c, err := LoadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if a, r := Changed(Defaults(), c); len(a)+len(r) > 0 {
		t.Errorf("the example changes %v %v", a, r)
	}
}

// settingLine is a setting that the example shows commented out, with its place in the margin.
var settingLine = regexp.MustCompile(`(?m)^( *)#([a-z0-9_]+:.*)$`)

// uncommented is the example with its settings in force.
func uncommented(t *testing.T, rules bool) string {
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	settings, examples, ok := strings.Cut(string(data), "\nrules:\n")
	if !ok {
		t.Fatal("no rules in the example")
	}
	text := settingLine.ReplaceAllString(settings, "$1$2")
	if rules {
		text += "\nrules:\n" + regexp.MustCompile(`(?m)^  #(-|  )`).ReplaceAllString(examples, "  $1")
	}
	return text
}

// TestExampleShowsEveryDefault uncomments the example and compares it with the code's defaults.
func TestExampleShowsEveryDefault(t *testing.T) {
	text := uncommented(t, false)
	c, err := LoadFile(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	defaults := Defaults()
	for _, s := range settings() {
		if s.path == "upstream" || strings.HasPrefix(s.path, "tls.") {
			continue // there are no defaults to show
		}
		if got, want := s.get(c), s.get(defaults); !slices.Equal(got, want) {
			t.Errorf("%s: the example shows %q, the code says %q", s.path, got, want)
		}
	}
	f := &file{config: Defaults()}
	f.decode([]byte(text))
	for _, s := range settings() {
		if _, ok := f.lines[s.path]; !ok {
			t.Errorf("the example does not show %s", s.path)
		}
	}
}

func TestExampleRulesLoad(t *testing.T) {
	c, err := LoadFile(write(t, uncommented(t, true)))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Rules) != 3 {
		t.Errorf("%+v", c.Policy.Rules)
	}
	if d := c.Policy.Declared; d == nil || len(d.Functions) != 3 || len(d.Triggers) != 1 {
		t.Errorf("%+v", d)
	}
}
