package warm

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/parser"
)

// ErrNoStatistics says that the database can't tell what its statements cost.
var ErrNoStatistics = errors.New("pg_stat_statements is not to be had: put it into shared_preload_libraries, restart PostgreSQL, and run CREATE EXTENSION pg_stat_statements in the database")

// Bounds of what pg_stat_statements gives.
const (
	valuesPerShape = 16 // sets of parameters that are asked for of one shape
	shapesRead     = 20 // shapes that are read for each that is wanted, since many are no reads
)

// Statements returns the top costliest shapes of statements that the target's role has run in its database, by their total time as
// pg_stat_statements counts it, with the parameters, formats and protocols that hot has of them. A shape with constants that hot does not have
// comes with the reason for which it is skipped, and so does a read that can't be cached, which does not count. What is no read is left out.
func Statements(ctx context.Context, o Options, top int, hot []Query) ([]Item, error) {
	o.setDefaults()
	judge, err := look(ctx, &o)
	if err != nil {
		return nil, err
	}
	texts, err := costliest(ctx, o.Target, top*shapesRead)
	if err != nil {
		return nil, err
	}
	seen := map[uint64][]Query{}
	for _, q := range hot {
		if fingerprint := fingerprint(q.SQL); fingerprint != 0 && len(seen[fingerprint]) < valuesPerShape {
			seen[fingerprint] = append(seen[fingerprint], q)
		}
	}
	var items []Item
	shapes := 0
	known := map[uint64]bool{}
	for i, text := range texts {
		statement, _ := analyze(text)
		c := statement.Single()
		print := statement.Fingerprint()
		if c == nil || c.Kind != parser.KindSelect || known[print] {
			continue // SQL's other kinds, and what another proxy or user wrote otherwise
		}
		known[print] = true
		place := fmt.Sprintf("pg_stat_statements[%d]", i+1)
		if why := judge.refuse(text); why != "" {
			items = append(items, Item{Query: Query{SQL: text, Protocol: Simple}, Place: place, Skip: why})
			continue
		}
		if shapes++; shapes > top {
			break
		}
		switch {
		case len(seen[print]) > 0:
			for _, q := range seen[print] {
				items = append(items, Item{Query: q, Place: place})
			}
		case c.MaxParam > 0:
			items = append(items, Item{Query: Query{SQL: text, Protocol: Extended}, Place: place, Skip: "no parameters were seen: give --from, or wait until pgrecall has seen some"})
		default:
			items = append(items, Item{Query: Query{SQL: text, Protocol: Simple}, Place: place})
		}
	}
	return items, nil
}

func fingerprint(sql string) uint64 {
	statement, _ := analyze(sql)
	return statement.Fingerprint()
}

// costliest returns texts of statements, those that took the most time in all first.
func costliest(ctx context.Context, target *pgx.ConnConfig, limit int) ([]string, error) {
	config := target.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect through pgrecall: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var schema string
	err = conn.QueryRow(ctx, `SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'`).Scan(&schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("database %s: %w", config.Database, ErrNoStatistics)
	}
	if err != nil {
		return nil, fmt.Errorf("look for pg_stat_statements: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT s.query FROM `+pgx.Identifier{schema, "pg_stat_statements"}.Sanitize()+` s
WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
 AND s.userid = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) AND s.query IS NOT NULL
ORDER BY s.total_exec_time DESC LIMIT `+fmt.Sprint(limit))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoStatistics, err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoStatistics, err)
	}
	return texts, nil
}
