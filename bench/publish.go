package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// Markers between which a page holds the figures of the last run.
var (
	figuresBegin = []byte("<!-- figures: begin (written by bench -publish) -->\n")
	figuresEnd   = []byte("<!-- figures: end -->\n")

	l2FiguresBegin = []byte("<!-- figures of L2: begin (written by bench -publish) -->\n")
	l2FiguresEnd   = []byte("<!-- figures of L2: end -->\n")
)

var errNoMarkers = errors.New("no markers for the figures")

// publish puts a table into a page between its markers, in the place of the one before.
func publish(file string, begin, end, table []byte) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if page, err = replaceFigures(page, begin, end, table); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, page, 0o644)
}

func replaceFigures(page, begin, end, table []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(page, begin)
	if !found {
		return nil, errNoMarkers
	}
	_, after, found := bytes.Cut(rest, end)
	if !found {
		return nil, errNoMarkers
	}
	return bytes.Join([][]byte{before, begin, []byte("```text\n"), table, []byte("```\n"), end, after}, nil), nil
}
