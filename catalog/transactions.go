package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Transaction is one that some session of the server had open.
type Transaction struct {
	PID     uint32 // of its backend
	Virtual string // its virtual transaction id, "" when the backend had received a statement and not begun its transaction yet
	// Started is when it began by the server's clock, zero where the account may not see that.
	Started time.Time
}

// OpenTransactions returns the transactions of the watched database that may have been begun through another
// pgrecall on this machine, one that was killed, say: their COMMIT may still be on its way to the server.
// These are the open transactions of client sessions that come from the same address as pgrecall's own connection, or
// from one that can't be compared with it (another address family, hidden from the account), whoever's they are. Prepared
// transactions aren't among them.
//
// A statement that lies unread in the socket of an idle backend can't be seen.
//
// It uses the connection of BackendGone. An error means that nobody knows.
func (w *Watcher) OpenTransactions(ctx context.Context) ([]Transaction, error) {
	var open []Transaction
	err := w.prober.ask(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, openTransactions, int32(w.pid.Load()))
		if err != nil {
			return err
		}
		open, err = collectTransactions(rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for open transactions: %w", err)
	}
	return open, nil
}

// Each transaction holds an exclusive lock on its virtual id from its begin until its outcome is visible to others. Everybody
// may see pg_locks, while states and addresses of other roles' sessions are hidden from an ordinary account,
// and from everybody where track_activities is off. Background workers without a role (autovacuum) run no client's statements.
const openTransactions = `
WITH me AS (
  SELECT coalesce(client_addr, '127.0.0.1') AS address FROM pg_stat_activity WHERE pid = pg_backend_pid()
), held AS (
  SELECT pid, virtualxid FROM pg_locks WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted
)
SELECT a.pid, coalesce(h.virtualxid, ''), a.xact_start
  FROM pg_stat_activity a CROSS JOIN me LEFT JOIN held h ON h.pid = a.pid
 WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND a.pid NOT IN (pg_backend_pid(), $1)
   AND (h.virtualxid IS NOT NULL OR a.backend_type = 'client backend' AND a.state IN ('active', 'fastpath function call'))
   AND (a.backend_start IS NULL
        OR a.backend_type IN ('client backend', 'walsender')
           AND (coalesce(a.client_addr, '127.0.0.1') = me.address
                OR family(coalesce(a.client_addr, '127.0.0.1')) <> family(me.address)
                OR coalesce(a.client_addr, '127.0.0.1') <<= '127.0.0.0/8' AND me.address <<= '127.0.0.0/8'))
 ORDER BY a.pid`

// TransactionGone tells whether a transaction of OpenTransactions has ended, so that its outcome is visible to every statement that starts
// from now on. An error means that nobody knows.
func (w *Watcher) TransactionGone(ctx context.Context, t Transaction) (bool, error) {
	gone, err := w.prober.transactionGone(ctx, t)
	if err != nil {
		return false, fmt.Errorf("look for the transaction of backend %d: %w", t.PID, err)
	}
	return gone, nil
}

func (p *prober) transactionGone(ctx context.Context, t Transaction) (gone bool, err error) {
	question := `
SELECT NOT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted AND pid = $1 AND virtualxid = $2)`
	if t.Virtual == "" { // which one it began is not known: it is over once the backend is seen at rest
		question = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state IS DISTINCT FROM 'idle' AND $2::text = '')"
	}
	err = p.ask(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, question, int32(t.PID), t.Virtual).Scan(&gone)
	})
	return gone, err
}

// collectTransactions reads what a query for transactions returned.
func collectTransactions(rows pgx.Rows) ([]Transaction, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Transaction, error) {
		var t Transaction
		var started *time.Time
		err := row.Scan(&t.PID, &t.Virtual, &started)
		if started != nil {
			t.Started = *started
		}
		return t, err
	})
}
