package proxy_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

func TestMessagesThatEndTheSession(t *testing.T) {
	r := start(t, `CREATE TABLE item AS SELECT 1 AS id`)
	for name, message := range map[string][]byte{
		"unknown type":                 frame('@', "what"),
		"unknown type, endless":        []byte("GET / HTTP/1.1\r\n\r\n"),
		"length 0":                     {'Q', 0, 0, 0, 0},
		"length 3":                     {'Q', 0, 0, 0, 3},
		"length 3 amid a cycle":        join(frame('P', "", "SELECT id FROM item", int16(0)), []byte{'B', 0, 0, 0, 3}),
		"negative length":              {'Q', 0xff, 0xff, 0xff, 0xff},
		"Query before":                 join(frame('Q', "SELECT 7"), []byte{'Q', 0, 0, 0, 2}),
		"Query before an unknown type": join(frame('Q', "SELECT 7"), frame('@')),
	} {
		t.Run(name, func(t *testing.T) {
			c := r.session()
			c.send(message)
			all := c.untilClosed()
			if e := failure(t, all); e.Code != "08P01" || e.SeverityUnlocalized != "FATAL" {
				t.Errorf("%s %s %s", e.SeverityUnlocalized, e.Code, e.Message)
			}
			if got := column(all); strings.HasPrefix(name, "Query before") && (len(got) != 1 || types(all) != "TDCZE") {
				t.Errorf("the query before got %q", types(all))
			}
		})
	}
	eventually(t, "reads are cached again", func() bool {
		before := r.hits()
		value(t, r.connect(), `SELECT id FROM item`)
		return r.hits() > before
	})
}

func TestMessagesThatCannotBeDecoded(t *testing.T) {
	r := start(t, `CREATE TABLE item AS SELECT 1 AS id`)
	sync := frame('S')
	for name, message := range map[string][]byte{
		"Query without a zero":         frame('Q', []byte("SELECT 1")),
		"Query with a tail":            frame('Q', "SELECT 1", "SELECT 2"),
		"empty Query body":             frame('Q'),
		"empty Parse":                  join(frame('P'), sync),
		"Parse without a text":         join(frame('P', "name"), sync),
		"Parse of fewer types":         join(frame('P', "", "SELECT $1", int16(3), int32(23)), sync),
		"Parse with a tail":            join(frame('P', "", "SELECT 1", int16(0), "tail"), sync),
		"empty Bind":                   join(frame('P', "", "SELECT 1", int16(0)), frame('B'), sync),
		"Bind of fewer values":         join(frame('P', "", "SELECT $1::int", int16(0)), frame('B', "", "", int16(0), int16(9), int32(1), []byte("1")), sync),
		"Bind of a long value":         join(frame('P', "", "SELECT $1::int", int16(0)), frame('B', "", "", int16(0), int16(1), int32(1<<30), []byte("1")), sync),
		"Bind of a negative value":     join(frame('P', "", "SELECT $1::int", int16(0)), frame('B', "", "", int16(0), int16(1), int32(-7)), sync),
		"Describe of neither":          join(frame('D', byte('X'), ""), sync),
		"empty Describe":               join(frame('D'), sync),
		"empty Execute":                join(frame('E'), sync),
		"empty Close":                  join(frame('C'), sync),
		"Sync with a body":             frame('S', "body"),
		"Bind of an unknown statement": join(frame('B', "", "nobody", int16(0), int16(0), int16(0)), frame('E', "", int32(0)), sync),
		"empty FunctionCall":           frame('F'),
		"CopyData outside of COPY":     join(frame('d', "data"), frame('c'), frame('f', "why"), sync),
	} {
		t.Run(name, func(t *testing.T) {
			through, direct := r.session(), dialRaw(t, pgtest.Shared(t).Address())
			direct.startup(protocol30, r.Upstream)
			direct.untilReady()
			for _, c := range []*raw{through, direct} {
				c.send(message)
				c.send(frame('Q', "SELECT 'end'"))
				c.send(frame('X'))
			}
			got, want := through.untilClosed(), direct.untilClosed()
			if types(got) != types(want) {
				t.Fatalf("%q, straight at the server %q", types(got), types(want))
			}
			for i := range got {
				if !bytes.Equal(got[i].body, want[i].body) {
					t.Errorf("message %d: %q, straight at the server %q", i, got[i].body, want[i].body)
				}
			}
		})
	}
	if r.Status().Outcomes["hit_l1"] != 0 {
		t.Error("something was a hit")
	}
}

func TestFramesInSingleBytes(t *testing.T) {
	r := start(t, `CREATE TABLE item AS SELECT 42 AS id`)
	c := r.session()
	for _, sql := range []string{"SELECT id FROM item", "SELECT id FROM item WHERE id = 42"} {
		for round := range 4 {
			for _, b := range join(statement(sql), frame('Q', sql)) {
				c.send([]byte{b})
			}
			for range 2 {
				if got := column(c.untilReady()); len(got) != 1 || got[0] != "42" {
					t.Fatalf("round %d: %q", round, got)
				}
			}
		}
	}
	if r.hits() == 0 {
		t.Error("nothing was answered from the cache")
	}
}

