package catalog

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// presenceClass is the first key of the advisory locks of Presence ("pgre").
const presenceClass = 0x70677265

// Presence shows the other pgrecalls of one server that this process lives, by a session's shared advisory lock (manual, section 13.3.5), and tells
// which others do. It keeps one connection to a database that nobody drops. Its methods may be called from any goroutine.
type Presence struct {
	prober  prober
	key     uint32
	renewed atomic.Bool // the lock was taken since Present was called last
}

// NewPresence returns the presence of the process with this key, which shows once Present has been called. Config says how to connect.
func NewPresence(config *pgx.ConnConfig, key uint32) *Presence {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.RuntimeParams["application_name"] = "pgrecall"
	p := &Presence{key: key}
	p.prober = prober{config: config, keep: true, greet: func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"); err != nil {
			return fmt.Errorf("keep the session of the presence: %w", err)
		}
		// Shared: the server may still keep the session before this one, on a connection that nobody else knows of any more.
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1::int4, $2::int4)", int32(presenceClass), int32(key)); err != nil {
			return fmt.Errorf("show the presence: %w", err)
		}
		p.renewed.Store(true)
		return nil
	}}
	return p
}

// connectPatience bounds how long Connect takes.
const connectPatience = 10 * time.Second

// Connect sees to it that there is a connection to ask on, and with it the lock. That may take many round trips more than a question does: TLS,
// a password, the lock itself.
func (p *Presence) Connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	return p.prober.open(ctx)
}

// Present returns the keys of the processes that live. Its lock is taken again where the connection was lost; others may have looked in
// between and taken it for dead. So its own key is there only if it was without a break since the call before.
func (p *Presence) Present(ctx context.Context) ([]uint32, error) {
	var keys []uint32
	renewed := false
	err := p.prober.ask(ctx, func(conn *pgx.Conn) error {
		renewed = p.renewed.Swap(false)
		rows, err := conn.Query(ctx, `
SELECT DISTINCT objid FROM pg_locks
 WHERE locktype = 'advisory' AND classid = $1::int4::int8::oid AND objsubid = 2 AND granted ORDER BY objid`, int32(presenceClass))
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look who is present: %w", err)
	}
	if renewed {
		keys = slices.DeleteFunc(keys, func(key uint32) bool { return key == p.key })
	}
	return keys, nil
}

// Transactions returns the transactions that clients have open, in all databases and from everywhere, and have had for less than a time, 0 being any.
// Prepared ones aren't among them.
func (p *Presence) Transactions(ctx context.Context, within time.Duration) ([]Transaction, error) {
	var open []Transaction
	err := p.prober.ask(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT a.pid, coalesce(h.virtualxid, ''), a.xact_start
  FROM pg_stat_activity a
  LEFT JOIN (SELECT pid, virtualxid FROM pg_locks WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted) h ON h.pid = a.pid
 WHERE a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'walsender'
   AND (h.virtualxid IS NOT NULL OR a.backend_type = 'client backend' AND a.state IN ('active', 'fastpath function call'))
   AND ($1::float8 = 0 OR a.xact_start IS NULL OR a.xact_start > clock_timestamp() - make_interval(secs => $1::float8))
 ORDER BY a.pid`, within.Seconds())
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

// TransactionGone is Watcher.TransactionGone.
func (p *Presence) TransactionGone(ctx context.Context, t Transaction) (bool, error) {
	gone, err := p.prober.transactionGone(ctx, t)
	if err != nil {
		return false, fmt.Errorf("look for the transaction of backend %d: %w", t.PID, err)
	}
	return gone, nil
}

// BackendGone is Watcher.BackendGone.
func (p *Presence) BackendGone(ctx context.Context, pid uint32, diedAt time.Time) (bool, error) {
	return p.prober.gone(ctx, pid, diedAt)
}

// Close ends the connection, and with it the presence.
func (p *Presence) Close() { p.prober.close() }
