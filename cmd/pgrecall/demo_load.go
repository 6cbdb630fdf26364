package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sizes of the load.
const (
	readers       = 8
	writeInterval = 40 * time.Millisecond // writes to stock
	priceEvery    = 50                    // every so many writes one goes to products
)

// phase is one measurement: a load against one address in one protocol.
type phase struct {
	name     string
	mode     pgx.QueryExecMode
	target   *pgx.ConnConfig
	database *demoDatabase

	// acknowledged holds the version of each stocked product that a client was told is there.
	// It outlives the phase: a cache may hold answers of an earlier one.
	acknowledged *versions

	reads  atomic.Int64
	writes atomic.Int64
	checks atomic.Int64 // reads that could have been caught as stale
	stale  atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration // of all readers, when they are done
	elapsed   time.Duration
}

// versions are the last acknowledged versions by product, and the last that was given out.
type versions struct {
	stock, price [stocked + 1]atomic.Int64
	category     [categories + 1]atomic.Int64 // of its products; only the fleet's demo asks for it
	last         atomic.Int64
}

// run drives the load for the time given and returns the first error of any client.
func (f *phase) run(ctx context.Context, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	began := time.Now()
	var work sync.WaitGroup
	for n := range readers {
		work.Go(func() { f.client(ctx, fail, func(conn *pgx.Conn) error { return f.read(ctx, conn, uint64(n)) }) })
	}
	work.Go(func() {
		f.client(ctx, fail, func(writer *pgx.Conn) error {
			checker, err := f.connect(ctx)
			if err != nil {
				return err
			}
			return errors.Join(f.write(ctx, writer, checker), checker.Close(context.WithoutCancel(ctx)))
		})
	})
	work.Wait()
	f.elapsed = time.Since(began)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

func (f *phase) connect(ctx context.Context) (*pgx.Conn, error) {
	target := f.target.Copy()
	target.DefaultQueryExecMode = f.mode
	return pgx.ConnectConfig(ctx, target)
}

// client runs one client until the phase ends; what went wrong before ends the phase.
func (f *phase) client(ctx context.Context, fail context.CancelCauseFunc, do func(*pgx.Conn) error) {
	conn, err := f.connect(ctx)
	if err == nil {
		err = do(conn)
		_ = conn.Close(context.WithoutCancel(ctx))
	}
	if err != nil && ctx.Err() == nil {
		fail(err)
	}
}

// read asks as a shop's pages do: few products are looked at by most, all are looked at by some.
func (f *phase) read(ctx context.Context, conn *pgx.Conn, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 42))
	popular := rand.NewZipf(random, 1.3, 8, products-1)
	latencies := make([]time.Duration, 0, 1<<16)
	defer func() {
		f.mu.Lock()
		f.latencies = append(f.latencies, latencies...)
		f.mu.Unlock()
	}()
	product := f.database.sql("SELECT id, name, price, version FROM {s}.products WHERE id = $1")
	list := f.database.sql("SELECT p.id, p.name, p.price FROM {s}.products p JOIN {s}.categories c ON c.id = p.category_id WHERE c.slug = $1 ORDER BY p.price, p.id LIMIT 20")
	best := f.database.sql("SELECT c.name, sum(o.quantity) FROM {s}.orders o JOIN {s}.products p ON p.id = o.product_id JOIN {s}.categories c ON c.id = p.category_id WHERE c.id = $1 GROUP BY c.name")
	for ctx.Err() == nil {
		// The statement in hand finishes, so that no answer is cut off in the middle.
		ctx := context.WithoutCancel(ctx)
		began := time.Now()
		var err error
		switch n := random.IntN(100); {
		case n < 8:
			err = f.check(ctx, conn, f.stockRow(1+random.IntN(stocked)))
		case n < 10:
			err = f.check(ctx, conn, f.priceRow(1+random.IntN(stocked)))
		case n < 12:
			err = drain(ctx, conn, best, 1+random.IntN(categories))
		case n < 35:
			err = drain(ctx, conn, list, fmt.Sprintf("category-%d", 1+random.IntN(categories)))
		default:
			err = drain(ctx, conn, product, 1+int(popular.Uint64()))
		}
		if err != nil {
			return err
		}
		latencies = append(latencies, time.Since(began))
		f.reads.Add(1)
	}
	return nil
}

// write changes stock and prices. After each acknowledged write another client reads the row.
func (f *phase) write(ctx context.Context, writer, checker *pgx.Conn) error {
	stock := f.database.sql("UPDATE {s}.stock SET quantity = quantity - 1, version = $1 WHERE product_id = $2")
	price := f.database.sql("UPDATE {s}.products SET price = price + 0.01, version = $1 WHERE id = $2")
	tick := time.NewTicker(writeInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		ctx := context.WithoutCancel(ctx)
		version, id := f.acknowledged.last.Add(1), 1+n%stocked
		statement, row := stock, f.stockRow(id)
		if n%priceEvery == 0 {
			statement, row = price, f.priceRow(id)
		}
		if _, err := writer.Exec(ctx, statement, version, id); err != nil {
			return err
		}
		row.acknowledged.Store(version)
		f.writes.Add(1)
		if err := f.check(ctx, checker, row); err != nil {
			return err
		}
	}
}

// checkedRow is a row whose version is compared.
type checkedRow struct {
	text         string
	id           int
	acknowledged *atomic.Int64
}

func (f *phase) stockRow(id int) checkedRow {
	return checkedRow{f.database.sql("SELECT version FROM {s}.stock WHERE product_id = $1"), id, &f.acknowledged.stock[id]}
}

func (f *phase) priceRow(id int) checkedRow {
	return checkedRow{f.database.sql("SELECT version FROM {s}.products WHERE id = $1"), id, &f.acknowledged.price[id]}
}

// check reads a row and compares its version with the one that was acknowledged before it asked:
// an older one is a stale read.
func (f *phase) check(ctx context.Context, conn *pgx.Conn, row checkedRow) error {
	known := row.acknowledged.Load()
	var version int64
	if err := conn.QueryRow(ctx, row.text, row.id).Scan(&version); err != nil {
		return err
	}
	f.checks.Add(1)
	if version < known {
		f.stale.Add(1)
	}
	return nil
}

// drain asks and reads every row, as an application would.
func drain(ctx context.Context, conn *pgx.Conn, text string, argument any) error {
	rows, err := conn.Query(ctx, text, argument)
	if err != nil {
		return err
	}
	for rows.Next() {
		_ = rows.RawValues()
	}
	return rows.Err()
}
