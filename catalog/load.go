package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"github.com/jackc/pgx/v5"
)

// Load reads the definitions of the database that conn is connected to, all of them as of one
// moment. conn must be idle and not in a transaction.
//
// An ordinary account is enough: everything comes from catalogs that PUBLIC may read. Where an
// administrator has revoked that, Load fails. PostgreSQL shows definitions of objects that the
// account may not use; the only thing that such an account can't see are other sessions' details
// (see Watcher.BackendGone). Versions 13 to 18 are supported.
//
// View definitions are deparsed by the server, which locks the relations they name in ACCESS SHARE
// mode for a moment: Load fails rather than wait long behind a definition change in flight.
func Load(ctx context.Context, conn *pgx.Conn) (*Snapshot, error) {
	loaded := time.Now()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("begin reading the catalog: %w", err)
	}
	// Nothing was written: how the transaction ends does not matter, as long as it does.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	// With an empty path the server qualifies every name outside pg_catalog that it deparses.
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = ''; SET LOCAL lock_timeout = '5s'", pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("empty the search path: %w", err)
	}
	l := &loader{ctx: ctx, tx: tx, digest: sha256.New(), snapshot: newSnapshot(loaded)}
	for _, part := range []struct {
		what string
		load func() error
	}{
		{"server", l.server},
		{"relations", l.relations},
		{"columns", l.columns},
		{"inheritance", l.inheritance},
		{"views and rules", l.rules},
		{"policies", l.policies},
		{"triggers", l.triggers},
		{"foreign keys", l.foreignKeys},
		{"expressions", l.expressions},
		{"types", l.types},
		{"functions", l.functions},
		{"bodies of functions", l.bodies},
		{"operators", l.operators},
		{"casts", l.casts},
		{"other definitions", l.others},
		{"settings", l.settings},
	} {
		if err := part.load(); err != nil {
			return nil, fmt.Errorf("read %s: %w", part.what, err)
		}
	}
	l.judge()
	l.digest.Sum(l.snapshot.Digest[:0])
	return l.snapshot, nil
}

func newSnapshot(loaded time.Time) *Snapshot {
	return &Snapshot{
		LoadedAt:   loaded,
		relations:  make(map[name]*Relation),
		byOID:      make(map[uint32]*Relation),
		functions:  make(map[string][]*Function),
		byFunction: make(map[uint32]*Function),
		operators:  make(map[string][]*Operator),
		types:      make(map[name]*Type),
	}
}

// loader holds what the parts of one Load pass on to each other.
type loader struct {
	ctx      context.Context //nolint:containedctx // lives for one call of Load
	tx       pgx.Tx
	digest   hash.Hash
	snapshot *Snapshot

	attributes      map[uint32][]attribute // columns by relation
	rawTypes        map[uint32]*rawType    // pg_type by OID
	results         map[*Function][]uint32 // types of a function's results
	arguments       map[*Function]uint32   // type of the first argument
	signatures      map[*Function][]uint32 // types of all arguments and results
	operatorResults map[*Operator]uint32
	inoutCasts      []castPair // user-made casts by input and output functions
}

type attribute struct {
	name string
	typ  uint32
}

type castPair struct{ source, target uint32 }

// each runs a query, scans every row into dest and calls row. What the server sent goes into the
// digest, so that every column of every query counts, whether scanned for use or for the digest only.
// The simple protocol gives one round trip and text values, the same ones on every connection.
func (l *loader) each(query string, dest []any, row func()) error {
	rows, err := l.tx.Query(l.ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	defer rows.Close()
	var size [4]byte
	for rows.Next() {
		for _, value := range rows.RawValues() {
			length := uint32(len(value))
			if value == nil {
				length = ^uint32(0)
			}
			binary.BigEndian.PutUint32(size[:], length)
			l.digest.Write(size[:])
			l.digest.Write(value)
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row()
	}
	l.digest.Write([]byte{'.'})
	return rows.Err()
}

func (l *loader) server() error {
	s := l.snapshot
	return l.each("SELECT current_setting('server_version_num')::int4, current_database()::text",
		[]any{&s.ServerVersion, &s.Database}, func() {})
}
