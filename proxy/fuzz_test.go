package proxy_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// FuzzFrontend throws bytes at a session after authentication. Nothing may panic or hang, and where PostgreSQL does not hang up on them the
// client gets the same kinds of messages as straight from it.
func FuzzFrontend(f *testing.F) {
	r := startOn(f, pgtest.Shared(f).NewDatabase(f), func(o *proxy.Options) { o.Logger = slog.New(slog.DiscardHandler) },
		`CREATE TABLE item AS SELECT 1 AS id`, `CREATE ROLE nobody_fuzz LOGIN`, `GRANT SELECT ON item TO nobody_fuzz`)
	f.Cleanup(func() {
		c := r.direct()
		mustExec(f, c, `DROP OWNED BY nobody_fuzz`)
		mustExec(f, c, `DROP ROLE nobody_fuzz`)
	})
	const read = "SELECT id FROM item"
	for _, seed := range [][]byte{
		nil, frame('Q', read), frame('Q', ""), frame('Q', "SELECT 1; SELECT 2; SELECT 1/0; SELECT 3"), statement(read), join(statement(read), statement(read)),
		join(frame('Q', "BEGIN"), frame('Q', read), frame('Q', "ROLLBACK")), frame('Q', "SELECT 1")[:9], frame('@'), {'Q', 0, 0, 0, 0}, {'Q', 0x7f, 0, 0, 0},
		join(frame('P', "s", read, int16(0)), frame('D', byte('S'), "s"), frame('S'), frame('C', byte('S'), "s"), frame('S')),
		join(frame('P', "s", read, int16(0)), frame('P', "s", read, int16(0)), frame('S')),
		join(frame('P', "", "SELECT $1::int", int16(1), int32(23)), frame('B', "p", "", int16(0), int16(1), int32(1), []byte("7"), int16(0)), frame('E', "p", int32(1)), frame('E', "p", int32(0)), frame('S')),
		join(frame('P', "", read, int16(0)), frame('H'), frame('B', "", "", int16(0), int16(0), int16(0)), frame('H'), frame('E', "", int32(0)), frame('H'), frame('S')),
		join(frame('Q', "COPY item TO STDOUT"), frame('d', "x"), frame('c'), frame('f', "x"), frame('S')),
		join(frame('Q', "COPY item FROM STDIN"), frame('d', []byte("1\n")), frame('c'), frame('Q', read)),
		join(frame('F', int32(1), int16(0), int16(0), int16(0)), frame('S')), join(frame('S'), frame('S'), frame('H'), frame('X'), frame('Q', read)),
		join(frame('P', "", "SELECT 1/0", int16(0)), frame('B', "", "", int16(0), int16(0), int16(0)), frame('E', "", int32(0)), frame('Q', read), frame('S')),
		join(frame('p', "secret"), frame('Q', read)), frame('Q', "SET TimeZone = 'Asia/Tokyo'; "+read), frame('Q', "PREPARE a AS "+read+"; EXECUTE a; DEALLOCATE a"),
	} {
		f.Add(seed)
	}
	parameters := []string{"user", "nobody_fuzz", "options", "-c default_transaction_read_only=on -c statement_timeout=3s"}
	direct := pgtest.Shared(f).Address()
	f.Fuzz(func(t *testing.T, input []byte) {
		got, whole := talk(t, r.Address, r.Upstream, parameters, input)
		want, straight := talk(t, direct, r.Upstream, parameters, input)
		if whole && straight && types(got) != types(want) {
			t.Errorf("%q, straight at the server %q", types(got), types(want))
		}
		if got, _ := talk(t, r.Address, r.Upstream, parameters, frame('Q', read)); types(got) != "TDCZ" { // pgrecall goes on
			t.Errorf("the next session got %q", types(got))
		}
	})
}

// talk sends the bytes and the end of the stream, and returns what comes back; whole tells that nothing was cut off by an error
// that ends the session, after which what arrives depends on chance.
func talk(t *testing.T, address, dsn string, parameters []string, input []byte) (all []received, whole bool) {
	c := dialRaw(t, address)
	defer c.vanish()
	c.startup(protocol30, dsn, parameters...)
	c.untilReady()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = c.Write(input)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
	}()
	defer func() { <-sent }()
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	for {
		m, err := c.next()
		var timeout net.Error
		switch {
		case errors.Is(err, io.EOF):
			return all, true
		case errors.As(err, &timeout) && timeout.Timeout():
			t.Fatalf("%s: no end after %q", address, types(all))
		case err != nil:
			return all, false
		}
		all = append(all, m)
		var e pgproto3.ErrorResponse
		if m.typ == 'E' && e.Decode(m.body) == nil && e.SeverityUnlocalized == "FATAL" {
			return all, false
		}
	}
}
