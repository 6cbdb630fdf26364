package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

func table(i int) string { return "c" + strconv.Itoa(i) }

// load is clients that write and read until it is stopped. Each has a table of its own and connections through all members, one
// statement at a time: under strict each answer must be what it wrote last, whichever member gives it; under session what the
// member answers through which it wrote.
type load struct {
	fleet         *fleet
	stop          atomic.Bool
	clients       sync.WaitGroup
	reads, writes latencies
}

// latencies are how long statements took, since the last take.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

func (l *latencies) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// take returns them in ascending order and begins anew.
func (l *latencies) take() spread {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}

// spread is durations in ascending order.
type spread []time.Duration

func (s spread) at(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(share*float64(len(s))))]
}

func (s spread) String() string {
	return fmt.Sprintf("%d: p50 %v p99 %v most %v", len(s), s.at(.5), s.at(.99), s.at(1))
}

// readsPerWrite is how often each client reads what it wrote: once before it is cached, and then out of the cache.
const readsPerWrite = 6

func (f *fleet) load(clients int) *load {
	f.t.Helper()
	l := &load{fleet: f}
	for i := range clients {
		connections := make([]*pgx.Conn, len(f.members))
		for j := range connections {
			connections[j] = f.connect(j)
		}
		last := f.value(connections[0], "SELECT n FROM "+table(i))
		l.clients.Go(func() { l.run(f.t, table(i), connections, last) })
	}
	f.t.Cleanup(l.end)
	return l
}

// end stops the clients and waits for them.
func (l *load) end() {
	l.stop.Store(true)
	l.clients.Wait()
}

func (l *load) run(t *testing.T, table string, connections []*pgx.Conn, last int) {
	query := "SELECT n FROM " + table
	for step := 0; !l.stop.Load(); step++ {
		writer := step % len(connections)
		last++
		took, err := timed(func(ctx context.Context) error {
			_, err := connections[writer].Exec(ctx, "UPDATE "+table+" SET n = "+strconv.Itoa(last))
			return err
		})
		if err != nil {
			t.Errorf("a client's write failed after %v: %v", took, err)
			return
		}
		l.writes.add(took)
		for i := range readsPerWrite {
			reader := (writer + 1 + i) % len(connections)
			if l.fleet.level != cachepolicy.Strict {
				reader = writer
			}
			var got int
			took, err := timed(func(ctx context.Context) error { return connections[reader].QueryRow(ctx, query).Scan(&got) })
			if err != nil {
				t.Errorf("a client's read failed after %v: %v", took, err)
				return
			}
			l.reads.add(took)
			if got != last {
				t.Errorf("%s: member %d answers %d after member %d acknowledged %d", table, reader, got, writer, last)
				return
			}
		}
	}
}

func timed(f func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := f(ctx)
	return time.Since(began), err
}

// pass lets the load go on for a while.
func (l *load) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
