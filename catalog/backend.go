package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of BackendGone, OpenTransactions and TransactionGone.
var (
	// ErrPooler is returned where a pooler stands between pgrecall and the server: process numbers mean nothing there.
	ErrPooler = errors.New("catalog: the upstream is a pooler, backends can't be told apart")
	// ErrStopped is returned after Run has ended.
	ErrStopped = errors.New("catalog: the watcher has stopped")
)

// BackendGone tells whether the server has no backend any more with this pid that was there at diedAt, a moment
// that time.Now gave on this machine. It is for connections that died during COMMIT: once their backend is gone,
// the transaction has ended, one way or the other. An error means that nobody knows.
//
// It uses a connection of its own, kept for a moment only, as the Watcher's. An account that isn't a member of
// pg_read_all_stats can't see when other roles' backends started: then a new backend that was given the same pid
// looks like the old one, and the answer is false for as long as it lives.
func (w *Watcher) BackendGone(ctx context.Context, pid uint32, diedAt time.Time) (bool, error) {
	return w.prober.gone(ctx, pid, diedAt)
}

// prober asks for backends on a connection of its own, which it keeps for a moment for the next question: a session of
// ours would keep the database from being dropped.
type prober struct {
	config *pgx.ConnConfig
	keep   bool                                   // the connection, for as long as it works
	greet  func(context.Context, *pgx.Conn) error // what a new connection is told first, nil for nothing

	mu      sync.Mutex
	conn    *pgx.Conn
	idle    *time.Timer // closes conn after linger; nil before the first question
	stopped bool
}

func (p *prober) gone(ctx context.Context, pid uint32, diedAt time.Time) (bool, error) {
	// The server's clock may differ from ours, but not in how long ago something was. The query's way to
	// the server makes the moment later than it was, which errs towards "not gone".
	var alive bool
	err := p.ask(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `
SELECT EXISTS (
  SELECT FROM pg_stat_activity
   WHERE pid = $1 AND (backend_start IS NULL OR backend_start <= clock_timestamp() - $2 * interval '1 microsecond'))`,
			int32(pid), time.Since(diedAt).Microseconds()).Scan(&alive)
	})
	if err != nil {
		return false, fmt.Errorf("look for backend %d: %w", pid, err)
	}
	return !alive, nil
}

// open opens the connection where there is none.
func (p *prober) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ErrStopped
	}
	return p.connect(ctx)
}

// ask runs a question on the connection, which it opens first where there is none. A connection that failed isn't used again.
func (p *prober) ask(ctx context.Context, question func(*pgx.Conn) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return ErrStopped
	}
	if err := ctx.Err(); err != nil { // while another question was asked; the connection is as good as before
		return err
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	if p.idle != nil {
		p.idle.Stop()
	}
	if err := question(p.conn); err != nil {
		p.drop()
		return err
	}
	if !p.keep {
		p.idle = time.AfterFunc(linger, p.leave)
	}
	return nil
}

// leave closes the connection. That of a question which has come meanwhile may be closed too early, and is opened again.
func (p *prober) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

func (p *prober) connect(ctx context.Context) error {
	if p.conn != nil && !p.conn.IsClosed() {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return fmt.Errorf("connect to look for a backend: %w", err)
	}
	p.conn = conn
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		p.drop()
		return fmt.Errorf("ask for our own backend: %w", err)
	}
	if pid != conn.PgConn().PID() {
		p.drop()
		return ErrPooler
	}
	if p.greet != nil {
		if err := p.greet(ctx, conn); err != nil {
			p.drop()
			return err
		}
	}
	return nil
}

func (p *prober) drop() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.conn = nil
}

func (p *prober) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.idle != nil {
		p.idle.Stop()
	}
	p.drop()
}