func TestOversizedFrames(t *testing.T) {
	big := strings.Repeat("x", 3<<20)
	for name, change := range relays {
		t.Run(name, func(t *testing.T) {
			r := startOn(t, pgtest.Shared(t).NewDatabase(t), change, `CREATE TABLE item (id int, name text)`)
			c := r.session()
			c.send(frame('Q', "SELECT length('"+big+"')"))
			c.send(statement("SELECT length('" + big + "')"))
			c.send(frame('P', "keep", "INSERT INTO item VALUES (1, $1)", int16(0)))
			c.send(frame('B', "", "keep", int16(0), int16(1), int32(len(big)), []byte(big), int16(0)))
			c.send(join(frame('E', "", int32(0)), frame('S'), frame('Q', "SELECT length(name) FROM item")))
			for i, want := range []string{"3145728", "3145728", "", "3145728"} {
				if got := strings.Join(column(c.untilReady()), "|"); got != want {
					t.Errorf("%d: %q", i, got)
				}
			}
			c.send(frame('P', strings.Repeat("n", 300<<10), "SELECT 5", int16(0)))
			c.send(join(frame('B', "", strings.Repeat("n", 300<<10), int16(0), int16(0), int16(0)), frame('E', "", int32(0)), frame('S')))
			if got := c.untilReady(); strings.Join(column(got), "") != "5" {
				t.Errorf("a statement with a long name: %q", types(got))
			}
		})
	}
}

func TestUpstreamThatIsDown(t *testing.T) {
	s := pgtest.Start(t)
	if err := s.Exec(t.Context(), "postgres", "CREATE TABLE item AS SELECT 1 AS id"); err != nil {
		t.Fatal(err)
	}
	r := startOn(t, s.DSN("postgres"), nil)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := r.raw()
	c.startup(protocol30, r.Upstream)
	if e := failure(t, c.untilClosed()); e.Code != "08001" || e.SeverityUnlocalized != "FATAL" {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := r.connect()
	eventually(t, "reads are cached", func() bool {
		before := r.hits()
		value(t, later, `SELECT id FROM item`)
		return r.hits() > before
	})
}

func TestUpstreamThatIsNotThereAtTheStart(t *testing.T) {
	s := pgtest.Start(t)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{tb: t, Upstream: s.DSN("postgres"), Database: "postgres"}
	r.serve(config, nil)
	r.Watch("postgres")
	c := r.raw()
	c.startup(protocol30, r.Upstream)
	if e := failure(t, c.untilClosed()); e.Code != "08001" {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	if r.Ready() == nil {
		t.Error("ready without an upstream")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.waitReady()
	if got := value(t, r.connect(), `SELECT 'up'`); got != "up" {
		t.Errorf("got %q", got)
	}
}

func TestUpstreamKilledAmidAResult(t *testing.T) {
	s := pgtest.Start(t)
	const read = `SELECT id, name FROM item ORDER BY id`
	if err := s.Exec(t.Context(), "postgres", `CREATE TABLE item AS SELECT g AS id, repeat('x', 100) AS name FROM generate_series(1, 200000) g`); err != nil {
		t.Fatal(err)
	}
	r := startOn(t, s.DSN("postgres"), func(o *proxy.Options) { o.Limits.MaxResult = 64 << 20 })
	c := r.session()
	c.send(frame('Q', read))
	c.until('T')
	if err := s.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := c.untilClosed()
	if e := failure(t, all); e.Code != "08006" && e.Code != "57P01" && e.Code != "57P02" {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	if n := r.L1.Stats().Entries; n != 0 {
		t.Errorf("%d entries after half a result of %d rows", n, len(all))
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	direct := r.direct()
	mustExec(t, direct, `DELETE FROM item WHERE id > 10`)
	again := r.connect()
	for range 3 {
		if got := value(t, again, `SELECT count(*)::text FROM item`); got != "10" {
			t.Errorf("%s rows after the restart", got)
		}
		if got := strings.Count(value(t, again, read), "x|"); got != 9 {
			t.Errorf("%d rows after the restart", got)
		}
	}
	eventually(t, "reads are cached again", func() bool {
		before := r.hits()
		value(t, again, read)
		return r.hits() > before
	})
}

func TestTerminatedBackends(t *testing.T) {
	r := start(t)
	boss := r.direct()
	for name, begin := range map[string]string{"idle": "", "busy": "SELECT pg_sleep(60)", "in a transaction": "BEGIN"} {
		t.Run(name, func(t *testing.T) {
			c := r.session()
			c.send(frame('Q', "SELECT pg_backend_pid()"))
			pid := column(c.untilReady())[0]
			if begin != "" {
				c.send(frame('Q', begin))
			}
			eventually(t, "it runs", func() bool {
				return begin == "" || value(t, boss, `SELECT count(*)::text FROM pg_stat_activity WHERE query = '`+begin+`' AND pid = `+pid) == "1"
			})
			if begin == "BEGIN" {
				c.untilReady()
			}
			mustExec(t, boss, `SELECT pg_terminate_backend(`+pid+`)`)
			all := c.untilClosed()
			e := failure(t, all)
			if strings.Trim(types(all), "T") != "E" || e.Code != "57P01" || !strings.HasPrefix(e.Message, "terminating connection") {
				t.Errorf("%q %s %s", types(all), e.Code, e.Message)
			}
		})
	}
}

// TestProbeThatFailedIsRepeated: an error inside a probe must not leave its statement behind.
func TestProbeThatFailedIsRepeated(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
	c := r.connect("default_query_exec_mode=simple_protocol")
	mustExec(t, c, `PREPARE "pgrecall.probe" AS SELECT 1`) // as a cancelled one leaves it
	for range 3 {
		value(t, c, "SELECT id FROM t")
	}
	if r.hits() == 0 {
		t.Error("no hits: the probe finds its own name taken")
	}
}
