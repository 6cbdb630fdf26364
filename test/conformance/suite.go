package main

import (
	"context"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// outcome of one test.
type outcome byte

const (
	passed outcome = iota
	failed
	skipped
)

// results are the outcomes of a suite's tests by name.
type results map[string]outcome

// count returns how many tests had an outcome.
func (r results) count(o outcome) int {
	n := 0
	for _, have := range r {
		if have == o {
			n++
		}
	}
	return n
}

// place is where a suite runs: a fresh cluster and the address that its clients connect to, which may be that of
// something in front of the cluster.
type place struct {
	server    *pgtest.Server
	host      string
	port      string
	directory string // for the suite's output
	serial    bool   // one test at a time
}

// suite is somebody's test suite.
type suite struct {
	name     string
	bound    time.Duration // a run that takes longer hangs
	passes   int           // how often it runs in the same place, so that the later ones meet a warm cache
	verified bool          // runs by the serial ways, too
	settings []string      // lines of postgresql.conf
	explain  bool          // which statements were not cached is of interest
	fetch    func(ctx context.Context) error
	prepare  func(ctx context.Context, s *pgtest.Server) error // the cluster, once
	run      func(ctx context.Context, p place) (results, error)
}
