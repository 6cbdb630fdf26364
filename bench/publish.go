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
)

var errNoMarkers = errors.New("no markers for the figures")

// publish puts the table into a page, in the place of the one before.
func publish(file string, table []byte) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if page, err = replaceFigures(page, table); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, page, 0o644)
}

func replaceFigures(page, table []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(page, figuresBegin)
	if !found {
		return nil, errNoMarkers
	}
	_, after, found := bytes.Cut(rest, figuresEnd)
	if !found {
		return nil, errNoMarkers
	}
	return bytes.Join([][]byte{before, figuresBegin, []byte("```text\n"), table, []byte("```\n"), figuresEnd, after}, nil), nil
}
