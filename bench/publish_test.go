package main

import (
	"errors"
	"testing"
)

func TestReplaceFigures(t *testing.T) {
	page := "before\n" + string(figuresBegin) + "old\n" + string(figuresEnd) + "after\n"
	want := "before\n" + string(figuresBegin) + "```text\nnew\n```\n" + string(figuresEnd) + "after\n"
	for range 2 { // what was published can be published again
		got, err := replaceFigures([]byte(page), figuresBegin, figuresEnd, []byte("new\n"))
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		page = string(got)
	}
	for _, bad := range []string{"", string(figuresBegin), string(figuresEnd) + string(figuresBegin)} {
		if _, err := replaceFigures([]byte(bad), figuresBegin, figuresEnd, nil); !errors.Is(err, errNoMarkers) {
			t.Errorf("%q: got %v, want %v", bad, err, errNoMarkers)
		}
	}
}
