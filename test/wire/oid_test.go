package wire

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// takeOIDs uses up count OIDs of the cluster and returns the last one.
func takeOIDs(ctx context.Context, t *testing.T, server *pgtest.Server, count int) int {
	t.Helper()
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var last int
	const take = `SELECT max(oid::bigint)::int FROM
		(SELECT oid, lo_unlink(oid) FROM (SELECT lo_creat(-1) AS oid FROM generate_series(1, $1)) AS made OFFSET 0) AS gone`
	if err := conn.QueryRow(ctx, take, count).Scan(&last); err != nil {
		t.Fatal(err)
	}
	return last
}
