package catalog

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Deparsing locks relations that belong to users, for as long as the subtransaction lasts.
const (
	deparsedAtOnce  = 20
	deparseTimeout  = "10ms" // for a lock
	deparseFailures = 50     // after so many, what fails isn't tried alone any more
)

// deparse asks for texts of objects, a few of them at a time, in subtransactions that are rolled back at once, so that no definition change
// waits for more than that. The query gives an OID and texts, NULL for none, for an array of OIDs in the place of %s. put is called
// for each row. What the server refuses is tried alone; for objects that fail, being locked for example, put isn't called.
func (l *loader) deparse(query string, wanted []uint32, put func(oid uint32, texts [][]byte)) error {
	if len(wanted) == 0 {
		return nil
	}
	if _, err := l.conn.Exec(l.ctx, "SET LOCAL lock_timeout = '"+deparseTimeout+"'; SAVEPOINT deparse", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	queue := slices.Collect(slices.Chunk(wanted, deparsedAtOnce))
	for failures := 0; len(queue) > 0; failures++ {
		done, err := l.deparseAll(query, queue, put)
		if err != nil {
			return err
		}
		if done == len(queue) {
			break
		}
		failed := queue[done]
		queue = queue[done+1:]
		if len(failed) > 1 && failures < deparseFailures {
			queue = append(queue, slices.Collect(slices.Chunk(failed, 1))...)
		}
	}
	_, err := l.conn.Exec(l.ctx, "RELEASE SAVEPOINT deparse; SET LOCAL lock_timeout = '"+lockTimeout+"'", pgx.QueryExecModeSimpleProtocol)
	return err
}

// deparseAll sends all groups in one message. It returns how many it was through with when the server refused one, all when it did not.
func (l *loader) deparseAll(query string, groups [][]uint32, put func(oid uint32, texts [][]byte)) (done int, err error) {
	var script strings.Builder
	for _, group := range groups {
		oids := make([]string, len(group))
		for i, oid := range group {
			oids[i] = strconv.FormatUint(uint64(oid), 10)
		}
		script.WriteString(strings.Replace(query, "%s", "'{"+strings.Join(oids, ",")+"}'::oid[]", 1) + ";\nROLLBACK TO SAVEPOINT deparse;\n")
	}
	results := l.conn.PgConn().Exec(l.ctx, script.String())
	statements := 0
	for ; results.NextResult(); statements++ {
		rows := results.ResultReader()
		for rows.NextRow() {
			values := rows.Values()
			oid, err := parseOID(values[0])
			if err != nil {
				return 0, errors.Join(err, results.Close())
			}
			put(oid, values[1:])
		}
		if _, err := rows.Close(); err != nil {
			break
		}
	}
	err = results.Close()
	var refused *pgconn.PgError
	if err == nil || !errors.As(err, &refused) || l.conn.IsClosed() {
		return len(groups), err
	}
	_, err = l.conn.Exec(l.ctx, "ROLLBACK TO SAVEPOINT deparse", pgx.QueryExecModeSimpleProtocol)
	return statements / 2, err
}
