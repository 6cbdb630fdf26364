package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// Sizes of a run.
const (
	readers   = 5
	writers   = 3
	perEpoch  = 71_000           // statements in one database
	readyWait = 60 * time.Second // for the catalog, on a busy machine
)

// plan is what the environment asks for.
type plan struct {
	seed       uint64
	epoch      int // the first
	statements int
	rounds     [4]round      // one after the other
	bound      time.Duration // 0 for none
	hitRate    float64       // the least
	directory  string        // for findings
}

// round is a time in which clients behave alike.
type round struct {
	mode       mode
	statements int
	every      int // statements for one action of each writer
}

// mode is what clients do in a round.
type mode uint8

const (
	calm       mode = iota // most are reads, definitions seldom change
	wild                   // definitions, rights, settings and opaque writes are frequent
	methodical             // one writer acts, then everything is read, in turn: a seed's run is always the same
	busy                   // rows change often
)

// shortPlan is what every test run does. Its rounds begin with an empty cache, and a busy machine may end it early.
func shortPlan() plan {
	return plan{
		seed: 1, epoch: 1, statements: 9_000, bound: 25 * time.Second, hitRate: 0.1, directory: filepath.Join(os.TempDir(), "pgrecall-soak"),
		rounds: [4]round{{calm, 3_000, 300}, {methodical, 4_000, 0}, {wild, 800, 40}, {busy, 1_000, 60}},
	}
}

// longPlan is a run of so many statements.
func longPlan(statements int) plan {
	p := shortPlan()
	p.seed, p.statements, p.bound, p.hitRate = uint64(time.Now().UnixNano())%1_000_000_000, statements, 0, 0.5
	p.rounds = [4]round{{calm, 56_000, 2_000}, {methodical, 12_000, 0}, {wild, 1_500, 40}, {busy, 2_000, 60}}
	return p
}

func readPlan(t *testing.T) plan {
	p := shortPlan()
	numbers := func(name string, set func(uint64)) {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	numbers("PGRECALL_SOAK", func(n uint64) { p = longPlan(int(n)) })
	numbers("PGRECALL_SEED", func(n uint64) { p.seed = n })
	numbers("PGRECALL_SOAK_EPOCH", func(n uint64) { p.epoch = int(n) })
	if text := os.Getenv("PGRECALL_SOAK_DIR"); text != "" {
		p.directory = text
	}
	return p
}

func TestSoak(t *testing.T) {
	p := readPlan(t)
	fmt.Printf("PGRECALL_SEED=%d\n", p.seed)
	server := pgtest.Start(t, pgtest.WithConfig("autovacuum = off", "max_prepared_transactions = 20", "synchronous_commit = off", "deadlock_timeout = 100ms", "log_min_messages = fatal", "log_min_error_statement = panic",
		"session_preload_libraries = plpgsql")) // its settings come with its first function else, and tell sessions apart
	if err := execute(t.Context(), server.DSN("postgres"), roleSetup()...); err != nil {
		t.Fatal(err)
	}
	total := newTally()
	began := time.Now()
	hits, reads := uint64(0), 0
	for epoch := p.epoch; reads < p.statements && !t.Failed() && (p.bound == 0 || time.Since(began) < p.bound); epoch++ {
		t.Run(fmt.Sprint("epoch ", epoch), func(t *testing.T) {
			e := &stage{t: t, plan: p, began: began, total: total, quota: min(perEpoch, p.statements-reads)}
			e.run(server, epoch)
			hits += e.hits
			reads += e.reads
			equal, inconclusive := total.checked()
			fmt.Printf("epoch %d: %d checked, 0 differences, %d inconclusive, hit rate %.1f%%, %.0f statements/s\n",
				epoch, equal, inconclusive, 100*float64(hits)/float64(reads), float64(reads)/time.Since(began).Seconds())
		})
	}
	equal, inconclusive := total.checked()
	total.report(os.Stdout)
	rate := float64(hits) / float64(max(reads, 1))
	fmt.Printf("PGRECALL_SEED=%d: checked statements: %d, inconclusive: %d, hit rate: %.1f%%, %.0f s, %.0f statements/s\n",
		p.seed, equal, inconclusive, 100*rate, time.Since(began).Seconds(), float64(reads)/time.Since(began).Seconds())
	if !t.Failed() && rate < p.hitRate {
		t.Errorf("hit rate %.3f: there is too little to be wrong", rate)
	}
}
