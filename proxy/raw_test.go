package proxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/proxy"
)

// Protocol versions of a StartupMessage.
const (
	protocol30 = 3 << 16
	protocol32 = 3<<16 | 2
)

// Requests before the StartupMessage.
var (
	sslRequest    = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	gssEncRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
)

// raw is a client that sends bytes as the test has them.
type raw struct {
	net.Conn
	tb  testing.TB
	key []byte // body of BackendKeyData
}

// raw opens a connection to pgrecall and sends nothing.
func (r *running) raw() *raw {
	r.tb.Helper()
	return dialRaw(r.tb, r.Address)
}

func dialRaw(tb testing.TB, address string) *raw {
	tb.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{Conn: conn, tb: tb}
}

// session is a raw client that has got its first ReadyForQuery.
func (r *running) session(parameters ...string) *raw {
	r.tb.Helper()
	c := r.raw()
	c.startup(protocol30, r.Upstream, parameters...)
	c.untilReady()
	return c
}

// startup sends a StartupMessage for the user and database of a DSN, with further names and values.
func (c *raw) startup(version uint32, dsn string, parameters ...string) {
	c.tb.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		c.tb.Fatal(err)
	}
	m := pgproto3.StartupMessage{ProtocolVersion: version, Parameters: map[string]string{"user": config.User, "database": config.Database}}
	for i := 0; i < len(parameters); i += 2 {
		m.Parameters[parameters[i]] = parameters[i+1]
	}
	b, err := m.Encode(nil)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.send(b)
}

func (c *raw) send(b []byte) {
	c.tb.Helper()
	if _, err := c.Write(b); err != nil {
		c.tb.Fatal(err)
	}
}

// frame makes a message of strings, which it terminates with a zero, and other bytes.
func frame(typ byte, parts ...any) []byte {
	b := []byte{typ, 0, 0, 0, 0}
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case byte:
			b = append(b, p)
		}
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// statement is a whole extended-query cycle for a text without parameters.
func statement(sql string) []byte {
	return join(frame('P', "", sql, int16(0)), frame('B', "", "", int16(0), int16(0), int16(0)), frame('D', byte('P'), ""),
		frame('E', "", int32(0)), frame('S'))
}

// received is a message of the backend.
type received struct {
	typ  byte
	body []byte
}

// next reads one message; the error is io.EOF when the connection ends before its first byte.
func (c *raw) next() (received, error) {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return received{}, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(c, body)
	return received{head[0], body}, err
}

// until reads messages up to one of the type.
func (c *raw) until(typ byte) []received {
	c.tb.Helper()
	var all []received
	for {
		m, err := c.next()
		if err != nil {
			c.tb.Fatalf("waiting for %q after %s: %v", typ, types(all), err)
		}
		if m.typ == 'K' {
			c.key = m.body
		}
		all = append(all, m)
		if m.typ == typ {
			return all
		}
	}
}

func (c *raw) untilReady() []received {
	c.tb.Helper()
	return c.until('Z')
}

// untilClosed reads to the end of the connection, which must come between messages.
func (c *raw) untilClosed() []received {
	c.tb.Helper()
	var all []received
	for {
		m, err := c.next()
		if errors.Is(err, io.EOF) || isReset(err) {
			return all
		}
		if err != nil {
			c.tb.Fatalf("after %s: %v", types(all), err)
		}
		all = append(all, m)
	}
}

func isReset(err error) bool {
	return err != nil && strings.Contains(err.Error(), "connection reset")
}

// types are the types of messages in their order.
func types(all []received) string {
	var b strings.Builder
	for _, m := range all {
		b.WriteByte(m.typ)
	}
	return b.String()
}

// failure decodes the last message, which must be an ErrorResponse.
func failure(tb testing.TB, all []received) pgproto3.ErrorResponse {
	tb.Helper()
	var e pgproto3.ErrorResponse
	if len(all) == 0 || all[len(all)-1].typ != 'E' {
		tb.Fatalf("no error at the end of %q", types(all))
	}
	if err := e.Decode(all[len(all)-1].body); err != nil {
		tb.Fatal(err)
	}
	return e
}

// column returns the first column of all rows.
func column(all []received) []string {
	var values []string
	for _, m := range all {
		if m.typ == 'D' {
			n := binary.BigEndian.Uint32(m.body[2:])
			values = append(values, string(m.body[6:6+n]))
		}
	}
	return values
}

// logged collects what pgrecall logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// into makes pgrecall log to l.
func (l *logged) into(o *proxy.Options) {
	o.Logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
