package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sizes of the fleet and of the load on it.
const (
	members            = 3
	readersOfEach      = 2
	fleetWriters       = 2
	fleetWriteInterval = 80 * time.Millisecond // of each writer
	fleetPriceEvery    = 50                    // every so many writes of a writer one goes to products
)

// errLoadHangs: a statement did not end with the load.
var errLoadHangs = errors.New("a statement was not answered in time")

// fleetLoad reads and writes through all members at once. Every read is held against the writes that were acknowledged before it was
// sent, through whichever member.
type fleetLoad struct {
	database *demoDatabase
	seats    [members]atomic.Pointer[member] // nil while nobody is there
	known    versions

	reads, writes, stale atomic.Int64
	written              latencies // of writes
}

// latencies are those of statements, with the time of their end.
type latencies struct {
	mu   sync.Mutex
	list []latency
}

type latency struct {
	end  time.Time
	took time.Duration
}

func (l *latencies) add(end time.Time, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, latency{end, took})
}

// between returns the latencies of what ended between two moments, shortest first.
func (l *latencies) between(from, to time.Time) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []time.Duration
	for _, one := range l.list {
		if !one.end.Before(from) && one.end.Before(to) {
			found = append(found, one.took)
		}
	}
	slices.Sort(found)
	return found
}

// run drives the load until the context ends, and returns the first error that nobody's death explains.
func (f *fleetLoad) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Statements finish when the load ends, so that no answer is cut off in the middle, but not for ever.
	statements, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(closeTimeout, func() { cut(errLoadHangs) }) })()
	var work sync.WaitGroup
	start := func(do func(*fleetClient) error) {
		work.Go(func() {
			c := &fleetClient{load: f, ctx: ctx, statements: statements, connections: map[*member]*pgx.Conn{}}
			defer c.close()
			if err := do(c); err != nil {
				fail(err)
			}
		})
	}
	for home := range members {
		for n := range readersOfEach {
			start(func(c *fleetClient) error { return c.read(home, uint64(home*readersOfEach+n)) })
		}
	}
	for n := range fleetWriters {
		start(func(c *fleetClient) error { return c.write(n) })
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// fleetClient is an application's client that a load balancer sends to one member or another.
type fleetClient struct {
	load        *fleetLoad
	ctx         context.Context // of the load
	statements  context.Context
	connections map[*member]*pgx.Conn
}

func (c *fleetClient) close() {
	for _, conn := range c.connections {
		_ = conn.Close(c.statements) // nobody waits for it
	}
}

// pick returns the member in the seat, or in the next that is taken.
func (c *fleetClient) pick(seat int) *member {
	for i := range members {
		if m := c.load.seats[(seat+i)%members].Load(); m != nil {
			return m
		}
	}
	return nil
}

// through does something on a connection to the member. Done is false where the member has died: its connection is gone.
func (c *fleetClient) through(m *member, do func(*pgx.Conn) error) (done bool, err error) {
	conn := c.connections[m]
	if conn == nil {
		if conn, err = pgx.ConnectConfig(c.statements, m.target(c.load.database.upstream.config)); err == nil {
			c.connections[m] = conn
		}
	}
	if err == nil {
		err = do(conn)
	}
	if err == nil {
		return true, nil
	}
	if m.killed.Load() {
		delete(c.connections, m)
		return false, nil
	}
	if cause := context.Cause(c.statements); cause != nil {
		err = cause
	}
	return false, fmt.Errorf("%s: %w", m.name, err)
}

// fleetRead is a read whose last column holds versions, and the version that it must show at least.
type fleetRead struct {
	text     string
	argument any
	columns  int
	known    *atomic.Int64
}

// read asks as a shop's pages do, at home where somebody is there.
func (c *fleetClient) read(home int, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 42))
	popular := rand.NewZipf(random, 1.3, 8, products-1)
	var none atomic.Int64
	f := c.load
	for c.ctx.Err() == nil {
		var r fleetRead
		switch n := random.IntN(100); {
		case n < 8:
			r = f.stockRow(1 + random.IntN(stocked))
		case n < 10:
			category := 1 + random.IntN(categories)
			r = fleetRead{"SELECT c.name, sum(o.quantity), max(p.version) FROM {s}.orders o JOIN {s}.products p ON p.id = o.product_id JOIN {s}.categories c ON c.id = p.category_id WHERE c.id = $1 GROUP BY c.name", category, 3, &f.known.category[category]}
		case n < 35:
			category := 1 + random.IntN(categories)
			r = fleetRead{"SELECT p.id, p.name, p.price, max(p.version) OVER () FROM {s}.products p JOIN {s}.categories c ON c.id = p.category_id WHERE c.slug = $1 ORDER BY p.price, p.id LIMIT 20", fmt.Sprintf("category-%d", category), 4, &f.known.category[category]}
		default:
			id := 1 + int(popular.Uint64())
			r = fleetRead{productText, id, 4, &none}
			if id <= stocked {
				r.known = &f.known.price[id]
			}
		}
		if err := c.check(c.pick(home), r); err != nil {
			return err
		}
	}
	return nil
}

