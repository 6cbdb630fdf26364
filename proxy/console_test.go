package proxy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/admin/console"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// operated is what the console shows and acts on in these tests: the server, and EXPLAIN that ends with its context.
type operated struct {
	*running
	explaining chan struct{}
}

func (o *operated) Status() admin.Status       { return admin.Status{Cache: "on"} }
func (o *operated) Tiers() []console.Tier      { return nil }
func (o *operated) Tables(int) []console.Table { return nil }
func (o *operated) Statements(n int) []console.Statement {
	return make([]console.Statement, n)
}
func (o *operated) Clients() []console.Client   { return nil }
func (o *operated) Settings() []console.Setting { return nil }
func (o *operated) Reload() ([]string, error)   { panic("a defect") }
func (o *operated) Flush(ctx context.Context, what admin.Selection) (admin.Flushed, error) {
	done, err := o.Server.Flush(ctx, proxy.Selection(what))
	return admin.Flushed(done), err
}

func (o *operated) Explain(ctx context.Context, _ console.Question) ([]console.Item, error) {
	close(o.explaining)
	<-ctx.Done()
	return nil, ctx.Err()
}

// withConsole starts pgrecall with a console, ops, for these roles.
func withConsole(t *testing.T, dsn string, change func(*proxy.Options), roles ...string) (*running, *operated) {
	t.Helper()
	o := &operated{explaining: make(chan struct{})}
	r := startOn(t, dsn, func(options *proxy.Options) {
		if change != nil {
			change(options)
		}
		server, err := console.NewServer(console.Options{Proxy: o, Logger: options.Logger})
		if err != nil {
			t.Fatal(err)
		}
		options.Console = &proxy.Console{
			Takes: func(name string) bool { return name == "ops" }, Maintenance: "postgres",
			Allows: func(role string) bool { return slices.Contains(roles, role) },
			Serve:  func(c *proxy.ConsoleClient) { server.Serve(c, c.Role) },
		}
	})
	o.running = r
	return r, o
}

// ops returns how to connect to the console.
func (r *running) ops(parameters ...string) string { return r.DSN(append(parameters, "dbname=ops")...) }

// rawOps is a raw client of the console after its first ReadyForQuery.
func (r *running) rawOps() *raw {
	r.tb.Helper()
	c := r.raw()
	c.startup(protocol30, r.Upstream, "database", "ops")
	c.untilReady()
	return c
}

// columns returns the first column of an answer in text.
func firstColumn(t *testing.T, c *pgx.Conn, command string) string {
	t.Helper()
	rows, err := c.Query(bounded(t), command, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		out = append(out, string(rows.RawValues()[0]))
	}
	if rows.Err() != nil {
		t.Fatalf("%s: %v", command, rows.Err())
	}
	return strings.Join(out, " ")
}

// TestConsoleAhead: a client that waits for nothing gets everything in order.
func TestConsoleAhead(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	c := r.raw()
	c.startup(protocol30, r.Upstream, "database", "ops")
	c.send(join(frame('Q', "SHOW TIERS; PAUSE"), frame('Q', "RESUME"), frame('Q', ""), frame('Q', "SHOW NOTHING; PAUSE"),
		statement("RESUME"), statement("WHAT"), statement(""), frame('F', int32(1)), frame('X')))
	all := c.untilClosed()
	at := slices.IndexFunc(all, func(m received) bool { return m.typ == 'Z' })
	// RowDescription, no tier, SHOW, a notice, PAUSE; RESUME; empty; error; 1 2 no data, notice, RESUME; error; 1 2 no data, empty; error.
	if got, want := types(all[at+1:]), "TCNCZ"+"CZ"+"IZ"+"EZ"+"12nNCZ"+"EZ"+"12nIZ"+"EZ"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r.Paused() {
		t.Error("what follows a defect has run")
	}
}

