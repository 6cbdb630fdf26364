package proxy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin/console"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/wire"
)

// TestConsoleAuthentication: PostgreSQL decides who somebody is, by every method and with TLS on either side, and the configuration whether he may.
func TestConsoleAuthentication(t *testing.T) {
	s := withUsers(t, pgtest.WithTLS())
	if err := s.Exec(t.Context(), "postgres", "CREATE ROLE stranger LOGIN PASSWORD 'secret'; CREATE ROLE asleep PASSWORD 'secret'"); err != nil {
		t.Fatal(err)
	}
	ours, authority := identity(t)
	for name, sides := range map[string]struct{ client, upstream bool }{
		"plain": {}, "client": {client: true}, "upstream": {upstream: true}, "both": {client: true, upstream: true},
	} {
		t.Run("TLS "+name, func(t *testing.T) {
			dsn := s.DSN("postgres")
			if sides.upstream {
				dsn = strings.Replace(dsn, "sslmode=disable", "sslmode=verify-full&sslrootcert="+s.CAFile(), 1)
			}
			var log logged
			r, _ := withConsole(t, dsn, func(o *proxy.Options) {
				log.into(o)
				if sides.client {
					o.TLS = ours
				}
			}, append([]string{"asleep"}, methods...)...)
			mode := "sslmode=disable"
			if sides.client {
				mode = "sslmode=verify-full sslrootcert=" + authority + " channel_binding=disable"
			}
			for _, method := range methods {
				c := dial(t, r.ops("user="+method, "password=secret", mode))
				if got := firstColumn(t, c, "SHOW HELP"); !strings.HasPrefix(got, "SHOW STATS") {
					t.Errorf("%s: %q", method, got)
				}
				if got := c.PgConn().ParameterStatus("client_encoding"); got != "UTF8" {
					t.Errorf("client_encoding %q", got)
				}
				if method == "trust" {
					continue
				}
				refusedOps(t, r, "28P01", "user="+method, "password=wrong", mode)
			}
			refusedOps(t, r, "28000", "user=stranger", "password=secret", mode)
			refusedOps(t, r, "28000", "user=asleep", "password=secret", mode) // PostgreSQL's own: not permitted to log in
			refusedOps(t, r, "28000", "user=nobody_at_all", "password=secret", mode)
			if strings.Contains(log.String(), "secret") {
				t.Error("a password was logged")
			}
		})
	}
	eventually(t, "nothing of the console is left at the server", func() bool {
		c := dial(t, s.DSN("postgres"))
		defer c.Close(t.Context())
		return value(t, c, "SELECT count(*) FROM pg_stat_activity WHERE usename = ANY($1)", append([]string{"stranger"}, methods...)) == "\x00\x00\x00\x00\x00\x00\x00\x00"
	})
	t.Run("a wrong password tells nothing of who is allowed", func(t *testing.T) {
		s := pgtest.Start(t, pgtest.WithHBA("host all stranger all scram-sha-256"))
		if err := s.Exec(t.Context(), "postgres", "CREATE ROLE stranger LOGIN PASSWORD 'secret'"); err != nil {
			t.Fatal(err)
		}
		r, _ := withConsole(t, s.DSN("postgres"), nil, "postgres")
		refusedOps(t, r, "28P01", "user=stranger", "password=wrong")
		refusedOps(t, r, "28000", "user=stranger", "password=secret")
	})
}

// refusedOps wants the console refused.
func refusedOps(t *testing.T, r *running, code string, parameters ...string) {
	t.Helper()
	c, err := pgx.Connect(bounded(t), r.ops(parameters...))
	if err == nil {
		_ = c.Close(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE "+code) {
		t.Errorf("%q: %v, want %s", parameters, err, code)
	}
}

// TestConsoleStartupParameters: only the role's name reaches the server.
func TestConsoleStartupParameters(t *testing.T) {
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), nil, "postgres")
	c := r.raw()
	c.startup(protocol30, r.Upstream, "database", "ops", "options", "-c no_such_setting=1", "session_authorization", "nobody", "client_encoding", "LATIN1",
		"application_name", "board", "search_path", "a")
	statuses := map[string]string{}
	for _, m := range c.untilReady() {
		if m.typ == 'S' {
			parts := strings.Split(string(m.body), "\x00")
			statuses[parts[0]] = parts[1]
		}
	}
	if statuses["client_encoding"] != "UTF8" || statuses["application_name"] != "board" || statuses["DateStyle"] != "ISO, MDY" || statuses["TimeZone"] != "UTC" || statuses["session_authorization"] != "postgres" {
		t.Errorf("%v", statuses)
	}
	walsender := r.raw()
	walsender.startup(protocol30, r.Upstream, "database", "ops", "replication", "database")
	if e := failure(t, walsender.untilClosed()); e.Code != "3D000" {
		t.Errorf("a walsender: %s %s", e.Code, e.Message)
	}
}

