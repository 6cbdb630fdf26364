package drivers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/lib/pq" // the driver "postgres" of database/sql
)

// client is what the round needs of a driver.
type client interface {
	exec(ctx context.Context, sql string, arguments ...any) error
	// query returns the only row's only column as text, "" when there is no row.
	query(ctx context.Context, sql string, arguments ...any) (string, error)
}

// round creates, inserts, selects, updates, selects again and deletes; each read is asked three
// times.
func round(t *testing.T, c client, table string) {
	t.Helper()
	ctx := t.Context()
	exec := func(sql string, arguments ...any) {
		t.Helper()
		if err := c.exec(ctx, fmt.Sprintf(sql, table), arguments...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	expect := func(want, sql string, arguments ...any) {
		t.Helper()
		for range 3 {
			got, err := c.query(ctx, fmt.Sprintf(sql, table), arguments...)
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if got != want {
				t.Fatalf("%s: %q, expected %q", sql, got, want)
			}
		}
	}
	const byID, count = "SELECT v FROM %s WHERE id = $1", "SELECT count(*)::text FROM %s WHERE v LIKE $1"
	exec("CREATE TABLE %s (id int8 PRIMARY KEY, v text)")
	expect("", byID, int64(1))
	expect("0", count, "%")
	exec("INSERT INTO %s VALUES ($1, $2)", int64(1), "one")
	expect("one", byID, int64(1))
	expect("1", count, "o%")
	exec("UPDATE %s SET v = $2 WHERE id = $1", int64(1), "uno")
	expect("uno", byID, int64(1))
	expect("0", count, "o%")
	exec("INSERT INTO %s SELECT g, 'many' FROM generate_series(2, 50) AS g")
	expect("49", count, "many")
	expect("many", byID, int64(50))
	exec("DELETE FROM %s WHERE id = $1", int64(1))
	expect("", byID, int64(1))
	exec("DROP TABLE %s")
	if _, err := c.query(ctx, fmt.Sprintf(byID, table), int64(50)); err == nil {
		t.Error("a dropped table still answers")
	}
}

// pgxClient is a connection of pgx.
type pgxClient struct{ conn *pgx.Conn }

func (c pgxClient) exec(ctx context.Context, sql string, arguments ...any) error {
	_, err := c.conn.Exec(ctx, sql, arguments...)
	return err
}

func (c pgxClient) query(ctx context.Context, sql string, arguments ...any) (string, error) {
	var value string
	err := c.conn.QueryRow(ctx, sql, arguments...).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return value, err
}

func TestPgx(t *testing.T) {
	modes := []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
	forEachTarget(t, func(t *testing.T, dsn string) {
		for i, mode := range modes {
			t.Run(mode.String(), func(t *testing.T) {
				config, err := pgx.ParseConfig(dsn)
				if err != nil {
					t.Fatal(err)
				}
				config.DefaultQueryExecMode = mode
				conn, err := pgx.ConnectConfig(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close(context.Background()) })
				round(t, pgxClient{conn}, fmt.Sprintf("pgx_%d", i))
				batch(t, conn, fmt.Sprintf("batch_%d", i))
			})
		}
	})
}

// batch checks what pgx sends in one pipeline, with an error in the middle of the second one.
func batch(t *testing.T, conn *pgx.Conn, table string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE "+table+" (id int8 PRIMARY KEY, v text)"); err != nil {
		t.Fatal(err)
	}
	read := "SELECT count(*) FROM " + table
	for pass := range 3 {
		var queued pgx.Batch
		var before, after int
		queued.Queue(read).QueryRow(func(row pgx.Row) error { return row.Scan(&before) })
		queued.Queue("INSERT INTO "+table+" VALUES ($1, 'x')", int64(pass))
		queued.Queue(read).QueryRow(func(row pgx.Row) error { return row.Scan(&after) })
		if err := conn.SendBatch(t.Context(), &queued).Close(); err != nil {
			t.Fatal(err)
		}
		if before != pass || after != pass+1 {
			t.Fatalf("pass %d: %d rows before, %d after", pass, before, after)
		}
	}
	var failing pgx.Batch
	failing.Queue("DELETE FROM " + table)
	failing.Queue("INSERT INTO "+table+" VALUES ($1, 'x'), ($1, 'x')", int64(9))
	failing.Queue(read)
	var refused *pgconn.PgError
	if err := conn.SendBatch(t.Context(), &failing).Close(); !errors.As(err, &refused) || refused.Code != "23505" {
		t.Fatalf("a duplicate key: %v", err)
	}
	var rows int
	if err := conn.QueryRow(t.Context(), read).Scan(&rows); err != nil || rows != 3 {
		t.Fatalf("%d rows after a batch that failed: %v", rows, err)
	}
}

// sqlClient is a pool of database/sql.
type sqlClient struct{ db *sql.DB }

func (c sqlClient) exec(ctx context.Context, sql string, arguments ...any) error {
	_, err := c.db.ExecContext(ctx, sql, arguments...)
	return err
}

func (c sqlClient) query(ctx context.Context, text string, arguments ...any) (string, error) {
	var value string
	err := c.db.QueryRowContext(ctx, text, arguments...).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return value, err
}

func TestLibPQ(t *testing.T) {
	forEachTarget(t, func(t *testing.T, dsn string) {
		for _, variant := range []string{"", "&binary_parameters=yes"} {
			t.Run("parameters"+variant, func(t *testing.T) {
				db, err := sql.Open("postgres", dsn+variant)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				round(t, sqlClient{db}, "pq_"+fmt.Sprint(len(variant)))
			})
		}
	})
}

// writeFile writes a file that goes with the test and returns its path.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
