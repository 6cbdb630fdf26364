package proxy_test

import (
	"net"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// vanish ends the connection as a client's crash does.
func (c *raw) vanish() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func TestClientsThatVanish(t *testing.T) {
	const read = `SELECT coalesce(sum(id), 0)::text FROM item`
	row := frame('d', []byte("5\n"))
	for name, c := range map[string]struct {
		sent  []byte
		until byte   // type of a message to wait for
		want  string // what read returns once all has settled
	}{
		"during COPY":                {join(frame('Q', "COPY item FROM STDIN"), row, row), 'G', "1"},
		"in COPY's first row":        {join(frame('Q', "COPY item FROM STDIN"), row[:6]), 'G', "1"},
		"during a large result":      {frame('Q', "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"), 'T', "1"},
		"in a transaction":           {join(frame('Q', "BEGIN"), frame('Q', "INSERT INTO item VALUES (10)")), 'C', "1"},
		"with a write in flight":     {frame('Q', "DO $$ BEGIN RAISE NOTICE 'on'; INSERT INTO item VALUES (10); PERFORM pg_sleep(0.3); END $$"), 'N', "11"},
		"with a write and no answer": {frame('Q', "INSERT INTO item VALUES (10)"), 0, ""},
		"amid a cycle":               {join(frame('P', "", "INSERT INTO item VALUES (10)", int16(0)), frame('B', "", "", int16(0), int16(0), int16(0)), frame('E', "", int32(0)), frame('H')), 'C', "1"},
		"in half a message":          {frame('Q', "INSERT INTO item VALUES (10)")[:12], 0, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, `CREATE TABLE item AS SELECT 1 AS id`)
			boss, reader := r.direct(), r.connect()
			value(t, reader, read)
			value(t, reader, read)
			gone := r.session()
			gone.send(frame('Q', "SELECT pg_backend_pid()"))
			pid := column(gone.untilReady())[0]
			gone.send(c.sent)
			if c.until != 0 {
				gone.until(c.until)
			}
			gone.vanish()
			// What a read through pgrecall returns is at any time what one returns that is sent after it straight to the server, or before it.
			eventually(t, "the backend ends", func() bool {
				before := value(t, boss, read)
				through := value(t, reader, read)
				after := value(t, boss, read)
				if through != before && through != after {
					t.Fatalf("%s through pgrecall, %s before and %s after it straight", through, before, after)
				}
				return value(t, boss, `SELECT count(*)::text FROM pg_stat_activity WHERE pid = `+pid) == "0"
			})
			want := value(t, boss, read)
			if c.want != "" && want != c.want {
				t.Errorf("the server holds %s, want %s", want, c.want)
			}
			if got := value(t, reader, read); got != want {
				t.Errorf("%s through pgrecall, %s straight", got, want)
			}
			eventually(t, "the fence comes down and reads are cached", func() bool {
				before := r.hits()
				value(t, reader, read)
				return r.hits() > before
			})
			if got := value(t, reader, read); got != want {
				t.Errorf("a hit: %s, straight %s", got, want)
			}
		})
	}
}

// TestVanishedClientsWriteWaitsForALock has a client vanish whose write waits for a lock. A notice that can't be delivered ends the session;
// the write takes effect long after.
func TestVanishedClientsWriteWaitsForALock(t *testing.T) {
	r := start(t, `CREATE TABLE item AS SELECT 1 AS id`)
	const read = `SELECT id::text FROM item`
	boss, reader := r.direct(), r.connect()
	tx, err := boss.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM item FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	gone := r.session()
	gone.send(frame('Q', "DO $$ BEGIN RAISE NOTICE 'on'; PERFORM pg_sleep(0.2); RAISE NOTICE 'still on'; UPDATE item SET id = 2; END $$"))
	gone.until('N')
	gone.vanish()
	waiting := `SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DO %'`
	eventually(t, "the write waits", func() bool { return value(t, reader, waiting) == "1" })
	eventually(t, "the session has ended", func() bool { return r.Status().Upstreams == 1 })
	for range 20 {
		if got := value(t, reader, read); got != "1" {
			t.Fatalf("got %s", got)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the write is done", func() bool { return value(t, boss, read) == "2" })
	for range 20 {
		if got := value(t, reader, read); got != "2" {
			t.Fatalf("got %s after the write", got)
		}
	}
	eventually(t, "reads are cached", func() bool {
		before := r.hits()
		value(t, reader, read)
		return r.hits() > before
	})
}

func TestReloadedSettingsReachAllSessions(t *testing.T) {
	s := pgtest.Start(t)
	r := startOn(t, s.DSN("postgres"), nil, `CREATE TABLE item AS SELECT timestamptz '2026-01-01 00:00+00' AS at`)
	const read = `SELECT at::text FROM item`
	clients := []*raw{r.session(), r.session(), r.session()}
	look := func(c *raw) string {
		c.send(frame('Q', read))
		return strings.Join(column(c.untilReady()), "|")
	}
	for range 3 {
		for _, c := range clients {
			if got := look(c); got != "2026-01-01 00:00:00+00" {
				t.Fatalf("got %s", got)
			}
		}
	}
	if r.hits() == 0 {
		t.Error("nothing was cached")
	}
	mustExec(t, r.connect(), `ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'`)
	mustExec(t, r.connect(), `SELECT pg_reload_conf()`)
	for i, c := range clients {
		eventually(t, "the new TimeZone counts", func() bool { return look(c) == "2026-01-01 09:00:00+09" })
		for range 5 {
			if got := look(c); got != "2026-01-01 09:00:00+09" {
				t.Errorf("client %d went back to %s", i, got)
			}
		}
	}
}
