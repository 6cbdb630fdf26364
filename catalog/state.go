package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// serverState is what can change settings and rights of sessions without a definition of the database changing.
type serverState struct {
	configuration string // pg_conf_load_time: the configuration files were read again
	started       string // pg_postmaster_start_time
	settings      string // ALTER ROLE ... SET, ALTER DATABASE ... SET
	roles         string // attributes of roles, memberships
}

func readState(ctx context.Context, conn *pgx.Conn) (serverState, error) {
	var s serverState
	err := conn.QueryRow(ctx, `
SELECT pg_conf_load_time()::text, pg_postmaster_start_time()::text,
       (SELECT coalesce(md5(string_agg(s::text, ',' ORDER BY s.setdatabase, s.setrole)), '') FROM pg_db_role_setting s),
       (SELECT coalesce(md5(string_agg(r::text, ',' ORDER BY r.oid)), '') FROM pg_roles r) ||
       (SELECT coalesce(md5(string_agg(m::text, ',' ORDER BY m::text)), '') FROM pg_auth_members m)`,
	).Scan(&s.configuration, &s.started, &s.settings, &s.roles)
	if err != nil {
		return s, fmt.Errorf("read settings and roles: %w", err)
	}
	return s, nil
}