// TestConsoleOverTLSInPieces: messages may come byte by byte, in records of their own.
func TestConsoleOverTLSInPieces(t *testing.T) {
	ours, _ := identity(t)
	r, _ := withConsole(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.TLS = ours }, "postgres")
	c := r.raw()
	c.send(sslRequest)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.startup(protocol32, r.Upstream, "database", "ops")
	c.untilReady()
	for _, b := range bytes.Split(join(frame('Q', "SHOW TIERS"), frame('X')), nil) {
		c.send(b)
	}
	if got := types(c.untilClosed()); got != "TCZ" {
		t.Errorf("%s", got)
	}
}

// TestConsoleMistrustsTheServer: one that takes the client for somebody else, says nonsense or leaves lets nobody in.
func TestConsoleMistrustsTheServer(t *testing.T) {
	status := func(name, value string) []byte { return frame('S', name, value) }
	accepted, ready := frame('R', int32(0)), frame('Z', []byte("I"))
	for name, test := range map[string]struct {
		says []byte
		code string
	}{
		"accepts":              {join(accepted, status("session_authorization", "postgres"), ready), ""},
		"tells nothing":        {join(accepted, ready), ""},
		"takes for another":    {join(accepted, status("session_authorization", "postgres@ops"), ready), "28000"},
		"refuses":              {frame('E', []byte("SFATAL\x00VFATAL\x00C28P01\x00Mno\x00\x00")), "28P01"},
		"leaves":               {accepted, "08006"},
		"a length of nothing":  {[]byte{'R', 0, 0, 0, 0}, "08006"},
		"a length of too much": {[]byte{'R', 0x7f, 0, 0, 0}, "08006"},
		"an empty request":     {join(frame('R'), ready), "28000"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan []byte, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				packet, err := wire.ReadStartup(conn)
				if err != nil {
					t.Error(err)
				} else if packet.Parameter("database") != "postgres" || packet.Parameter("user") != "postgres" {
					t.Errorf("%+v", packet.Parameters)
				}
				_, _ = conn.Write(test.says)
				_ = conn.(*net.TCPConn).CloseWrite()
				said, _ := io.ReadAll(conn)
				heard <- said
			}()
			t.Cleanup(func() { _ = l.Close() })
			o := &operated{explaining: make(chan struct{})}
			r := &running{tb: t, Upstream: "postgres://postgres@" + l.Addr().String() + "/postgres?sslmode=disable"}
			config, err := pgx.ParseConfig(r.Upstream)
			if err != nil {
				t.Fatal(err)
			}
			r.serve(config, func(options *proxy.Options) {
				options.HasAccount = false
				server, err := console.NewServer(console.Options{Proxy: o, Logger: options.Logger})
				if err != nil {
					t.Fatal(err)
				}
				options.Console = &proxy.Console{Takes: func(name string) bool { return name == "ops" }, Maintenance: "postgres",
					Allows: func(role string) bool { return role == "postgres" }, Serve: func(c *proxy.ConsoleClient) { server.Serve(c, c.Role) }}
			})
			o.running = r
			c := r.raw()
			c.startup(protocol30, r.Upstream, "database", "ops")
			c.send(frame('Q', "SHOW TIERS"))
			if test.code == "" {
				c.untilReady()
				if got := types(c.untilReady()); got != "TCZ" {
					t.Errorf("%s", got)
				}
			} else if e := failure(t, c.untilClosed()); e.Code != test.code || e.SeverityUnlocalized != "FATAL" {
				t.Errorf("%s %s %s", e.SeverityUnlocalized, e.Code, e.Message)
			}
			if said := <-heard; len(said) > 0 && !bytes.Equal(said, []byte("X\x00\x00\x00\x04")) {
				t.Errorf("the server was told %q", said)
			}
		})
	}
}
