package proxy_test

import (
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// BenchmarkHit measures one hit from the client's write to its read, with messages made beforehand: what is left is pgrecall's
// hit path and two system calls on each side. Profiles of it are taken with -cpuprofile.
func BenchmarkHit(b *testing.B) {
	query := func(f *pgproto3.Frontend) {
		f.Send(&pgproto3.Query{String: `SELECT abalance FROM pgbench_accounts WHERE aid = 7;`})
	}
	execute := func(statement string) func(*pgproto3.Frontend) {
		return func(f *pgproto3.Frontend) {
			if statement == "" {
				f.Send(&pgproto3.Parse{Query: `SELECT abalance FROM pgbench_accounts WHERE aid = $1;`})
			}
			f.Send(&pgproto3.Bind{PreparedStatement: statement, Parameters: [][]byte{[]byte("7")}})
			f.Send(&pgproto3.Describe{ObjectType: 'P'})
			f.Send(&pgproto3.Execute{})
			f.Send(&pgproto3.Sync{})
		}
	}
	for _, mode := range []struct {
		name string
		send func(*pgproto3.Frontend)
	}{{"simple", query}, {"extended", execute("")}, {"prepared", execute("p1")}} {
		b.Run(mode.name, func(b *testing.B) { benchmarkHits(b, nil, encode(b, mode.send), func([]byte) {}) })
	}
}

// benchmarkHits measures hits of a request that is changed before each.
func benchmarkHits(b *testing.B, options func(*proxy.Options), request []byte, next func([]byte)) {
	r := startOn(b, pgtest.Shared(b).NewDatabase(b), func(o *proxy.Options) {
		o.HotKeys = 1000
		if options != nil {
			options(o)
		}
	}, `CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))`,
		`INSERT INTO pgbench_accounts SELECT g, 1, g * 10, '' FROM generate_series(1, 1000) g`)
	c := r.connect()
	mustExec(b, c, `SET pgrecall.bench = on`)
	if _, err := c.Prepare(bounded(b), "p1", `SELECT abalance FROM pgbench_accounts WHERE aid = $1;`); err != nil {
		b.Fatal(err)
	}
	hijacked, err := c.PgConn().Hijack()
	if err != nil {
		b.Fatal(err)
	}
	conn := hijacked.Conn
	b.Cleanup(func() { _ = conn.Close() })
	var answer []byte
	for range 3 { // fills
		answer = roundTrip(b, conn, request)
	}
	before := r.hits()
	buf := make([]byte, len(answer))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		next(request)
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if n := r.hits() - before; n < int64(b.N) {
		b.Fatalf("%d hits in %d rounds", n, b.N)
	}
}

// encode returns the bytes of messages.
func encode(tb testing.TB, send func(*pgproto3.Frontend)) []byte {
	tb.Helper()
	var w writeBuffer
	f := pgproto3.NewFrontend(nil, &w)
	send(f)
	if err := f.Flush(); err != nil {
		tb.Fatal(err)
	}
	return w
}

type writeBuffer []byte

func (w *writeBuffer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// roundTrip sends messages and returns the answer up to ReadyForQuery.
func roundTrip(tb testing.TB, conn net.Conn, request []byte) (answer []byte) {
	tb.Helper()
	if _, err := conn.Write(request); err != nil {
		tb.Fatal(err)
	}
	for {
		var header [5]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			tb.Fatal(err)
		}
		body := make([]byte, int(header[1])<<24|int(header[2])<<16|int(header[3])<<8|int(header[4])-4)
		if _, err := io.ReadFull(conn, body); err != nil {
			tb.Fatal(err)
		}
		answer = append(append(answer, header[:]...), body...)
		if header[0] == 'Z' {
			return answer
		}
	}
}
