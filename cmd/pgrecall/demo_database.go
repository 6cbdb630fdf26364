package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// closeTimeout bounds what the demo does to leave nothing behind.
const closeTimeout = 30 * time.Second

// demoDatabase is where the demo's tables are: a schema of their own in a throw-away server or in
// the user's database.
type demoDatabase struct {
	upstream upstream
	schema   string
	server   *pgtest.Server // nil in the user's database
	// counted is true where pg_stat_statements tells what reached the server.
	counted bool
}

// openDemoDatabase takes the upstream that is configured, else starts a server.
func openDemoDatabase(ctx context.Context, p *process, c *config.Config) (_ *demoDatabase, err error) {
	d := &demoDatabase{schema: fmt.Sprintf("pgrecall_demo_%d", os.Getpid())}
	own := *c
	if c.Upstream == "" {
		fmt.Fprintln(p.stdout, "starting a throw-away PostgreSQL")
		if d.server, err = pgtest.StartServer(ctx); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = d.server.Close()
			}
		}()
		if err := d.countStatements(ctx); err != nil {
			return nil, err
		}
		own.Upstream = d.server.DSN("postgres")
	}
	if d.upstream, err = parseUpstream(&own, p.env); err != nil {
		return nil, err
	}
	err = d.do(ctx, func(conn *pgx.Conn) error {
		// Fails where the library is not loaded, or where the user's database lacks the extension.
		_, err := conn.Exec(ctx, "SELECT FROM pg_stat_statements LIMIT 1")
		d.counted = err == nil
		return nil
	})
	return d, err
}

// countStatements loads pg_stat_statements where the installation has it.
func (d *demoDatabase) countStatements(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.server.DSN("postgres"))
	if err != nil {
		return err
	}
	var available bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')").Scan(&available)
	if err == nil && available {
		_, err = conn.Exec(ctx, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
	}
	if err := errors.Join(err, conn.Close(ctx)); err != nil || !available {
		return err
	}
	if err := d.server.Restart(ctx); err != nil {
		return err
	}
	return d.server.Exec(ctx, "postgres", "CREATE EXTENSION pg_stat_statements")
}

// do runs something on a connection of its own, straight to the server.
func (d *demoDatabase) do(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, d.upstream.config)
	if err != nil {
		return fmt.Errorf("cannot connect to the upstream: %w", err)
	}
	return errors.Join(f(conn), conn.Close(context.WithoutCancel(ctx)))
}

// Sizes of the sample data.
const (
	categories = 40
	products   = 20000
	orders     = 60000
	stocked    = 50 // products whose stock changes all the time
)

func (d *demoDatabase) load(ctx context.Context) error {
	script := fmt.Sprintf(`CREATE SCHEMA {s};
CREATE TABLE {s}.categories (id int PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL);
CREATE TABLE {s}.products (id int PRIMARY KEY, category_id int NOT NULL REFERENCES {s}.categories, name text NOT NULL, price numeric(10,2) NOT NULL, version bigint NOT NULL DEFAULT 0);
CREATE TABLE {s}.orders (id int PRIMARY KEY, product_id int NOT NULL REFERENCES {s}.products, quantity int NOT NULL);
CREATE TABLE {s}.stock (product_id int PRIMARY KEY REFERENCES {s}.products, quantity int NOT NULL, version bigint NOT NULL DEFAULT 0);
INSERT INTO {s}.categories SELECT i, 'category-' || i, 'Category ' || i FROM generate_series(1, %[1]d) i;
INSERT INTO {s}.products SELECT i, i %% %[1]d + 1, 'Product ' || i, (i * 7919 %% 100000) / 100.0 FROM generate_series(1, %[2]d) i;
INSERT INTO {s}.orders SELECT i, i * 7919 %% %[2]d + 1, i %% 9 + 1 FROM generate_series(1, %[3]d) i;
INSERT INTO {s}.stock SELECT i, 100 FROM generate_series(1, %[4]d) i;
CREATE INDEX ON {s}.products (category_id, price);
ANALYZE {s}.categories, {s}.products, {s}.orders, {s}.stock;`, categories, products, orders, stocked)
	return d.do(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, d.sql(script), pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("cannot load the sample data: %w", err)
		}
		return nil
	})
}

// sql puts the demo's schema into a text.
func (d *demoDatabase) sql(text string) string { return strings.ReplaceAll(text, "{s}", d.schema) }

// statements is the number of the demo's statements that the server has executed so far.
func (d *demoDatabase) statements(ctx context.Context) (n int64, err error) {
	err = d.do(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx,
			"SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE strpos(query, $1) > 0 AND strpos(query, 'pg_stat_statements') = 0",
			d.schema+".").Scan(&n)
	})
	return n, err
}

// close drops what the demo made. It works after ctx of the demo has ended.
func (d *demoDatabase) close() error {
	if d.server != nil {
		return d.server.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return d.do(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+d.schema+" CASCADE")
		return err
	})
}
