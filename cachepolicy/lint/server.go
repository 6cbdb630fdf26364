package lint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Server is what the upstream tells besides its catalog.
type Server struct {
	Account   string
	Pooler    bool // a pooler stands in between
	Standby   bool
	Databases []Database // that sessions may connect to, but for templates
	Roles     []string
	// Control is true when the account may call pg_control_system, by which the processes of a fleet know that they have one upstream.
	Control bool
	// Since is when counting began, the zero time when the server does not say: it began with the database.
	Since time.Time
	// Counts by the OIDs of tables.
	Counts map[uint32]Count
	// Extension holds the OIDs of relations and functions that belong to one, Triggers those of functions that only triggers call.
	Extension, Triggers map[uint32]bool
	// Subscribed are the OIDs of relations that a subscription of logical replication writes.
	Subscribed []uint32
	// Updatable are the OIDs of foreign tables that can be written.
	Updatable map[uint32]bool
	// Denied are the server's words for what the account may not read.
	Denied []string
}

// Database is a database of the upstream.
type Database struct {
	Name    string
	Connect bool // the account may connect
}

// Count is what pg_stat_user_tables says of a table.
type Count struct {
	Scans   int64 // of the table or an index, whatever for
	Written int64 // rows
}

// Ask reads what Server holds. conn must be idle and not in a transaction. What the account may not read is in Denied, other
// errors end it.
func Ask(ctx context.Context, conn *pgx.Conn) (*Server, error) {
	s := &Server{Counts: map[uint32]Count{}, Extension: map[uint32]bool{}, Triggers: map[uint32]bool{}, Updatable: map[uint32]bool{}}
	var pid, oid uint32
	var since *time.Time
	var count Count
	var database Database
	var role string
	note := func(set map[uint32]bool) func() { return func() { set[oid] = true } }
	for _, q := range []struct {
		what, query string
		into        []any
		row         func()
	}{
		{"server", `SELECT current_user::text, pg_backend_pid(), pg_is_in_recovery(), has_function_privilege('pg_control_system()', 'EXECUTE')`,
			[]any{&s.Account, &pid, &s.Standby, &s.Control}, func() { s.Pooler = pid != conn.PgConn().PID() }},
		{"databases", `SELECT datname::text, has_database_privilege(oid, 'CONNECT') FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1`,
			[]any{&database.Name, &database.Connect}, func() { s.Databases = append(s.Databases, database) }},
		{"roles", `SELECT rolname::text FROM pg_roles ORDER BY 1`, []any{&role}, func() { s.Roles = append(s.Roles, role) }},
		{"time of counting", `SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()`, []any{&since}, func() {
			if since != nil {
				s.Since = *since
			}
		}},
		{"counts", `SELECT relid, coalesce(seq_scan, 0) + coalesce(idx_scan, 0), n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables`,
			[]any{&oid, &count.Scans, &count.Written}, func() { s.Counts[oid] = count }},
		{"extensions", `SELECT objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid IN ('pg_class'::regclass, 'pg_proc'::regclass)`,
			[]any{&oid}, note(s.Extension)},
		{"functions of triggers", `SELECT oid FROM pg_proc WHERE prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)`, []any{&oid}, note(s.Triggers)},
		{"foreign tables", `SELECT oid FROM pg_class WHERE relkind = 'f' AND pg_relation_is_updatable(oid, true) <> 0`, []any{&oid}, note(s.Updatable)},
		{"subscriptions", `SELECT DISTINCT srrelid FROM pg_subscription_rel ORDER BY 1`, []any{&oid}, func() { s.Subscribed = append(s.Subscribed, oid) }},
	} {
		rows, err := conn.Query(ctx, q.query, pgx.QueryExecModeExec)
		if err == nil {
			_, err = pgx.ForEachRow(rows, q.into, func() error { q.row(); return nil })
		}
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused) && refused.Code == insufficientPrivilege:
			s.Denied = append(s.Denied, refused.Message)
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", q.what, err)
		}
	}
	return s, nil
}

// insufficientPrivilege is the SQLSTATE for a missing right (manual, appendix A).
const insufficientPrivilege = "42501"

// Denied returns the finding for an error of catalog.Load that a missing right is the cause of. It is not ok for other errors.
func Denied(err error, account string) (f Finding, ok bool) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != insufficientPrivilege {
		return Finding{}, false
	}
	return Finding{
		Path: "upstream", Level: LevelError, Code: CodeRights,
		What:   fmt.Sprintf("the account %s can't read the catalog, so nothing is cached: %s", account, refused.Message),
		Change: "grant it to " + account + ", as PUBLIC has it by default",
	}, true
}
