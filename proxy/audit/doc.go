// Package audit writes down who got what from the cache: a line of JSON for each statement, to a file or to standard output. What it never does: hold
// parameters, constants, texts of statements or rows; wait for a disk while a client waits; grow without bound.
package audit