const productText = "SELECT id, name, price, version FROM {s}.products WHERE id = $1"

func (f *fleetLoad) stockRow(id int) fleetRead {
	return fleetRead{"SELECT quantity, version FROM {s}.stock WHERE product_id = $1", id, 2, &f.known.stock[id]}
}

// check reads through the member and compares what it shows with what was acknowledged before it was asked.
func (c *fleetClient) check(m *member, r fleetRead) error {
	a := m.admission
	counted, ok := a.enter(c.ctx)
	if !ok {
		return nil
	}
	if counted {
		defer a.answered()
	}
	var began time.Time // once there is a connection
	var known int64
	oldest := int64(-1)
	done, err := c.through(m, func(conn *pgx.Conn) (err error) {
		known, began = r.known.Load(), time.Now()
		oldest, err = oldestVersion(c.statements, conn, c.load.database.sql(r.text), r.argument, r.columns)
		return err
	})
	if !done || err != nil {
		return err
	}
	end := time.Now()
	m.served.add(end, end.Sub(began))
	c.load.reads.Add(1)
	if oldest < known {
		c.load.stale.Add(1)
	}
	return nil
}

// oldestVersion returns the least number in the last column.
func oldestVersion(ctx context.Context, conn *pgx.Conn, text string, argument any, columns int) (int64, error) {
	rows, err := conn.Query(ctx, text, argument)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var version int64
	into := make([]any, columns)
	into[columns-1] = &version
	oldest := int64(-1)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return 0, err
		}
		if oldest < 0 || version < oldest {
			oldest = version
		}
	}
	return oldest, rows.Err()
}

// write changes stock and prices, each time through the next member, and reads what it wrote through the one after that. A row
// belongs to one writer, and its version never goes back: a statement whose client was cut off may come late.
func (c *fleetClient) write(writer int) error {
	f := c.load
	stock := f.database.sql("UPDATE {s}.stock SET quantity = quantity - 1, version = $1 WHERE product_id = $2 AND version < $1")
	price := f.database.sql("UPDATE {s}.products SET price = price + 0.01, version = $1 WHERE id = $2 AND version < $1")
	tick := time.NewTicker(fleetWriteInterval)
	defer tick.Stop()
	for n := writer; ; n++ {
		select {
		case <-c.ctx.Done():
			return nil
		case <-tick.C:
		}
		id := 1 + (n*fleetWriters+writer)%stocked
		statement, r := stock, f.stockRow(id)
		if n%fleetPriceEvery == 0 {
			id = 1 + (n/fleetPriceEvery*fleetWriters+writer)%stocked
			statement, r = price, fleetRead{productText, id, 4, &f.known.price[id]}
		}
		m, version := c.pick(n), f.known.last.Add(1)
		if !m.admission.await(c.ctx) {
			return nil
		}
		var began time.Time // once there is a connection
		done, err := c.through(m, func(conn *pgx.Conn) error {
			began = time.Now()
			_, err := conn.Exec(c.statements, statement, version, id)
			return err
		})
		if err != nil {
			return err
		}
		if !done {
			continue // nobody knows whether it was written
		}
		end := time.Now()
		f.written.add(end, end.Sub(began))
		f.writes.Add(1)
		r.known.Store(version)
		if statement == price {
			raise(&f.known.category[id%categories+1], version)
		}
		if err := c.check(c.pick(n+1), r); err != nil {
			return err
		}
	}
}

// raise makes a number at least as large as another.
func raise(n *atomic.Int64, least int64) {
	for old := n.Load(); old < least && !n.CompareAndSwap(old, least); old = n.Load() {
	}
}
