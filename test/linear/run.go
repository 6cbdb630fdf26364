package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// Sizes of a run.
const (
	clients        = 16              // through pgrecall
	poolClients    = 2               // for each mode of pgx
	windowLength   = 3 * time.Second // where pgrecall is killed: after that
	catalogTimeout = 10 * time.Second
	quietTimeout   = 20 * time.Second
	checkTimeout   = 60 * time.Second // of one register in one window
)

// run is a server, a relay, a pgrecall, clients and what they saw.
type run struct {
	tb       testing.TB
	seed     uint64
	began    time.Time
	server   *pgtest.Server
	relay    *relay
	process  *process
	log      *os.File // of pgrecall
	straight string   // DSN past pgrecall
	dsn      string   // through it

	workers []*worker
	pools   []*pgxpool.Pool
	kills   kills
	values  atomic.Int64 // the last that was written
	hot     atomic.Int32 // the register that something happened to last

	frozen atomic.Int32 // 1 + the number of a table that is not to be written just now, 0 for none

	contents  [keys]int64       // at the beginning of the window
	loose     [keys][]operation // writes of earlier windows whose outcome nobody knows
	writes    int64
	reads     int64 // through pgrecall
	unsure    int64
	checking  time.Duration
	slowest   time.Duration
	failMutex sync.Mutex
	failures  []string
}

func (r *run) now() int64 { return int64(time.Since(r.began)) }

// fail notes a failure; the window's end reports it.
func (r *run) fail(format string, arguments ...any) {
	r.failMutex.Lock()
	defer r.failMutex.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, arguments...))
}

// newRun starts everything but the chaos.
func newRun(tb testing.TB, seed uint64) *run {
	tb.Helper()
	r := &run{tb: tb, seed: seed, began: time.Now()}
	r.values.Store(initial)
	for key := range keys {
		r.contents[key] = initial
	}
	r.kills = kills{kinds: map[string]int{}, run: r}
	r.server = pgtest.Start(tb, pgtest.WithConfig("autovacuum = off"))
	ctx := tb.Context()
	must := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	must(r.server.Exec(ctx, "postgres", "CREATE DATABASE "+database))
	must(r.server.Exec(ctx, database, schema()))
	var err error
	r.relay, err = newRelay(r.server.Address())
	must(err)
	tb.Cleanup(r.relay.close)
	r.log, err = os.CreateTemp(tb.TempDir(), "pgrecall-*.log")
	must(err)
	tb.Cleanup(func() { _ = r.log.Close() })
	r.straight = dsn(r.server.Address())
	r.process, err = newProcess(dsn(r.relay.address()), r.log)
	must(err)
	r.dsn = dsn(r.process.listen)
	r.hire()
	return r
}

func dsn(address string) string {
	host, port, _ := splitHostPort(address)
	return "host=" + host + " port=" + port + " user=postgres dbname=" + database + " sslmode=disable connect_timeout=5"
}

// hire makes the clients: two for each way in which pgx sends statements, the rest over pgconn, and one that reads past pgrecall.
func (r *run) hire() {
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	hire := func(s session, only bool) {
		id := len(r.workers)
		r.workers = append(r.workers, &worker{run: r, id: id, random: rand.New(rand.NewPCG(r.seed, uint64(id))), session: s, only: only})
	}
	for _, mode := range modes {
		pool, err := newPool(r.tb.Context(), r.dsn, mode, poolClients)
		if err != nil {
			r.tb.Fatal(err)
		}
		r.pools = append(r.pools, pool)
		for range poolClients {
			hire(&pooled{pool: pool, name: "pgx " + mode.String()}, false)
		}
	}
	for i := len(r.workers); i < clients; i++ {
		parameters := ""
		if i%2 == 0 {
			parameters = " options='-c statement_timeout=200ms'"
		}
		s, err := newRaw(r.dsn + parameters)
		if err != nil {
			r.tb.Fatal(err)
		}
		hire(s, false)
	}
	hire(&straight{dsn: r.straight + " application_name=straight"}, true)
}

// window lets clients and chaos go on for a time, waits until all is quiet, and checks what was seen.
func (r *run) window(number int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for began := time.Now(); !r.process.ready() && time.Since(began) < catalogTimeout; time.Sleep(10 * time.Millisecond) { // without, there is no cache to be wrong
	}
	var working sync.WaitGroup
	for _, w := range r.workers {
		working.Go(func() { w.work(ctx) })
	}
	c := r.unleash(number)
	if c.kind == proxyKilled {
		c.restartProxy(rand.New(rand.NewPCG(r.seed, uint64(1000+100*number+99))))
	}
	c.pause(windowLength)
	cancel()
	working.Wait()
	c.stop()
	r.settle()
}

// awaitServer waits until the server accepts connections.
func (r *run) awaitServer() {
	for deadline := time.Now().Add(quietTimeout); ; time.Sleep(5 * time.Millisecond) { // PostgreSQL tells nobody that it is ready
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, r.straight+" application_name=chaos")
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil || time.Now().After(deadline) {
			return
		}
	}
}

// settle waits until no transaction is open any more, reads the registers and checks the window.
func (r *run) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*quietTimeout)
	defer cancel()
	r.awaitServer()
	conn, err := pgx.Connect(ctx, r.straight+" application_name=chaos")
	if err != nil {
		r.tb.Fatalf("PGRECALL_SEED=%d: the server does not come back: %v; %v", r.seed, err, r.failures)
	}
	defer func() { _ = conn.Close(ctx) }()
	for deadline := time.Now().Add(quietTimeout); ; time.Sleep(time.Millisecond) {
		var busy int
		if err := conn.QueryRow(ctx, `SELECT count(*)`+clientBackends+` AND state <> 'idle'`).Scan(&busy); err != nil {
			r.tb.Fatal(err)
		}
		if busy == 0 {
			break
		}
		if time.Now().After(deadline) {
			r.tb.Fatalf("PGRECALL_SEED=%d: %d backends don't come to an end", r.seed, busy)
		}
	}
	call := r.now()
	contents, err := contents(ctx, conn)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.check(call, contents)
}

// check checks all registers of a window, which ends with these contents.
func (r *run) check(call int64, contents [keys]int64) {
	var histories [keys][]operation
	for key := range keys {
		histories[key] = slices.Clone(r.loose[key])
	}
	for _, w := range r.workers {
		for _, o := range w.history {
			histories[o.key] = append(histories[o.key], o)
			if o.write {
				r.writes++
			} else if !w.only {
				r.reads++
			}
			if o.write && o.outcome == unknown {
				r.unsure++
				r.loose[o.key] = append(r.loose[o.key], o)
			}
		}
		w.history = nil
	}
	for key, value := range contents {
		histories[key] = append(histories[key], operation{client: len(r.workers), key: key, value: value, call: call, finish: r.now(), outcome: done, how: "at the end"})
	}
	began := time.Now()
	var verdicts [keys]verdict
	var checking sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for key := range keys {
		checking.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			verdicts[key] = check(r.contents[key], histories[key], checkTimeout)
		})
	}
	checking.Wait()
	took := time.Since(began)
	r.checking += took
	r.slowest = max(r.slowest, took)
	r.report(&histories, &verdicts)
	r.contents = contents
}
