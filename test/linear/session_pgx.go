package linear

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pooled is a session that takes a connection out of a pool for each operation.
type pooled struct {
	pool *pgxpool.Pool
	name string // of the pool's mode
	conn *pgxpool.Conn
}

// newPool makes a pool with one of pgx's ways to send a statement.
func newPool(ctx context.Context, dsn string, mode pgx.QueryExecMode, connections int32) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.MaxConns = connections
	c.ConnConfig.DefaultQueryExecMode = mode
	c.ConnConfig.DialFunc = dialCut
	return pgxpool.NewWithConfig(ctx, c)
}

func (p *pooled) prepare(ctx context.Context) (*cutSocket, error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	p.conn = conn
	socket, _ := conn.Conn().PgConn().Conn().(*cutSocket)
	return socket, nil
}

func (p *pooled) finish() { p.conn.Release() } // closes what is broken, or in a transaction

func (p *pooled) close() {} // the pool is shared

func (p *pooled) read(ctx context.Context, w *worker, key int) {
	readPgx(ctx, w, p.conn.Conn(), p.name, key)
}

// readPgx reads a register over a connection of pgx.
func readPgx(ctx context.Context, w *worker, conn *pgx.Conn, name string, key int) {
	query := func(sql string, arguments ...any) func() (int64, error) {
		return func() (value int64, err error) {
			err = conn.QueryRow(ctx, sql, arguments...).Scan(&value)
			return value, err
		}
	}
	sql, id := readQuery(key)
	switch n := w.random.IntN(100); {
	case n < 65:
		_ = w.reads(name+" parameter", key, query(sql, id))
	case n < 85:
		_ = w.reads(name+" literal", key, query(readText(key)))
	case n < 91:
		_ = w.reads(name+" uncached", key, query(uncachedText(key)))
	default: // each statement of a READ COMMITTED block sees what is committed by then
		tx, err := conn.Begin(ctx)
		if err != nil {
			return
		}
		for range 1 + w.random.IntN(3) {
			if w.reads(name+" in a block", key, query(sql, id)) != nil {
				break
			}
		}
		_ = tx.Commit(ctx)
	}
}

func (p *pooled) write(ctx context.Context, w *worker, key int) {
	conn := p.conn.Conn()
	id := key % rowsPerTable
	exec := func(sql string, arguments ...any) (outcome, error) {
		return judged(conn.Exec(ctx, sql, arguments...))
	}
	row := func(sql string, arguments ...any) (outcome, error) {
		var value int64
		err := conn.QueryRow(ctx, sql, arguments...).Scan(&value)
		return judge(err), err
	}
	switch w.random.IntN(9) {
	case 0, 1:
		w.writes(p.name+" parameter", key, func(v int64) (outcome, error) { return exec(updateQuery(key), id, v) })
	case 2:
		w.writes(p.name+" literal", key, func(v int64) (outcome, error) { return exec(updateText(key, v)) })
	case 3:
		w.writes(p.name+" returning", key, func(v int64) (outcome, error) { return row(updateQuery(key)+" RETURNING v", id, v) })
	case 4:
		w.writes(p.name+" with", key, func(v int64) (outcome, error) {
			return row("WITH u AS ("+updateQuery(key)+" RETURNING v) SELECT v FROM u", id, v)
		})
	case 5:
		w.writes(p.name+" batch", key, func(v int64) (outcome, error) {
			var b pgx.Batch
			b.Queue(updateQuery(key), id, v)
			err := conn.SendBatch(ctx, &b).Close()
			return judge(err), err
		})
	default:
		p.block(ctx, w, conn, key)
	}
}

// judged judges the answer to an UPDATE.
func judged(tag pgconn.CommandTag, err error) (outcome, error) {
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("%w: %s", errNoRow, tag)
	}
	return judge(err), err
}

// block writes in a transaction block, with a round trip for each statement.
func (p *pooled) block(ctx context.Context, w *worker, conn *pgx.Conn, key int) {
	reads, rollback, savepoint := w.chance(300), w.chance(150), w.chance(200)
	sql, id := readQuery(key)
	w.writes(p.name+" block", key, func(v int64) (outcome, error) {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return never, err
		}
		if reads {
			_ = w.reads(p.name+" before a write", key, func() (value int64, err error) {
				err = tx.QueryRow(ctx, sql, id).Scan(&value)
				return value, err
			})
		}
		if _, err := judged(tx.Exec(ctx, updateQuery(key), id, v)); err != nil {
			return never, err // nobody has said COMMIT
		}
		var own int64
		if err := tx.QueryRow(ctx, sql, id).Scan(&own); err != nil {
			return never, err
		}
		if own != v {
			w.run.fail("client %d wrote %d to key %d and reads %d in the same block", w.id, v, key, own)
		}
		if savepoint {
			if _, err := conn.Exec(ctx, "SAVEPOINT s"); err != nil {
				return never, err
			}
			if _, err := tx.Exec(ctx, updateQuery(key), id, w.run.values.Add(1)); err != nil { // a value that never was
				return never, err
			}
			if _, err := conn.Exec(ctx, "ROLLBACK TO s"); err != nil {
				return never, err
			}
		}
		if rollback {
			return never, tx.Rollback(ctx)
		}
		err = tx.Commit(ctx)
		return judge(err), err
	})
}

// straight reads past pgrecall.
type straight struct {
	dsn  string
	conn *pgx.Conn
}

func (s *straight) prepare(ctx context.Context) (*cutSocket, error) {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil, nil
	}
	var err error
	s.conn, err = pgx.Connect(ctx, s.dsn)
	return nil, err
}

func (s *straight) read(ctx context.Context, w *worker, key int) {
	_ = w.reads("straight", key, func() (value int64, err error) {
		err = s.conn.QueryRow(ctx, readText(key)).Scan(&value)
		return value, err
	})
}

func (s *straight) write(context.Context, *worker, int) {}

func (s *straight) finish() {}

func (s *straight) close() {
	if s.conn != nil {
		_ = s.conn.Close(context.Background())
	}
}
