package proxy_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/proxy"
)

// counted counts round trips to L2.
type counted struct {
	cache.Remote
	trips atomic.Int64
}

func (c *counted) Get(ctx context.Context, names ...string) ([]cache.Value, error) {
	c.trips.Add(1)
	return c.Remote.Get(ctx, names...)
}

// TestPipelineIsOneTripToL2: the many results that a client asks for before its Sync come out of L2 together.
func TestPipelineIsOneTripToL2(t *testing.T) {
	const rows = 50
	for _, mode := range []string{"cache_statement", "exec"} {
		t.Run(mode, func(t *testing.T) {
			var stores []*counted
			fleet, server := startFleetWith(t, 2, true, func(o *proxy.Options) {
				stores = append(stores, &counted{Remote: o.Shared.Store})
				o.Shared.Store = stores[len(stores)-1]
			}, "CREATE TABLE t (id int PRIMARY KEY, n text)", fmt.Sprintf("INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, %d) i", rows))
			const query = "SELECT n FROM t WHERE id = $1"
			ask := func(c *pgx.Conn, suffix string) {
				t.Helper()
				b := &pgx.Batch{}
				for i := range rows {
					b.Queue(query, i+1).QueryRow(func(row pgx.Row) error {
						var n string
						if err := row.Scan(&n); err != nil || n != "n"+strconv.Itoa(i+1)+suffix {
							t.Errorf("row %d: %q, %v", i+1, n, err)
						}
						return nil
					})
				}
				if err := c.SendBatch(bounded(t), b).Close(); err != nil {
					t.Fatal(err)
				}
			}
			one, other := fleet[0].connect("default_query_exec_mode="+mode), fleet[1].connect("default_query_exec_mode="+mode)
			for _, c := range []*pgx.Conn{one, other} { // settings and the statement are known from here on
				value(t, c, query, 1)
				value(t, c, query, 1)
			}
			ask(one, "")
			eventually(t, "all results are in L2", func() bool { return len(results(t, server)) >= rows })
			trips, hits := stores[1].trips.Load(), fleet[1].Status().Outcomes["hit_l2"]
			ask(other, "")
			trips, hits = stores[1].trips.Load()-trips, fleet[1].Status().Outcomes["hit_l2"]-hits
			if hits < rows-1 || trips > 5 {
				t.Errorf("%d answers out of L2 in %d round trips", hits, trips)
			}

			mustExec(t, one, "UPDATE t SET n = n || '+'")
			ask(other, "+")
		})
	}
}
