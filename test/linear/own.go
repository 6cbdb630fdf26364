package linear

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// convergeTimeout is how long after the end of all faults a pgrecall may go on to answer with what is older. It is much shorter than the TTL.
const convergeTimeout = 10 * time.Second

// checkOwn checks a window in which each client was promised its own writes.
func (r *run) checkOwn(ctx context.Context, conn *pgx.Conn, k kind, contents [keys]int64) {
	if err := r.order.learn(ctx, conn); err != nil {
		r.tb.Fatal(err)
	}
	for _, w := range r.workers {
		for _, v := range r.order.check(w.history, k == calm) {
			if v.own == nil {
				r.fail("key %d: a value that never was: %s", v.read.key, strings.TrimSpace(v.read.line()))
				continue
			}
			r.fail("key %d: an own write was missed:\n  %s\nafter\n  %s", v.read.key, strings.TrimSpace(v.read.line()), strings.TrimSpace(v.own.line()))
		}
	}
	histories := r.gather()
	r.converge(contents)
	r.report(&histories, &[keys]verdict{})
	r.contents = contents
}

// converge waits until all pgrecalls answer with the last values: no invalidation may be lost.
func (r *run) converge(contents [keys]int64) {
	began := time.Now()
	for i, p := range r.processes {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			var err error
			for err = r.agree(p, mode, &contents); err != nil && time.Since(began) < convergeTimeout; time.Sleep(5 * time.Millisecond) {
				err = r.agree(p, mode, &contents)
			}
			if err != nil {
				r.fail("pgrecall %d, %s after the last write, in mode %s: %v", i, time.Since(began), mode, err)
			}
		}
	}
	r.order.slow = max(r.order.slow, time.Since(began))
}

// agree tells whether a pgrecall answers with these values.
func (r *run) agree(p *process, mode pgx.QueryExecMode, contents *[keys]int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), operationTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn(p.Listen))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for key, want := range contents {
		var got int64
		sql, id := readQuery(key)
		if err := conn.QueryRow(ctx, sql, mode, id).Scan(&got); err != nil {
			return fmt.Errorf("key %d: %w", key, err)
		}
		if got != want {
			return fmt.Errorf("key %d: %d, want %d", key, got, want)
		}
	}
	return nil
}