// TestConsoleExtended: errors skip to Sync, portals are fetched in parts, formats are checked.
func TestConsoleExtended(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	bind := func(portal, name string, formats ...int16) []byte {
		parts := []any{portal, name, int16(0), int16(0), int16(len(formats))}
		for _, f := range formats {
			parts = append(parts, f)
		}
		return frame('B', parts...)
	}
	for name, test := range map[string]struct {
		send [][]byte
		want string // types
		code string // of the first error
	}{
		"named": {[][]byte{frame('P', "s", "SHOW HELP LIMIT", int16(0)), frame('S')}, "EZ", "42601"},
		"limit": {[][]byte{frame('P', "s", "SHOW STATEMENTS LIMIT 3", int16(0)), bind("p", "s"), frame('E', "p", int32(2)), frame('E', "p", int32(2)), frame('E', "p", int32(2)), frame('S')},
			"12DDsDCCZ", ""},
		"in parts that fit":        {[][]byte{frame('P', "", "SHOW STATEMENTS LIMIT 2", int16(0)), bind("", ""), frame('E', "", int32(2)), frame('E', "", int32(2)), frame('S')}, "12DDsCZ", ""},
		"described":                {[][]byte{frame('P', "s", "SHOW TIERS", int16(0)), frame('D', byte('S'), "s"), bind("", "s", 1), frame('D', byte('P'), ""), frame('C', byte('S'), "s"), frame('H'), frame('S')}, "1tT2T3Z", ""},
		"twice by name":            {[][]byte{frame('P', "s", "SHOW TIERS", int16(0)), frame('P', "s", "SHOW TIERS", int16(0)), frame('S')}, "1EZ", "42P05"},
		"unnamed twice":            {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), frame('P', "", "SHOW HELP", int16(0)), frame('S')}, "11Z", ""},
		"no statement":             {[][]byte{bind("", "none"), frame('E', "", int32(0)), frame('S')}, "EZ", "26000"},
		"no portal":                {[][]byte{frame('E', "none", int32(0)), frame('P', "", "PAUSE", int16(0)), frame('S')}, "EZ", "34000"},
		"a portal ends with Sync":  {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), bind("p", ""), frame('S'), frame('E', "p", int32(0)), frame('S')}, "12ZEZ", "34000"},
		"a portal lives in BEGIN":  {[][]byte{frame('Q', "BEGIN"), frame('P', "", "SHOW TIERS", int16(0)), bind("p", ""), frame('S'), frame('E', "p", int32(0)), frame('S'), frame('Q', "COMMIT")}, "CZ12ZCZCZ", ""},
		"parameters":               {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), frame('B', "", "", int16(0), int16(1), int32(1), []byte("x"), int16(0)), frame('S')}, "1EZ", "08P01"},
		"formats":                  {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), bind("", "", 0, 1), frame('S')}, "1EZ", "08P01"},
		"an unknown format":        {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), bind("", "", 7), frame('S')}, "1EZ", "22023"},
		"several commands":         {[][]byte{frame('P', "", "SHOW TIERS; SHOW HELP", int16(0)), frame('S')}, "EZ", "42601"},
		"run twice":                {[][]byte{frame('P', "", "RESUME", int16(0)), bind("", ""), frame('E', "", int32(0)), frame('E', "", int32(0)), frame('S')}, "12NCEZ", "55000"},
		"malformed Parse":          {[][]byte{frame('P', "", "SHOW TIERS"), frame('S')}, "EZ", "08P01"},
		"malformed Bind":           {[][]byte{frame('P', "", "SHOW TIERS", int16(0)), frame('B', "", "", int16(9)), frame('S')}, "1EZ", "08P01"},
		"malformed Execute":        {[][]byte{frame('E', []byte("x")), frame('S')}, "EZ", "08P01"},
		"malformed Describe":       {[][]byte{frame('D', byte('X'), "x"), frame('S')}, "EZ", "08P01"},
		"malformed Close":          {[][]byte{frame('C', byte('X'), "x"), frame('S')}, "EZ", "08P01"},
		"malformed Query":          {[][]byte{frame('Q', []byte("SHOW TIERS"))}, "EZ", "08P01"},
		"a failed transaction":     {[][]byte{frame('Q', "BEGIN"), frame('Q', "WHAT"), frame('Q', "PAUSE"), statement("PAUSE"), frame('Q', "COMMIT")}, "CZEZEZEZCZ", "42601"},
		"COPY that nobody started": {[][]byte{frame('d', []byte("x")), frame('c'), frame('Q', "RESUME")}, "NCZ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.rawOps()
			c.send(join(append(test.send, frame('X'))...))
			all := c.untilClosed()
			if got := types(all); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if i := slices.IndexFunc(all, func(m received) bool { return m.typ == 'E' }); i >= 0 {
				if e := failure(t, all[:i+1]); e.Code != test.code || e.SeverityUnlocalized != "ERROR" {
					t.Errorf("%s %s: %s", e.SeverityUnlocalized, e.Code, e.Message)
				}
			}
			if r.Paused() {
				t.Error("what should have been skipped has run")
			}
		})
	}
}

