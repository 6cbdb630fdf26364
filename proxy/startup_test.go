package proxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

func TestBadStartUps(t *testing.T) {
	r := start(t)
	long := make([]byte, 10_001)
	binary.BigEndian.PutUint32(long, uint32(len(long)))
	unterminated := append([]byte{0, 0, 0, 13, 0, 3, 0, 0}, "user\x00"...)
	for name, c := range map[string]struct {
		bytes []byte
		code  string
	}{
		"HTTP request":        {[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "08P01"},
		"garbage":             {bytes.Repeat([]byte{0xff}, 64), "08P01"},
		"zero length":         {make([]byte, 8), "08P01"},
		"too long":            {long, "08P01"},
		"no value":            {unterminated, "08P01"},
		"no parameters":       {[]byte{0, 0, 0, 8, 0, 3, 0, 0}, "08P01"},
		"SSLRequest twice":    {append(append([]byte(nil), sslRequest...), sslRequest...), "0A000"},
		"GSSENCRequest twice": {append(append([]byte(nil), gssEncRequest...), gssEncRequest...), "0A000"},
		"major version 4":     {[]byte{0, 0, 0, 9, 0, 4, 0, 0, 0}, "0A000"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := r.raw()
			conn.send(c.bytes)
			if strings.HasSuffix(name, "twice") {
				declined(t, conn)
			}
			if e := failure(t, conn.untilClosed()); e.Code != c.code || e.SeverityUnlocalized != "FATAL" {
				t.Errorf("%s %s %s", e.SeverityUnlocalized, e.Code, e.Message)
			}
		})
	}
	if got := value(t, r.connect(), `SELECT 1::text`); got != "1" {
		t.Errorf("afterwards %q", got)
	}
}

// declined reads the answer N to SSLRequest or GSSENCRequest.
func declined(t *testing.T, c *raw) {
	t.Helper()
	var answer [1]byte
	if _, err := c.Read(answer[:]); err != nil || answer[0] != 'N' {
		t.Fatalf("answer %q %v", answer, err)
	}
}

func TestProbesAreNotLogged(t *testing.T) {
	var log logged
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), log.into)
	before := log.String()
	for range 3 {
		c := r.raw()
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if all := c.untilClosed(); len(all) != 0 {
			t.Errorf("a probe was told %q", types(all))
		}
		reset := r.raw()
		_ = reset.Conn.(*net.TCPConn).SetLinger(0)
		_ = reset.Close()
	}
	value(t, r.connect(), `SELECT 1`)
	if after := log.String(); after != before {
		t.Errorf("logged %q", strings.TrimPrefix(after, before))
	}
}

func TestTruncatedStartUp(t *testing.T) {
	r := start(t)
	for _, packet := range [][]byte{{0, 0}, {0, 0, 0, 100, 0, 3, 0, 0, 'u'}} {
		c := r.raw()
		c.send(packet)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if e := failure(t, c.untilClosed()); e.Code != "08P01" {
			t.Errorf("%v: %s %s", packet, e.Code, e.Message)
		}
	}
}

