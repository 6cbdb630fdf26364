package proxy_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

func TestConnectionLimit(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.MaxConnections = 2 })
	first, second := r.session(), r.session()
	third := r.raw()
	third.startup(protocol30, r.Upstream)
	if e := failure(t, third.untilClosed()); e.Code != "53300" || e.SeverityUnlocalized != "FATAL" {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	second.cancelSleep(r.Address) // a cancel request is not a client
	first.send(frame('X'))
	first.untilClosed()
	eventually(t, "there is room again", func() bool {
		c := r.raw()
		c.startup(protocol30, r.Upstream)
		m, err := c.next()
		_ = c.Close()
		return err == nil && m.typ == 'R'
	})
}

// A pipeline with one Sync at its end may be longer than the queue of what is unanswered, and fill it while the server is busy.
func TestPipelineLongerThanTheQueue(t *testing.T) {
	r := start(t)
	const statements = 40_000 // four messages each
	batch := &pgconn.Batch{}
	batch.ExecParams("SELECT pg_sleep(0.5)", nil, nil, nil, nil)
	for i := range statements {
		batch.ExecParams("SELECT $1::text", [][]byte{[]byte(strconv.Itoa(i))}, nil, nil, nil)
	}
	results, err := r.connect().PgConn().ExecBatch(bounded(t), batch).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results[1:] {
		if string(result.Rows[0][0]) != strconv.Itoa(i) {
			t.Fatalf("row %d is %s", i, result.Rows[0][0])
		}
	}
	if len(results) != statements+1 {
		t.Errorf("%d results", len(results))
	}
}

// heapInUse is what the process holds after a collection.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func TestSlowClientSlowsNobodyElse(t *testing.T) {
	r := start(t, `CREATE TABLE item AS SELECT 1 AS id`)
	slow, boss := r.session(), r.direct()
	before := heapInUse()
	slow.send(frame('Q', "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
	eventually(t, "the upstream waits for the client", func() bool {
		return value(t, boss, `SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'SELECT repeat%'`) == "1"
	})
	c := r.connect()
	from := time.Now()
	for range 100 {
		if got := value(t, c, `SELECT id::text FROM item`); got != "1" {
			t.Fatalf("got %q", got)
		}
	}
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("100 reads took %v", took)
	}
	if grown := int64(heapInUse()) - int64(before); grown > 8<<20 {
		t.Errorf("%d KiB held for a client that does not read 100 MB", grown>>10)
	} else {
		t.Logf("%d KiB more heap and stack while a client does not read 100 MB", grown>>10)
	}
	if got := len(column(slow.untilReady())); got != 100000 {
		t.Errorf("%d rows when it reads after all", got)
	}
}

func TestIdleClientsAreSmall(t *testing.T) {
	s := pgtest.Start(t, pgtest.WithConfig("max_connections = 600"))
	r := startOn(t, s.DSN("postgres"), nil, `CREATE TABLE item AS SELECT 1 AS id`)
	const n = 500
	query := statement("SELECT id FROM item")
	r.session()
	clients := make([]*raw, n)
	before := heapInUse()
	for i := range clients {
		clients[i] = r.session()
		clients[i].send(query)
		clients[i].untilReady()
	}
	each := (int64(heapInUse()) - int64(before)) / n
	t.Logf("%d bytes of heap and stack per idle client, the test's own side included", each)
	if each > 64<<10 {
		t.Errorf("%d bytes per idle client", each)
	}
	runtime.KeepAlive(clients)
}

func TestLargeValuesAreNotHeldTwice(t *testing.T) {
	r := start(t, `CREATE TABLE item (id int, name text)`, `INSERT INTO item VALUES (1, repeat('0123456789', 500000))`)
	c := r.session()
	for range 3 {
		c.send(frame('Q', "SELECT name FROM item WHERE id = 1"))
		if got := column(c.untilReady()); len(got) != 1 || len(got[0]) != 5_000_000 {
			t.Fatalf("%d values", len(got))
		}
	}
	if n := r.L1.Stats().Entries; n != 0 {
		t.Errorf("%d entries of more than MaxResult", n)
	}
	c.send(statement("SELECT name FROM item WHERE id = 1"))
	if got := column(c.untilReady()); len(got) != 1 || len(got[0]) != 5_000_000 {
		t.Errorf("%d values", len(got))
	}
}

func TestCancelOfASessionThatWaitsInAFlight(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.FlightWait = 20 * time.Second },
		`CREATE TABLE item AS SELECT 1 AS id`, `CREATE TABLE other AS SELECT 1 AS id`)
	const read = "SELECT id FROM item"
	boss := r.direct()
	locked, err := boss.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leader, follower := r.session(), r.session()
	for _, c := range []*raw{leader, follower} { // settings are known afterwards
		c.send(frame('Q', "SELECT id FROM other"))
		c.untilReady()
	}
	if _, err := locked.Exec(t.Context(), `LOCK TABLE item`); err != nil {
		t.Fatal(err)
	}
	leader.send(frame('Q', read))
	eventually(t, "the leader waits for the lock", func() bool {
		return value(t, r.direct(), `SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = '`+read+`'`) == "1"
	})
	follower.send(frame('Q', read))
	canceled := make(chan []received, 1)
	go func() {
		all := []received{}
		for {
			m, err := follower.next()
			if err != nil {
				break
			}
			if all = append(all, m); m.typ == 'Z' {
				break
			}
		}
		canceled <- all
	}()
	var all []received
	eventually(t, "the follower is cancelled", func() bool {
		follower.cancel(r.Address)
		select {
		case all = <-canceled:
			return true
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
	if types(all) != "EZ" {
		t.Fatalf("the follower got %q", types(all))
	}
	if e := failure(t, all[:1]); e.Code != "57014" {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*raw{leader, follower} {
		if c == follower {
			c.send(frame('Q', read))
		}
		if got := strings.Join(column(c.untilReady()), "|"); got != "1" {
			t.Errorf("afterwards %q", got)
		}
	}
}

func TestShutdown(t *testing.T) {
	r := start(t, `CREATE TABLE item (id int)`)
	idle, running, open := r.session(), r.session(), r.session()
	running.send(frame('Q', "DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(0.5); END $$"))
	running.until('N')
	open.send(frame('Q', "BEGIN; INSERT INTO item VALUES (1)"))
	open.untilReady()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	from := time.Now()
	go func() { ended <- r.Shutdown(ctx) }()
	if e := failure(t, idle.untilClosed()); e.Code != "57P01" {
		t.Errorf("idle: %s %s", e.Code, e.Message)
	}
	all := running.untilClosed()
	if e := failure(t, all); types(all) != "CZE" || e.Code != "57P01" {
		t.Errorf("running: %q %s", types(all), e.Code)
	}
	open.send(frame('Q', "SELECT 3")) // a transaction may go on until the deadline
	if got := fmt.Sprint(column(open.untilReady())); got != "[3]" {
		t.Errorf("in a transaction: %s", got)
	}
	open.untilClosed()
	if took := time.Since(from); took < time.Second {
		t.Errorf("the transaction was cut after %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("Shutdown does not tell that it cut sessions")
	}
	if got := value(t, r.direct(), `SELECT count(*)::text FROM item`); got != "0" {
		t.Errorf("%s rows of a transaction that was cut", got)
	}
}
