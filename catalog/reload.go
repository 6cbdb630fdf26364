package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// AwaitReload returns once the server has told all its backends of every reload of its configuration that was asked for before. pg_reload_conf() only
// signals the postmaster. That does what it was signalled to do, and signals its backends in turn, before it accepts a connection that was begun after
// (ServerLoop in postmaster.c); a backend has that signal before it reads a message that was sent after (PostgresMain in postgres.c). So a
// connection that succeeds shows it, whether or not anything in the files was changed or is right.
//
// The error is ErrPooler where connections show nothing; any other means that nobody knows.
func (w *Watcher) AwaitReload(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, w.options.Config)
	if err != nil {
		return fmt.Errorf("connect after a reload: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return fmt.Errorf("ask for our own backend: %w", err)
	}
	if pid != conn.PgConn().PID() {
		return ErrPooler
	}
	return nil
}
