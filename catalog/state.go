package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// serverState is what can change settings, rights and rows of sessions without a definition of the database changing.
type serverState struct {
	configuration string // pg_conf_load_time: the configuration files were read again
	identity      identity
	settings      string // ALTER ROLE ... SET, ALTER DATABASE ... SET
	roles         string // attributes of roles, memberships
}

// under returns Snapshot.Under.
func (s *serverState) under(definitions [32]byte) (digest [32]byte) {
	h := sha256.New()
	_, _ = h.Write(definitions[:])
	for _, part := range []string{s.identity.started, s.identity.processes, s.identity.database, s.roles} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	h.Sum(digest[:0])
	return digest
}

// identity tells one run of one server, and one database on it, from another with the same definitions: a crash empties unlogged tables
// and changes the server's processes, a database may be dropped and made again from a template, another server may take over.
type identity struct {
	started   string // pg_postmaster_start_time
	processes string // those of the server that serve nobody; "" where they can't be seen
	database  string // OID
}

// SameServer tells whether the server is still the run of it that the last look saw: it has neither crashed nor been restarted or replaced since.
// It costs one row on the connection of BackendGone. False without an error may also mean that the server does not show its
// processes; an error means that nobody knows.
func (w *Watcher) SameServer(ctx context.Context) (bool, error) {
	w.mu.Lock()
	known := w.identity
	w.mu.Unlock()
	var now identity
	err := w.prober.ask(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT `+identityColumns).Scan(&now.started, &now.processes, &now.database)
	})
	if err != nil {
		return false, fmt.Errorf("ask whether the server is the same: %w", err)
	}
	return now == known && now.processes != "", nil
}

// identityColumns are those of identity. Since PostgreSQL 18 a client that is not authenticated yet has neither database nor user either, and the
// number of I/O workers may change; what kind of process it is, an ordinary account can't see.
const identityColumns = `pg_postmaster_start_time()::text,
       (SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid) FILTER (WHERE backend_type IN ('checkpointer', 'background writer', 'walwriter')),
                        min(pid)::text, '') FROM pg_stat_activity WHERE datid IS NULL AND usesysid IS NULL),
       (SELECT oid::text FROM pg_database WHERE datname = current_database())`

const stateQuery = `
SELECT pg_conf_load_time()::text, ` + identityColumns + `,
       (SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s.setdatabase, s.setrole)), '') FROM pg_db_role_setting s),
       (SELECT coalesce(md5(string_agg(r::text, ',' ORDER BY r.oid)), '') FROM pg_roles r) ||
       (SELECT coalesce(md5(string_agg(concat(m, ' ', m.xmin), ',' ORDER BY m::text)), '') FROM pg_auth_members m),
       CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_snapshot()::text END`

// parseState reads a row of stateQuery. transactions is the list of those that were running, and the next one to come: while it is
// the same, nothing can have been committed. On a standby, where it does not tell that, it is "".
func parseState(values [][]byte) (state serverState, transactions string) {
	return serverState{
		configuration: string(values[0]),
		identity:      identity{started: string(values[1]), processes: string(values[2]), database: string(values[3])},
		settings:      string(values[4]), roles: string(values[5]),
	}, string(values[6])
}
