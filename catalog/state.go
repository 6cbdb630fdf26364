package catalog

import (
	"context"
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

// identity tells one run of one server, and one database on it, from another with the same definitions: a crash empties unlogged tables
// and changes the server's processes, a database may be dropped and made again from a template, another server may take over.
type identity struct {
	started   string // pg_postmaster_start_time
	processes string // those of the server that serve nobody; "" where they can't be seen
	database  uint32 // OID
}

func readState(ctx context.Context, conn *pgx.Conn) (serverState, error) {
	var s serverState
	err := conn.QueryRow(ctx, `
SELECT pg_conf_load_time()::text, pg_postmaster_start_time()::text,
       (SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid), '') FROM pg_stat_activity WHERE datid IS NULL AND usesysid IS NULL),
       (SELECT oid FROM pg_database WHERE datname = current_database()),
       (SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s.setdatabase, s.setrole)), '') FROM pg_db_role_setting s),
       (SELECT coalesce(md5(string_agg(r::text, ',' ORDER BY r.oid)), '') FROM pg_roles r) ||
       (SELECT coalesce(md5(string_agg(m::text, ',' ORDER BY m::text)), '') FROM pg_auth_members m)`,
	).Scan(&s.configuration, &s.identity.started, &s.identity.processes, &s.identity.database, &s.settings, &s.roles)
	if err != nil {
		return s, fmt.Errorf("read settings and roles: %w", err)
	}
	return s, nil
}
