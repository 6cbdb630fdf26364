package warm

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/parser"
)

// Errors of a database that can't tell what its statements cost.
var (
	ErrNoStatistics = errors.New("no pg_stat_statements: put it into shared_preload_libraries, restart PostgreSQL, and run CREATE EXTENSION pg_stat_statements in the database")
	ErrHidden       = errors.New("pg_stat_statements hides the texts of other roles: GRANT pg_read_all_stats TO the account of --upstream")
)

// Bounds of what pg_stat_statements gives.
const (
	valuesPerShape = 16 // sets of parameters that are asked for of one shape
	shapesRead     = 20 // shapes that are read for each that is wanted, since many are no reads
)

// reasonUnseen is why a shape is skipped whose parameters nobody knows.
const reasonUnseen = "no parameters of it were seen among the hot keys"

// Statements returns the top costliest shapes of statements that the target's role has run in its database, by their total time as
// pg_stat_statements counts it, with the parameters, formats and protocols that hot has of them. A shape with constants that hot does not have
// comes with the reason for which it is skipped, and so does a read that can't be cached, which does not count. What is no read is left out.
func Statements(ctx context.Context, o Options, top int, hot []Query) ([]Item, error) {
	o.setDefaults()
	judge, err := look(ctx, &o)
	if err != nil {
		return nil, err
	}
	texts, err := costliest(ctx, o.Upstream, judge.scope.Database, judge.scope.SessionUser, top*shapesRead)
	if err != nil {
		return nil, err
	}
	seen := map[uint64][]Query{}
	for i := range hot {
		q := &hot[i]
		if strange(q, judge.scope) != "" {
			continue
		}
		if print := fingerprint(q.SQL); len(seen[print]) < valuesPerShape {
			seen[print] = append(seen[print], *q)
		}
	}
	var items []Item
	known := map[uint64]bool{}
	for i, text := range texts {
		statement, _ := analyze(text)
		c, print := statement.Single(), statement.Fingerprint()
		place := fmt.Sprintf("pg_stat_statements[%d]", i+1)
		skip := func(why string) {
			items = append(items, Item{Query: Query{SQL: text, Protocol: Simple}, Place: place, Skip: why})
		}
		if c == nil || c.Kind != parser.KindSelect || known[print] { // no read, or one with other spaces
			continue
		}
		known[print] = true
		if why := judge.refuse(text); why != "" {
			skip(why)
			continue
		}
		switch {
		case len(seen[print]) > 0:
			for _, q := range seen[print] {
				items = append(items, Item{Query: q, Place: place})
			}
		case c.MaxParam > 0:
			skip(reasonUnseen)
		default:
			items = append(items, Item{Query: Query{SQL: text, Protocol: Simple}, Place: place})
		}
		if top--; top == 0 {
			break
		}
	}
	return items, nil
}

func fingerprint(sql string) uint64 {
	statement, _ := analyze(sql)
	return statement.Fingerprint()
}

// costliest returns the texts of a role's statements in a database, those that took the most time in all first. It asks PostgreSQL itself: pgrecall
// would take a call of an extension's function for a write to everything.
func costliest(ctx context.Context, upstream *pgx.ConnConfig, database, role string, limit int) (texts []string, err error) {
	config := upstream.Copy()
	config.Database, config.DefaultQueryExecMode = database, pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the upstream: %w", err)
	}
	defer hangUp(conn)
	var schema string
	err = conn.QueryRow(ctx, `SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'`).Scan(&schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("database %s: %w", database, ErrNoStatistics)
	}
	if err != nil {
		return nil, fmt.Errorf("look for pg_stat_statements: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT s.query, s.queryid IS NULL AS hidden FROM `+pgx.Identifier{schema, "pg_stat_statements"}.Sanitize()+` s
WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
 AND s.userid = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1) AND s.query IS NOT NULL
ORDER BY s.total_exec_time DESC LIMIT $2`, role, limit)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoStatistics, err)
	}
	var text string
	var hidden bool
	if _, err = pgx.ForEachRow(rows, []any{&text, &hidden}, func() error {
		if hidden {
			return ErrHidden
		}
		texts = append(texts, text)
		return nil
	}); err != nil && !errors.Is(err, ErrHidden) {
		err = fmt.Errorf("%w (%w)", ErrNoStatistics, err)
	}
	return texts, err
}
