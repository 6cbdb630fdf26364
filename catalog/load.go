package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
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
// mode for some milliseconds. A view on which somebody holds a lock against that has no definition in the snapshot.
func Load(ctx context.Context, conn *pgx.Conn) (*Snapshot, error) {
	if _, _, err := open(ctx, conn); err != nil {
		return nil, errors.Join(err, rollback(ctx, conn))
	}
	l, err := load(ctx, conn, nil)
	if err := errors.Join(err, rollback(ctx, conn)); err != nil {
		return nil, err
	}
	return l.snapshot, nil
}

// load reads the definitions in the transaction of open. last are the views of an earlier load whose texts may be kept, nil for none.
func load(ctx context.Context, conn *pgx.Conn, last *views) (*loader, error) {
	l := &loader{ctx: ctx, conn: conn, digest: sha256.New(), snapshot: newSnapshot(time.Now()), last: last}
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
		{"view definitions", l.definitions},
		{"expressions of policies", l.policyExpressions},
		{"settings", l.settings},
	} {
		if err := part.load(); err != nil {
			return nil, fmt.Errorf("read %s: %w", part.what, err)
		}
	}
	l.judge()
	l.digest.Sum(l.snapshot.Digest[:0])
	return l, nil
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
		typeByOID:  make(map[uint32]*Type),
	}
}

// loader holds what the parts of one Load pass on to each other.
type loader struct {
	ctx      context.Context //nolint:containedctx // lives for one call of Load
	conn     *pgx.Conn       // in the transaction of open
	digest   hash.Hash
	snapshot *Snapshot
	last     *views // whose texts may be kept, nil for none
	views    *views
	missing  int // views, policies and bodies that could not be deparsed

	policyOf map[uint32]policyPlace

	attributes map[uint32][]attribute // columns by relation
	rawTypes   map[uint32]*rawType    // pg_type by OID
	results    map[*Function][]uint32 // types of a function's results
	arguments  map[*Function]uint32   // type of the first argument
	signatures map[*Function][]uint32 // types of all arguments and results
	operands   map[*Operator][]uint32 // types of an operator's result and operands
	inoutCasts []castPair             // user-made casts by input and output functions
	explicit   map[uint32]bool        // types that make Type.UnsafeCast true
	converts   map[uint32]bool        // types that make Type.Converts true
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
	return l.scan(l.digest, query, dest, row)
}

// scan is each for another digest, nil for none.
func (l *loader) scan(into hash.Hash, query string, dest []any, row func()) error {
	return l.rows(into, query, func(rows pgx.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row()
		return nil
	})
}

// raw is scan for those who read the text of the values themselves, before row returns.
func (l *loader) raw(into hash.Hash, query string, row func(values [][]byte) error) error {
	return l.rows(into, query, func(rows pgx.Rows) error { return row(rows.RawValues()) })
}

func (l *loader) rows(into hash.Hash, query string, row func(pgx.Rows) error) error {
	rows, err := l.conn.Query(l.ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if into != nil {
			for _, value := range rows.RawValues() {
				digest(into, value)
			}
		}
		if err := row(rows); err != nil {
			return err
		}
	}
	if into != nil {
		into.Write([]byte{'.'})
	}
	return rows.Err()
}

// digest adds a value, nil for NULL, so that no other values give the same sequence of bytes.
func digest(into hash.Hash, value []byte) {
	length := uint32(len(value))
	if value == nil {
		length = ^uint32(0)
	}
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], length)
	into.Write(size[:])
	into.Write(value)
}

func (l *loader) server() error {
	s := l.snapshot
	return l.each("SELECT current_setting('server_version_num')::int4, current_database()::text",
		[]any{&s.ServerVersion, &s.Database}, func() {})
}
