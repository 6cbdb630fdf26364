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
	fleetLength    = 4 * time.Second // the same in a fleet
	catalogTimeout = 10 * time.Second
	quietTimeout   = 20 * time.Second
	checkTimeout   = 60 * time.Second // of one register in one window
)

// run is a server, pgrecalls with a relay before the server each, clients and what they saw.
type run struct {
	tb        testing.TB
	form      form
	seed      uint64
	began     time.Time
	server    *pgtest.Server
	relays    []*relay
	processes []*process
	logs      []*os.File   // of the processes
	straight  string       // DSN past pgrecall
	redis     *sharedRedis // nil where there is one pgrecall

	workers []*worker
	pools   []*pgxpool.Pool
	kills   kills
	values  atomic.Int64 // the last that was written
	hot     atomic.Int32 // the register that something happened to last
	order   *order       // of writes, where clients are promised no more than their own

	frozen  atomic.Int32 // 1 + the number of a table that is not to be written just now, 0 for none
	reading atomic.Int32 // 1 + the number of a pgrecall that is not to be written through just now, 0 for none: what it did itself tells it nothing

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

// form is a kind of run.
type form struct {
	processes int
	session   bool   // consistency: session; strict else
	windows   []kind // in turn
}

// newRun starts everything but the chaos.
func newRun(tb testing.TB, f form, seed uint64) *run {
	tb.Helper()
	r := &run{tb: tb, form: f, seed: seed, began: time.Now()}
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
	r.straight = dsn(r.server.Address())
	if f.session {
		must(r.server.Exec(ctx, database, orderSchema()))
		r.order = newOrder()
	}
	if f.processes > 1 {
		r.redis = newRedis(tb, f.processes)
	}
	for i := range f.processes {
		relay, err := newRelay(r.server.Address())
		must(err)
		r.relays = append(r.relays, relay)
		tb.Cleanup(relay.close)
		log, err := os.CreateTemp(tb.TempDir(), "pgrecall-*.log")
		must(err)
		r.logs = append(r.logs, log)
		tb.Cleanup(func() { _ = log.Close() })
		s := settings{Upstream: dsn(relay.address()), Session: f.session}
		if r.redis != nil {
			s.Redis = "redis://" + r.redis.links[i].Address() + "/0"
		}
		process, err := newProcess(s, log)
		must(err)
		r.processes = append(r.processes, process)
	}
	r.hire()
	return r
}

// links returns the connections of the moment between pgrecalls and the server: their own ones, or those of clients.
func (r *run) links(own bool) (all []*link) {
	for _, relay := range r.relays {
		all = append(all, relay.all(own)...)
	}
	return all
}

// linkOf returns the link of a backend, nil when there is none.
func (r *run) linkOf(pid uint32) *link {
	for _, relay := range r.relays {
		if l := relay.of(pid); l != nil {
			return l
		}
	}
	return nil
}

func dsn(address string) string {
	host, port, _ := splitHostPort(address)
	return "host=" + host + " port=" + port + " user=postgres dbname=" + database + " sslmode=disable connect_timeout=5"
}

// hire makes the clients: two for each way in which pgx sends statements, the rest over pgconn, and one that reads past pgrecall. In a fleet each has
// sessions with all pgrecalls, or, where clients see their own writes only, with one.
func (r *run) hire() {
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	pools := make(map[*process]map[pgx.QueryExecMode]*pgxpool.Pool)
	for _, p := range r.processes {
		pools[p] = make(map[pgx.QueryExecMode]*pgxpool.Pool)
		for _, mode := range modes {
			pool, err := newPool(r.tb.Context(), dsn(p.Listen), mode, poolClients)
			if err != nil {
				r.tb.Fatal(err)
			}
			r.pools = append(r.pools, pool)
			pools[p][mode] = pool
		}
	}
	for id := range clients {
		open := func(p *process) session {
			if id < poolClients*len(modes) {
				mode := modes[id/poolClients]
				return &pooled{pool: pools[p][mode], name: "pgx " + mode.String()}
			}
			parameters := ""
			if id%2 == 0 {
				parameters = " options='-c statement_timeout=200ms'"
			}
			s, err := newRaw(dsn(p.Listen) + parameters)
			if err != nil {
				r.tb.Fatal(err)
			}
			return s
		}
		w := &worker{run: r, id: id, random: rand.New(rand.NewPCG(r.seed, uint64(id))), home: id % len(r.processes)}
		w.through, w.silent = w.home, len(r.processes) > 1 && id%2 == 1
		if r.form.session || len(r.processes) == 1 {
			w.session = open(r.processes[w.home])
		} else {
			s := &spread{worker: w}
			for _, p := range r.processes {
				s.each = append(s.each, open(p))
			}
			w.session = s
		}
		r.workers = append(r.workers, w)
	}
	id := len(r.workers)
	r.workers = append(r.workers, &worker{
		run: r, id: id, random: rand.New(rand.NewPCG(r.seed, uint64(id))), session: &straight{dsn: r.straight + " application_name=straight"}, only: true,
	})
}

// window lets clients and chaos go on for a time, waits until all is quiet, and checks what was seen.
func (r *run) window(number int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.awaitReady(context.Background(), catalogTimeout) // without, there is no cache to be wrong
	length := windowLength
	if len(r.processes) > 1 {
		length = fleetLength
		r.reading.Store(int32(rand.New(rand.NewPCG(r.seed, uint64(number))).IntN(2 * (1 + len(r.processes)))))
	}
	var working sync.WaitGroup
	for _, w := range r.workers {
		working.Go(func() { w.work(ctx) })
	}
	c := r.unleash(number)
	if c.kind == proxyKilled {
		c.restartProxy(rand.New(rand.NewPCG(r.seed, uint64(1000+100*number+99))))
	}
	c.pause(length)
	cancel()
	c.end()
	working.Wait()
	c.stop()
	r.settle(c.kind)
}

// awaitReady waits until all pgrecalls answer from their caches, the bound is over or the context ends.
func (r *run) awaitReady(ctx context.Context, bound time.Duration) {
	ready := func(p *process) bool { return p.asleep.Load() || p.ready() }
	for began := time.Now(); !all(r.processes, ready) && time.Since(began) < bound && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
	}
}

func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(t T) bool { return !holds(t) })
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
func (r *run) settle(k kind) {
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
	if r.order != nil {
		r.checkOwn(ctx, conn, k, contents)
		return
	}
	r.check(call, contents)
}

// gather returns the histories of the window, by register, and counts them.
func (r *run) gather() (histories [keys][]operation) {
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
	return histories
}

// check checks all registers of a window, which ends with these contents.
func (r *run) check(call int64, contents [keys]int64) {
	histories := r.gather()
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
