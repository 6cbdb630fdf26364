package proxy_test

import (
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// BenchmarkForwarded measures one read that is never cached, from the client's write to its read: what is not the server's is
// pgrecall's way through.
func BenchmarkForwarded(b *testing.B) {
	for name, send := range map[string]func(*pgproto3.Frontend){
		"simple": func(f *pgproto3.Frontend) {
			f.Send(&pgproto3.Query{String: `SELECT abalance FROM pgbench_accounts WHERE aid = 7 AND pg_backend_pid() > 0;`})
		},
		"prepared": func(f *pgproto3.Frontend) {
			f.Send(&pgproto3.Bind{PreparedStatement: "p1", Parameters: [][]byte{[]byte("7")}})
			f.Send(&pgproto3.Describe{ObjectType: 'P'})
			f.Send(&pgproto3.Execute{})
			f.Send(&pgproto3.Sync{})
		},
	} {
		b.Run(name, func(b *testing.B) {
			r := start(b, `CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, abalance int)`, `INSERT INTO pgbench_accounts VALUES (7, 70)`)
			c := r.connect()
			if _, err := c.Prepare(bounded(b), "p1", `SELECT abalance FROM pgbench_accounts WHERE aid = $1 AND pg_backend_pid() > 0;`); err != nil {
				b.Fatal(err)
			}
			hijacked, err := c.PgConn().Hijack()
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = hijacked.Conn.Close() })
			request := encode(b, send)
			buf := roundTrip(b, hijacked.Conn, request)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hijacked.Conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(hijacked.Conn, buf); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if bypasses := r.Status().Outcomes["bypass"]; bypasses < int64(b.N) {
				b.Errorf("%d of %d were forwarded", bypasses, b.N)
			}
		})
	}
}
