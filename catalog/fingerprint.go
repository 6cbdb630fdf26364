package catalog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// catalogues are the system catalogs that Load reads, directly or by the functions that it calls: a snapshot is as
// good as the day it was loaded for as long as none of their rows has changed. In place, without a new version
// of the row, PostgreSQL changes only statistics, horizons and the flags relhasindex, relhasrules, relhastriggers, dathasloginevt
// and datconnlimit = -2 (heap_inplace_update in access/heap/heapam.c): Load must not read those.
//
// Roles and memberships are in serverState: an ordinary account can't read pg_authid.
func catalogues() []catalogue {
	return []catalogue{
		{name: "pg_aggregate"}, {name: "pg_attrdef", apart: true}, {name: "pg_attribute", apart: true}, {name: "pg_cast", apart: true}, {name: "pg_class", apart: true},
		{name: "pg_collation"}, {name: "pg_constraint", apart: true}, {name: "pg_db_role_setting", apart: true}, {name: "pg_depend", apart: true}, {name: "pg_enum"},
		{name: "pg_event_trigger", apart: true}, {name: "pg_extension", apart: true}, {name: "pg_index", apart: true}, {name: "pg_inherits", apart: true}, {name: "pg_language"},
		{name: "pg_namespace"}, {name: "pg_operator"}, {name: "pg_policy", apart: true}, {name: "pg_proc"}, {name: "pg_range"}, {name: "pg_rewrite", apart: true},
		{name: "pg_trigger", apart: true}, {name: "pg_ts_config"}, {name: "pg_ts_config_map"}, {name: "pg_ts_dict"}, {name: "pg_type", apart: true},
		{name: "pg_database", apart: true, of: "datname = current_database()"},
	}
}

type catalogue struct {
	name string
	of   string // which of its rows matter, "" for all; a condition on what is never changed in place
	// apart says that deparsed texts don't depend on it, or that loader.definitions compares what they depend on.
	apart bool
}

// horizon is a transaction id with its epoch: all transactions before it had ended when a snapshot was taken (pg_snapshot_xmin).
type horizon uint64

// farthest is how many transactions a horizon may lie back: 32 bits compare up to twice as many.
const farthest = 1 << 30

// fingerprint tells which row versions the catalogues had in one snapshot of the server. Two are compared by since.
//
// A row version is identified by its place and its inserting transaction (ctid, xmin), which freezing keeps. Those
// inserted before the horizon are counted only. That is exact: what is visible later and from before the horizon
// was visible then, too, and was not deleted since; so if there are as many, they are the same. The others, few, are hashed.
type fingerprint struct {
	horizon horizon
	rows    []string // by catalogue: how many rows, and the hash of those from this horizon on
	// last is the same for the horizon of another fingerprint.
	lastHorizon horizon
	last        []string
}

// since tells whether the row versions are those of an earlier fingerprint, for whose horizon this one was read.
// Both must come from one run of the same server: after a crash transaction ids are used again.
func (f *fingerprint) since(earlier *fingerprint) bool {
	return earlier != nil && f.lastHorizon == earlier.horizon && f.horizon-earlier.horizon < farthest && slices.Equal(f.last, earlier.rows)
}

// texts tells whether what the server deparses is the same as at an earlier fingerprint, as far as it depends on whole catalogues.
func (f *fingerprint) texts(earlier *fingerprint) bool {
	if earlier == nil || f.lastHorizon != earlier.horizon || f.horizon-earlier.horizon >= farthest {
		return false
	}
	for i, c := range catalogues() {
		if !c.apart && f.last[i] != earlier.rows[i] {
			return false
		}
	}
	return true
}

// readFingerprint reads the fingerprint of the open transaction, for comparison with one that has the horizon last (0 for
// none). It reads each of the catalogues once and takes no other locks.
func readFingerprint(ctx context.Context, conn *pgx.Conn, last horizon) (*fingerprint, error) {
	const own = "pg_snapshot_xmin(pg_current_snapshot())"
	from := own
	if last != 0 {
		from = "'" + strconv.FormatUint(uint64(last), 10) + "'::xid8"
	}
	// age() is the distance to the next transaction id, the same one throughout a transaction. Smaller is newer. What seems to
	// lie in the future was frozen long ago: it is hashed with the new.
	hash := func(from string) string {
		return `coalesce(sum(hashtextextended(concat(ctid, ' ', xmin) COLLATE "C", 0)) FILTER (WHERE age(xmin) <= (SELECT age(xid(` + from + `))))::text, '')`
	}
	var query strings.Builder
	query.WriteString("SELECT " + own + "::text")
	for _, c := range catalogues() {
		query.WriteString(",\n (SELECT count(*) || ',' || " + hash(own) + " || ',' || " + hash(from) + " FROM pg_catalog." + c.name)
		if c.of != "" {
			query.WriteString(" WHERE " + c.of)
		}
		query.WriteByte(')')
	}
	result := conn.PgConn().ExecParams(ctx, query.String(), nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, fmt.Errorf("read row versions: %w", result.Err)
	}
	values := result.Rows[0]
	horizonNow, err := strconv.ParseUint(string(values[0]), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot's horizon: %w", err)
	}
	f := &fingerprint{horizon: horizon(horizonNow), lastHorizon: last}
	for _, value := range values[1:] {
		parts := strings.Split(string(value), ",")
		if len(parts) != 3 {
			return nil, fmt.Errorf("read row versions: %q", value)
		}
		f.rows = append(f.rows, parts[0]+","+parts[1])
		f.last = append(f.last, parts[0]+","+parts[2])
	}
	return f, nil
}

// lockTimeout is how long a look waits for catalogs that somebody has locked, by VACUUM FULL for example.
const lockTimeout = "5s"

// open begins a transaction for reading definitions as of one moment and reads the server's state and which
// transactions are running there (see parseState). rollback ends it.
//
// With an empty path the server qualifies every name outside pg_catalog that it deparses. Compiling queries takes longer than running them.
func open(ctx context.Context, conn *pgx.Conn) (state serverState, transactions string, err error) {
	results, err := conn.PgConn().Exec(ctx, `
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = ''; SET LOCAL lock_timeout = '`+lockTimeout+`'; SET LOCAL jit = off; SET LOCAL work_mem = '32MB';
`+stateQuery).ReadAll()
	if err != nil {
		return serverState{}, "", fmt.Errorf("read settings and roles: %w", err)
	}
	state, transactions = parseState(results[len(results)-1].Rows[0])
	return state, transactions, nil
}

// rollback ends the transaction of open. Nothing was written: how it ends does not matter, as long as it does.
func rollback(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("end reading the catalog: %w", err)
	}
	return nil
}