func TestStartUpThatNeverFinishes(t *testing.T) {
	s := pgtest.Start(t, pgtest.WithHBA("host all asked all password"))
	if err := s.Exec(t.Context(), "postgres", "CREATE ROLE asked LOGIN PASSWORD 'secret'"); err != nil {
		t.Fatal(err)
	}
	r := startOn(t, s.DSN("postgres"), func(o *proxy.Options) { o.Limits.StartupTimeout = 300 * time.Millisecond })
	idle := r.connect()
	for name, begin := range map[string]func(*raw){
		"silent":             func(*raw) {},
		"half a packet":      func(c *raw) { c.send([]byte{0, 0, 0, 50, 0, 3}) },
		"after SSLRequest":   func(c *raw) { c.send(sslRequest); declined(t, c) },
		"password not given": func(c *raw) { c.startup(protocol30, s.DSNAs("asked", "postgres")); c.until('R') },
		"query instead of password": func(c *raw) {
			c.startup(protocol30, s.DSNAs("asked", "postgres"))
			c.until('R')
			c.send(frame('Q', "SELECT 1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.raw()
			begin(c)
			from := time.Now()
			c.untilClosed()
			if took := time.Since(from); took > 5*time.Second {
				t.Errorf("closed after %v", took)
			}
		})
	}
	if got := value(t, idle, `SELECT 1::text`); got != "1" {
		t.Errorf("a session that had finished its start-up: %q", got)
	}
}

func TestEncryptionIsDeclinedOnOneSocket(t *testing.T) {
	r := start(t)
	for name, requests := range map[string][][]byte{
		"GSSENCRequest, SSLRequest": {gssEncRequest, sslRequest},
		"SSLRequest, GSSENCRequest": {sslRequest, gssEncRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.raw()
			for _, request := range requests {
				c.send(request)
				declined(t, c)
			}
			c.startup(protocol30, r.Upstream)
			c.untilReady()
			c.send(frame('Q', "SELECT 7"))
			if got := column(c.untilReady()); len(got) != 1 || got[0] != "7" {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestProtocolVersionsAreTheServersBusiness(t *testing.T) {
	for _, version := range []string{"15", "18"} {
		s := pgtest.Start(t, pgtest.WithVersion(version))
		r := startOn(t, s.DSN("postgres"), nil)
		for name, c := range map[string]struct {
			version    uint32
			parameters []string
		}{
			"3.0":               {protocol30, nil},
			"3.2":               {protocol32, nil},
			"3.99":              {3<<16 | 99, nil},
			"3.0 and parameter": {protocol30, []string{"_pq_.unheard_of", "1"}},
			"3.2 and parameter": {protocol32, []string{"_pq_.unheard_of", "1"}},
		} {
			t.Run(version+"/"+name, func(t *testing.T) {
				through, direct := r.raw(), dialRaw(t, s.Address())
				through.startup(c.version, s.DSN("postgres"), c.parameters...)
				direct.startup(c.version, s.DSN("postgres"), c.parameters...)
				got, want := through.untilReady(), direct.untilReady()
				if types(got) != types(want) || !bytes.Equal(negotiated(got), negotiated(want)) {
					t.Errorf("%q %q, straight at the server %q %q", types(got), negotiated(got), types(want), negotiated(want))
				}
				through.cancelSleep(r.Address)
			})
		}
	}
}

// negotiated is the body of NegotiateProtocolVersion.
func negotiated(all []received) []byte {
	for _, m := range all {
		if m.typ == 'v' {
			return m.body
		}
	}
	return nil
}

// cancelSleep starts a statement that sleeps and cancels it.
func (c *raw) cancelSleep(address string) {
	c.tb.Helper()
	c.send(frame('Q', "DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(60); END $$"))
	c.until('N') // sent at once, unlike results
	c.cancel(address)
	all := c.untilReady()
	if e := failure(c.tb, all[:len(all)-1]); e.Code != "57014" {
		c.tb.Errorf("%s %s", e.Code, e.Message)
	}
}

// cancel sends a cancel request for the session and waits until it has been passed on.
func (c *raw) cancel(address string) {
	c.tb.Helper()
	other := dialRaw(c.tb, address)
	request := binary.BigEndian.AppendUint32(nil, uint32(8+len(c.key)))
	other.send(append(append(request, 0x04, 0xd2, 0x16, 0x2e), c.key...))
	other.untilClosed()
}

func TestUnixSockets(t *testing.T) {
	s := pgtest.Shared(t)
	config, err := pgx.ParseConfig(s.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn := "host=" + s.SocketDir() + " port=" + pgPort(s) + " user=postgres dbname=" + config.Database
	r := startOn(t, dsn, nil, `CREATE TABLE item AS SELECT 1 AS id`)
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.6432"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.Serve(l) }()
	c := dial(t, "host="+dir+" port=6432 user=postgres dbname="+config.Database)
	before := r.hits()
	for range 3 {
		if got := value(t, c, `SELECT id::text FROM item`); got != "1" {
			t.Errorf("got %q", got)
		}
	}
	if r.hits() == before {
		t.Error("nothing was answered from the cache")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, `SELECT pg_sleep(30)`); err == nil {
		t.Error("not cancelled")
	}
}

func pgPort(s *pgtest.Server) string {
	_, port, _ := net.SplitHostPort(s.Address())
	return port
}

// TestCancelThroughAnotherPgrecall: a cancel request may reach another pgrecall than the session that it is for.
func TestCancelThroughAnotherPgrecall(t *testing.T) {
	r := start(t)
	other := startOn(t, r.Upstream, nil)
	r.session().cancelSleep(other.Address)
}
