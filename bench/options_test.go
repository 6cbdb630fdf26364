package main

import (
	"io"
	"slices"
	"testing"
)

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-pgrecall", "old=/a/b", "-pgrecall", "new=/c=d", "-modes", "simple, prepared", "-peers", "direct", "-threads", "16"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := (builds{{"old", "/a/b"}, {"new", "/c=d"}}); !slices.Equal(o.builds, want) {
		t.Errorf("builds: got %v, want %v", o.builds, want)
	}
	if !slices.Equal(o.modes, []string{"simple", "prepared"}) || o.rounds != 6 || o.seconds != 5 || o.threads != o.clients {
		t.Errorf("got %+v", o)
	}
	if !o.wants("direct") || o.wants("floor") {
		t.Error("-peers direct wants direct and nothing else")
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, arguments := range [][]string{
		{"-modes", "fast"}, {"-modes", ""}, {"-rounds", "0"}, {"-seconds", "0"}, {"-pgrecall", "name"}, {"-pgrecall", "=path"}, {"-rounds", "x"}, {"extra"}, {"-l2-only", "-l2", "0"},
	} {
		if o, err := parseOptions(arguments, io.Discard); err == nil {
			t.Errorf("%q: got %+v, want an error", arguments, o)
		}
	}
}
