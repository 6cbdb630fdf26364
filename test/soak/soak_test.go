package soak

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/test"
)

// Sizes of a run.
const (
	readers   = 5
	writers   = 3
	perEpoch  = 60_000           // statements in one database
	readyWait = 60 * time.Second // for the catalog, on a busy machine
)

// plan is what the environment asks for.
type plan struct {
	seed       uint64
	statements int
	calm, wild round
	bound      time.Duration // 0 for none
	hitRate    float64       // the least
	directory  string        // for findings
}

// round is a time in which definitions seldom change, or often.
type round struct {
	statements int
	every      int // statements for one action of each writer
}

// shortPlan is what every test run does. Its rounds begin with an empty cache, and a busy machine may end it early.
func shortPlan() plan {
	return plan{
		seed: 1, statements: 12_000, calm: round{5_000, 400}, wild: round{800, 40}, bound: 25 * time.Second, hitRate: 0.1,
		directory: filepath.Join(os.TempDir(), "pgrecall-soak"),
	}
}

// longPlan is a run of so many statements.
func longPlan(statements int) plan {
	p := shortPlan()
	p.seed, p.statements, p.bound, p.hitRate = uint64(time.Now().UnixNano())%1_000_000_000, statements, 0, 0.5
	p.calm, p.wild = round{20_000, 800}, round{1_500, 40}
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
	if text := os.Getenv("PGRECALL_SOAK_DIR"); text != "" {
		p.directory = text
	}
	return p
}

func TestSoak(t *testing.T) {
	p := readPlan(t)
	fmt.Printf("PGRECALL_SEED=%d\n", p.seed)
	server := pgtest.Start(t, pgtest.WithConfig("autovacuum = off", "max_prepared_transactions = 20", "synchronous_commit = off", "deadlock_timeout = 100ms", "log_min_messages = fatal", "log_min_error_statement = panic"))
	if err := execute(t.Context(), server.DSN("postgres"), roleSetup()...); err != nil {
		t.Fatal(err)
	}
	total := newTally()
	began := time.Now()
	hits, reads := uint64(0), 0
	for epoch := 1; reads < p.statements && !t.Failed() && (p.bound == 0 || time.Since(began) < p.bound); epoch++ {
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

// stage runs one epoch.
type stage struct {
	t     *testing.T
	plan  plan
	began time.Time
	total *tally
	quota int

	field *field
	proxy *test.Proxy
	hits  uint64
	reads int
}

func (e *stage) run(server *pgtest.Server, epoch int) {
	version, err := strconv.Atoi(server.Version())
	if err != nil {
		e.t.Fatal(err)
	}
	if e.field, err = newField(e.t.Context(), server, e.plan.seed, epoch, version, e.plan.directory); err != nil {
		e.t.Fatal(err)
	}
	if e.plan.bound > 0 {
		e.field.deadline = e.began.Add(e.plan.bound)
	}
	e.proxy = test.Proxied(e.t, server)
	e.field.proxied = e.proxy.Address(e.field.database)
	e.field.ready = func() { _ = e.proxy.AwaitReady(readyWait) } // what is not ready has no hits, and the rate tells
	for round := 1; e.reads < e.quota && !e.t.Failed() && !e.field.stopped(); round++ {
		e.round(round)
	}
	e.hits = e.proxy.Hits()
	if os.Getenv("PGRECALL_SOAK_REASONS") != "" {
		fmt.Println(e.proxy.Reasons())
	}
}

// round lets everybody work; then the readers read everything while nothing changes. Every other round is wild.
func (e *stage) round(round int) {
	wild := round%2 == 0
	size := e.plan.calm
	if wild {
		size = e.plan.wild
	}
	pace := newPace()
	tallies := make([]*tally, 0, readers+writers)
	var reading, writing sync.WaitGroup
	var mu sync.Mutex
	report := func(err error) {
		if err == nil {
			return
		}
		e.field.stop()
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, errDifference) || !e.t.Failed() { // what follows from a stop is no news
			e.t.Errorf("PGRECALL_SEED=%d: %v", e.plan.seed, err)
		}
	}
	for i := range writers {
		w := newWriter(e.field, i, round)
		tallies = append(tallies, w.tally)
		writing.Go(func() { report(w.run(roll(e.plan.seed, e.field.epoch, round, 100+i), wild, size.every, pace)) })
	}
	list := make([]*reader, readers)
	for i := range readers {
		r := newReader(e.field, i, round, wild)
		list[i] = r
		tallies = append(tallies, r.tally)
		reading.Go(func() {
			report(r.run(roll(e.plan.seed, e.field.epoch, round, 1+i), wild, size.statements/readers, pace.advance))
		})
	}
	reading.Wait()
	pace.end()
	writing.Wait()
	if e.t.Failed() {
		return
	}
	if wild {
		w := newWriter(e.field, 0, round)
		w.values += valuesPerRound / 2
		report(w.mend(roll(e.plan.seed, e.field.epoch, round, 300)))
	}
	if err := e.proxy.AwaitReady(readyWait); err != nil {
		e.t.Errorf("PGRECALL_SEED=%d: after round %d: %v", e.plan.seed, round, err)
	}
	reading.Go(func() { report(list[round%readers].sweep(roll(e.plan.seed, e.field.epoch, round, 200))) })
	reading.Wait()
	before := e.reads
	for _, t := range tallies {
		e.total.add(t)
		equal, inconclusive := t.checked()
		e.reads += equal + inconclusive
	}
	if os.Getenv("PGRECALL_SOAK_REASONS") != "" {
		fmt.Printf("round %d: %d reads, %d hits so far: %v\n", round, e.reads-before, e.proxy.Hits(), e.proxy.Reasons())
	}
}