// TestConsoleRefusesGarbage: who sends what is no message is told so and closed, and nobody else notices.
func TestConsoleRefusesGarbage(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	other, app := r.rawOps(), r.connect()
	announced := func(typ byte, size uint32) []byte { return binary.BigEndian.AppendUint32([]byte{typ}, size) }
	for name, test := range map[string]struct {
		send []byte
		code string
	}{
		"HTTP":             {[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "08P01"},
		"zeros":            {make([]byte, 64), "08P01"},
		"a short length":   {announced('Q', 3), "08P01"},
		"a password":       {frame('p', "secret"), "08P01"},
		"a huge message":   {announced('Q', 1<<30), "54000"},
		"the greatest":     {announced('P', 0xffffffff), "54000"},
		"a defect of ours": {frame('Q', "RELOAD"), "XX000"},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.rawOps()
			c.send(test.send)
			if e := failure(t, c.untilClosed()); e.Code != test.code || e.SeverityUnlocalized != "FATAL" {
				t.Errorf("%s %s %s", e.SeverityUnlocalized, e.Code, e.Message)
			}
		})
	}
	t.Run("statements without end", func(t *testing.T) {
		c := r.rawOps()
		text := "SHOW HELP /*" + strings.Repeat("x", 900<<10) + "*/"
		for i := range 5 {
			c.send(frame('P', fmt.Sprint(i), text, int16(0)))
		}
		c.send(frame('S'))
		if e := failure(t, c.until('E')); e.Code != "54000" {
			t.Errorf("%s %s", e.Code, e.Message)
		}
		c.untilReady()
		c.send(frame('C', byte('S'), "0"))
		c.send(join(frame('P', "again", text, int16(0)), frame('S')))
		if got := types(c.untilReady()); got != "31Z" {
			t.Errorf("after Close: %s", got)
		}
	})
	t.Run("torn", func(t *testing.T) {
		c := r.rawOps()
		c.send(append(announced('Q', 100), "SHOW"...))
		_ = c.Close()
	})
	other.send(frame('Q', "SHOW TIERS"))
	if got := types(other.untilReady()); got != "TCZ" {
		t.Errorf("another client of the console: %s", got)
	}
	if got := value(t, app, "SELECT 1::text"); got != "1" {
		t.Errorf("a client of the database: %s", got)
	}
}

// TestConsoleCancel: a cancel request ends the command that its client waits for, and nothing else.
func TestConsoleCancel(t *testing.T) {
	r, o := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	c := r.raw()
	c.startup(protocol30, r.Upstream, "database", "ops")
	c.untilReady()
	cancel := func() { c.cancel(r.Address) }
	cancel() // nothing to end
	c.send(frame('Q', "EXPLAIN SELECT 1; PAUSE"))
	<-o.explaining
	cancel()
	all := c.untilReady()
	if e := failure(t, all[:len(all)-1]); e.Code != "57014" || e.SeverityUnlocalized != "ERROR" || r.Paused() {
		t.Errorf("%s %s", e.Code, e.Message)
	}
	c.send(frame('Q', "SHOW TIERS"))
	if got := types(c.untilReady()); got != "TCZ" {
		t.Errorf("afterwards %s", got)
	}
}

// TestConsoleShutdown: an idle client is told and closed at once, a command that runs is let end.
func TestConsoleShutdown(t *testing.T) {
	r, o := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	idle, busy := r.rawOps(), r.raw()
	busy.startup(protocol30, r.Upstream, "database", "ops")
	busy.untilReady()
	busy.send(frame('Q', "EXPLAIN SELECT 1"))
	<-o.explaining
	down := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		down <- r.Shutdown(ctx)
	}()
	if e := failure(t, idle.untilClosed()); e.Code != "57P01" {
		t.Errorf("idle: %s", e.Code)
	}
	again, err := net.Dial("tcp", r.Address)
	if err == nil { // nobody accepts it any more
		_ = again.Close()
	}
	select {
	case err := <-down:
		t.Fatalf("a command under way was cut off: %v", err)
	default:
	}
	_ = busy.Close()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestConsoleWithoutUpstream: who nobody can authenticate does not get in.
func TestConsoleWithoutUpstream(t *testing.T) {
	s := pgtest.Start(t)
	r, _ := withConsole(t, s.DSN("postgres"), nil, "postgres")
	open := r.rawOps()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	refusedOps(t, r, "08001")
	open.send(frame('Q', "SHOW TIERS"))
	if got := types(open.untilReady()); got != "TCZ" {
		t.Errorf("who is in already: %s", got)
	}
}

func TestConsoleCountsAsClient(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.MaxConnections = 1 }, "postgres")
	c := r.rawOps()
	refusedOps(t, r, "53300")
	c.send(frame('X'))
	c.untilClosed()
	eventually(t, "the client is gone", func() bool { return len(r.Clients()) == 0 })
}
