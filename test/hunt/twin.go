package hunt

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/test"
)

// field is two equal databases, one of them behind pgrecall.
type field struct {
	database        string
	proxied, direct test.Target
	proxy           *test.Proxy
	server          *pgtest.Server // behind pgrecall
}

// ground are two equal servers.
type ground struct{ proxied, direct *pgtest.Server }

func newGround(tb testing.TB) *ground {
	config := pgtest.WithConfig("autovacuum = off", "max_prepared_transactions = 10", "fsync = off")
	return &ground{pgtest.Start(tb, config), pgtest.Start(tb, config)}
}

// field makes a fresh pair of databases with the schema.
func (g *ground) field(tb testing.TB, database, schema string) *field {
	tb.Helper()
	for _, server := range []*pgtest.Server{g.proxied, g.direct} {
		if err := server.Exec(tb.Context(), "postgres", "CREATE DATABASE "+database); err != nil {
			tb.Fatal(err)
		}
		if err := server.Exec(tb.Context(), database, schema); err != nil {
			tb.Fatal(err)
		}
	}
	proxy := test.Proxied(tb, g.proxied)
	return &field{database: database, proxied: proxy, direct: test.Direct{Server: g.direct}, proxy: proxy, server: g.proxied}
}

// twin is a session through pgrecall and its likeness straight at PostgreSQL.
type twin struct {
	name            string
	proxied, direct *connection
}

func (f *field) twin(tb testing.TB, name string, parameters ...string) *twin {
	tb.Helper()
	t := &twin{name: name}
	var err error
	if t.proxied, err = connect(f.proxied.Address(f.database), f.database, parameters...); err != nil {
		tb.Fatal(err)
	}
	if t.direct, err = connect(f.direct.Address(f.database), f.database, parameters...); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.proxied.socket.Close(); _ = t.direct.socket.Close() })
	return t
}

// batch is what a client sends at once and what it waits for then.
type batch struct {
	messages []pgproto3.FrontendMessage
	wait     wait
}

// exchange sends a batch to both and returns how the answers differ, "" when they don't.
func (t *twin) exchange(b batch) string {
	var packet []byte
	for _, m := range b.messages {
		var err error
		if packet, err = m.Encode(packet); err != nil {
			return err.Error()
		}
	}
	for _, c := range []*connection{t.direct, t.proxied} {
		if _, err := c.socket.Write(packet); err != nil {
			return err.Error()
		}
	}
	want, err := t.direct.receive(b.wait)
	if err != nil {
		return fmt.Sprintf("PostgreSQL: %v after %s", err, brief(want))
	}
	got, err := t.proxied.receive(b.wait)
	if err != nil {
		return fmt.Sprintf("pgrecall: %v after %s\nPostgreSQL: %s", err, brief(got), brief(want))
	}
	if !slices.EqualFunc(want, got, func(a, b frame) bool {
		return a == b || a.kind == 'E' && b.kind == 'E' && lockTimeout(a) && lockTimeout(b)
	}) {
		return fmt.Sprintf("PostgreSQL: %s\n  pgrecall: %s", brief(want), brief(got))
	}
	return ""
}

// lockTimeout tells whether an error is one whose context names the place of a row on disk.
func lockTimeout(f frame) bool { return strings.Contains(f.body, "C55P03\x00") }

// brief shows frames for people.
func brief(frames []frame) string {
	var b strings.Builder
	for _, f := range frames {
		body := strings.ToValidUTF8(strings.Map(func(r rune) rune {
			if r < ' ' {
				return '.'
			}
			return r
		}, f.body), "?")
		if len(body) > 160 {
			body = body[:160] + "..."
		}
		fmt.Fprintf(&b, "%c(%s) ", f.kind, body)
	}
	return b.String()
}

// show shows a batch for people.
func (b batch) show() string {
	var out []string
	for _, m := range b.messages {
		name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
		switch m := m.(type) {
		case *pgproto3.Query:
			name += fmt.Sprintf(" %q", m.String)
		case *pgproto3.Parse:
			name += fmt.Sprintf("[%s] %q %v", m.Name, m.Query, m.ParameterOIDs)
		case *pgproto3.Bind:
			name += fmt.Sprintf("[%s<-%s] %q %v", m.DestinationPortal, m.PreparedStatement, m.Parameters, m.ResultFormatCodes)
		case *pgproto3.Describe:
			name += fmt.Sprintf("[%c %s]", m.ObjectType, m.Name)
		case *pgproto3.Close:
			name += fmt.Sprintf("[%c %s]", m.ObjectType, m.Name)
		case *pgproto3.Execute:
			name += fmt.Sprintf("[%s] %d", m.Portal, m.MaxRows)
		case *pgproto3.CopyData:
			name += fmt.Sprintf(" %q", m.Data)
		}
		out = append(out, name)
	}
	return strings.Join(out, "; ")
}
