package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// relays are the ways in which statements pass through without the cache.
var relays = map[string]func(*proxy.Options){
	"cache on":   nil,
	"cache off":  func(o *proxy.Options) { o.CacheMode = "off" },
	"no account": func(o *proxy.Options) { o.HasAccount = false },
}

func TestRelay(t *testing.T) {
	for name, change := range relays {
		t.Run(name, func(t *testing.T) {
			r := startOn(t, pgtest.Shared(t).NewDatabase(t), change, `CREATE TABLE item (id int PRIMARY KEY, name text)`)
			for mode, m := range modes {
				t.Run(mode, func(t *testing.T) {
					c := r.connect()
					mustExec(t, c, `TRUNCATE item`)
					mustExec(t, c, `INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 2000) g`)
					if got := value(t, c, `SELECT count(*)::text FROM item`, m); got != "2000" {
						t.Errorf("count %q", got)
					}
					var failed *pgconn.PgError
					if _, err := c.Exec(bounded(t), `SELECT 1/0`, m); !errors.As(err, &failed) || failed.Code != "22012" {
						t.Errorf("error %v", err)
					}
					if got := value(t, c, `SELECT name FROM item WHERE id = $1`, m, 7); got != "n7" {
						t.Errorf("after an error %q", got)
					}
				})
			}
			t.Run("copy", func(t *testing.T) {
				c := r.connect()
				mustExec(t, c, `TRUNCATE item`)
				n, err := c.CopyFrom(bounded(t), pgx.Identifier{"item"}, []string{"id", "name"}, pgx.CopyFromSlice(5000, func(i int) ([]any, error) {
					return []any{i, strings.Repeat("x", i%100)}, nil
				}))
				if err != nil || n != 5000 {
					t.Fatalf("%d %v", n, err)
				}
				if got := value(t, c, `SELECT count(*)::text FROM item`); got != "5000" {
					t.Errorf("count %q", got)
				}
			})
			t.Run("large values", func(t *testing.T) {
				c := r.connect()
				big := strings.Repeat("0123456789", 500_000)
				mustExec(t, c, `TRUNCATE item`)
				mustExec(t, c, `INSERT INTO item VALUES (1, $1)`, big)
				if got := value(t, c, `SELECT name FROM item WHERE id = 1`); got != big {
					t.Errorf("%d bytes", len(got))
				}
				mustExec(t, c, fmt.Sprintf(`UPDATE item SET name = '%s'`, big+"!"))
				if got := value(t, c, `SELECT name FROM item WHERE id = 1`); got != big+"!" {
					t.Errorf("%d bytes after a large simple query", len(got))
				}
			})
			t.Run("pipeline", func(t *testing.T) {
				c := r.connect()
				b := &pgx.Batch{}
				for i := range 300 {
					b.Queue(`SELECT $1::int + 1`, i)
				}
				br := c.SendBatch(bounded(t), b)
				for i := range 300 {
					var got int
					if err := br.QueryRow().Scan(&got); err != nil || got != i+1 {
						t.Fatalf("%d: %d %v", i, got, err)
					}
				}
				if err := br.Close(); err != nil {
					t.Error(err)
				}
			})
			t.Run("notify while idle", func(t *testing.T) {
				c, d := r.connect(), r.connect()
				mustExec(t, c, `LISTEN news`)
				mustExec(t, d, `NOTIFY news, 'hello'`)
				n, err := c.WaitForNotification(bounded(t))
				if err != nil || n.Payload != "hello" {
					t.Errorf("%v %v", n, err)
				}
			})
			t.Run("cancel", func(t *testing.T) {
				c := r.connect()
				ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
				defer cancel()
				_, err := c.Exec(ctx, `SELECT pg_sleep(60)`)
				if err == nil {
					t.Fatal("not cancelled")
				}
				eventually(t, "the upstream stops", func() bool {
					return value(t, r.direct(), `SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60%' AND state = 'active'`) == "0"
				})
			})
			t.Run("million rows", func(t *testing.T) {
				c := r.connect()
				rows, err := c.Query(bounded(t), `SELECT g, 'abcdefgh' FROM generate_series(1, 1000000) g`)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for rows.Next() {
					n++
				}
				if n != 1000000 || rows.Err() != nil {
					t.Errorf("%d rows, %v", n, rows.Err())
				}
			})
		})
	}
}
