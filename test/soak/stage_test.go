package soak

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/test"
)

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

	mu sync.Mutex // guards t against clients' reports
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

// report notes why a client ended. The others end soon.
func (e *stage) report(err error) {
	if err == nil {
		return
	}
	e.field.stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(err, errDifference) || !e.t.Failed() { // what follows from a stop is no news
		e.t.Errorf("PGRECALL_SEED=%d: %v", e.plan.seed, err)
	}
}

// roll returns the dice of a client in a round.
func (e *stage) roll(number, client int) dice {
	return roll(e.plan.seed, e.field.epoch, number, client)
}

// round plays a round and counts it.
func (e *stage) round(number int) {
	r := e.plan.rounds[(number-1)%len(e.plan.rounds)]
	before := e.reads
	var tallies []*tally
	if r.mode == methodical {
		tallies = e.methodical(number, r)
	} else {
		tallies = e.crowd(number, r)
	}
	for _, t := range tallies {
		e.total.add(t)
		equal, inconclusive := t.checked()
		e.reads += equal + inconclusive
	}
	if os.Getenv("PGRECALL_SOAK_REASONS") != "" {
		fmt.Printf("round %d: %d reads, %d hits so far: %v\n", number, e.reads-before, e.proxy.Hits(), e.proxy.Reasons())
	}
}

// crowd lets everybody work; then a reader reads everything while nothing changes.
func (e *stage) crowd(number int, r round) []*tally {
	pace := newPace()
	tallies := make([]*tally, 0, readers+writers)
	var reading, writing sync.WaitGroup
	for i := range writers {
		w := newWriter(e.field, i, number)
		tallies = append(tallies, w.tally)
		writing.Go(func() { e.report(w.run(e.roll(number, 100+i), r.mode == wild, r.every, pace)) })
	}
	list := make([]*reader, readers)
	for i := range readers {
		list[i] = newReader(e.field, i, number, r.mode == wild)
		tallies = append(tallies, list[i].tally)
		reading.Go(func() { e.report(list[i].run(e.roll(number, 1+i), r.mode == wild, r.statements/readers, pace.advance)) })
	}
	reading.Wait()
	pace.end()
	writing.Wait()
	if r.mode == wild {
		e.mend(number)
	}
	if e.quiet(number) {
		e.report(list[number%readers].sweep(e.roll(number, 200)))
	}
	return tallies
}

// mend restores what a round may have broken.
func (e *stage) mend(number int) {
	if e.t.Failed() {
		return
	}
	w := newWriter(e.field, 0, number)
	w.values += valuesPerRound / 2
	e.report(w.mend(e.roll(number, 300)))
}

// quiet waits until the catalog is known after the last change of a definition.
func (e *stage) quiet(number int) bool {
	if e.t.Failed() {
		return false
	}
	err := e.proxy.AwaitReady(readyWait)
	if err != nil {
		e.t.Errorf("PGRECALL_SEED=%d: after round %d: %v", e.plan.seed, number, err)
	}
	return err == nil
}

// mendEvery is after how many actions a methodical round with many definitions takes back what keeps everything from being cached.
const mendEvery = 12

// methodical lets one writer act, and then two readers read everything, so that whatever an action leaves stale is found: what they read
// is in the cache when the next action comes.
func (e *stage) methodical(number int, r round) []*tally {
	w := newWriter(e.field, 0, number)
	readers := []*reader{newReader(e.field, 0, number, true), newReader(e.field, 1, number, true)}
	readers[0].user = "postgres"
	tallies := []*tally{w.tally, readers[0].tally, readers[1].tally}
	defer func() {
		for _, r := range readers {
			r.close()
		}
		w.close()
	}()
	if err := w.connect(); err != nil {
		e.report(err)
		return tallies
	}
	w.dice = e.roll(number, 100)
	w.frequent = (number/len(e.plan.rounds)+e.field.epoch)%2 == 0 // definitions in every other of these rounds, and epoch
	for asked, turn := 0, 1; asked < r.statements && !e.field.stopped() && e.quiet(number); turn++ {
		for i, reader := range readers {
			n, err := reader.cover(e.roll(number, 1+i), i == 1)
			if err != nil {
				e.report(err)
				return tallies
			}
			asked += n
		}
		if err := w.act(w.action()); err != nil {
			e.report(err)
			return tallies
		}
		if w.frequent && turn%mendEvery == 0 {
			e.mend(number)
		}
	}
	if w.frequent {
		e.mend(number)
	}
	return tallies
}
