package proxy_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// hijack returns a connection through pgrecall as raw messages.
func (r *running) hijack(parameters ...string) *pgproto3.Frontend {
	r.tb.Helper()
	h, err := r.connect(parameters...).PgConn().Hijack()
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = h.Conn.Close() })
	return pgproto3.NewFrontend(h.Conn, h.Conn)
}

// receive returns the next n messages, or those up to ReadyForQuery with n = 0, by their types.
func receive(tb testing.TB, f *pgproto3.Frontend, n int) (types string) {
	tb.Helper()
	for i := 0; n == 0 || i < n; i++ {
		m, err := f.Receive()
		if err != nil {
			tb.Fatalf("after %q: %v", types, err)
		}
		switch m.(type) {
		case *pgproto3.ParseComplete:
			types += "1"
		case *pgproto3.BindComplete:
			types += "2"
		case *pgproto3.DataRow:
			types += "D"
		case *pgproto3.CommandComplete:
			types += "C"
		case *pgproto3.ErrorResponse:
			types += "E"
		case *pgproto3.RowDescription:
			types += "T"
		case *pgproto3.ReadyForQuery:
			types += "Z"
			if n == 0 {
				return types
			}
		default:
			types += "?"
		}
	}
	return types
}

// What pgrecall asks on its own must not end the client's implicit transaction: up to Sync, an error takes everything back.
func TestFlushedCycleIsOneTransaction(t *testing.T) {
	r := start(t, itemSchema)
	for _, last := range []pgproto3.FrontendMessage{&pgproto3.Parse{Query: `SELECT 1/0 FROM nowhere`}, &pgproto3.Query{String: `SELECT 1/0`}} {
		f := r.hijack()
		f.Send(&pgproto3.Parse{Query: `SELECT sneak()`}) // writes, and may change settings
		f.Send(&pgproto3.Bind{})
		f.Send(&pgproto3.Execute{})
		f.Send(&pgproto3.Flush{})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, f, 4); got != "12DC" {
			t.Fatalf("got %s", got)
		}
		f.Send(last)
		if _, simple := last.(*pgproto3.Query); !simple {
			f.Send(&pgproto3.Sync{})
		}
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, f, 0); got != "EZ" {
			t.Fatalf("got %s", got)
		}
		if n := value(t, r.direct(), `SELECT count(*)::text FROM audit WHERE what = 'sneak'`); n != "0" {
			t.Errorf("%T: %s rows of a failed transaction are there", last, n)
		}
	}
}

// The server compares 63 bytes of the names of statements and portals.
func TestLongNames(t *testing.T) {
	r := start(t, itemSchema)
	long := strings.Repeat("n", 63)
	run := func(f *pgproto3.Frontend) (answers string) {
		for _, cycle := range [][]pgproto3.FrontendMessage{
			{&pgproto3.Parse{Name: long + "x", Query: itemName}},
			{&pgproto3.Bind{PreparedStatement: long + "x"}, &pgproto3.Execute{}},
			{&pgproto3.Parse{Name: long + "y", Query: `SELECT n FROM item`}},
			{&pgproto3.Bind{PreparedStatement: long + "y", DestinationPortal: long + "p"}, &pgproto3.Execute{Portal: long + "q"}},
			{&pgproto3.Close{ObjectType: 'S', Name: long}},
			{&pgproto3.Bind{PreparedStatement: long + "x"}, &pgproto3.Execute{}},
		} {
			for _, m := range append(cycle, &pgproto3.Sync{}) {
				f.Send(m)
			}
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
			answers += receive(t, f, 0)
		}
		return answers
	}
	h, err := r.direct().PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	want := run(pgproto3.NewFrontend(h.Conn, h.Conn))
	for range 3 {
		if got := run(r.hijack()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// That the server accepts one statement says nothing of another in the same cycle.
func TestParseOfWhatTheServerRefuses(t *testing.T) {
	r := start(t, itemSchema)
	f := r.hijack()
	cycle := func(messages ...pgproto3.FrontendMessage) string {
		t.Helper()
		for _, m := range append(messages, &pgproto3.Sync{}) {
			f.Send(m)
		}
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		return receive(t, f, 0)
	}
	cycle(&pgproto3.Parse{Name: "good", Query: itemName})
	for range 3 { // its description is in the cache
		cycle(&pgproto3.Describe{ObjectType: 'S', Name: "good"})
	}
	got := cycle(&pgproto3.Parse{Name: "bad", Query: `SELECT nothing FROM item`}, &pgproto3.Describe{ObjectType: 'S', Name: "good"})
	if got != "EZ" {
		t.Errorf("got %s", got)
	}
}
