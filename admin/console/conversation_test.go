package console

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/wire"
)

// quiet is a proxy with nothing to tell, that counts what is done to it.
type quiet struct{ flushes, pauses int }

func (q *quiet) Status() admin.Status {
	return admin.Status{Started: time.Unix(1e9, 0), Now: time.Unix(2e9, 0)}
}
func (q *quiet) Ready() error  { return errors.New("not \x00ready \xff") }
func (q *quiet) Tiers() []Tier { return []Tier{{Name: "l1"}} }
func (q *quiet) Tables(int) []Table {
	return []Table{{Name: "t"}, {Name: "u", Traffic: &Traffic{}, Cached: true}}
}
func (q *quiet) Statements(int) []Statement { return []Statement{{}, {Traffic: &Traffic{}}} }
func (q *quiet) Clients() []Client          { return []Client{{}} }
func (q *quiet) Settings() []Setting        { return nil }
func (q *quiet) Pause()                     { q.pauses++ }
func (q *quiet) Resume()                    {}
func (q *quiet) Paused() bool               { return false }
func (q *quiet) Reload() ([]string, error)  { return nil, ErrUnavailable }
func (q *quiet) Explain(context.Context, Question) ([]Item, error) {
	return []Item{{"a", "b"}}, nil
}

func (q *quiet) Flush(context.Context, admin.Selection) (admin.Flushed, error) {
	q.flushes++
	return admin.Flushed{Others: "unreachable"}, nil
}

// script is a client that has sent all that it will.
type script struct {
	*bytes.Reader
	answer bytes.Buffer
}

func (s *script) Write(p []byte) (int, error) { return s.answer.Write(p) }

func (s *script) Begin() (context.Context, func() bool) {
	return context.Background(), func() bool { return false }
}

// talk returns what a client gets that sends these bytes.
func talk(tb testing.TB, p Proxy, sent []byte) []byte {
	tb.Helper()
	server, err := NewServer(Options{Proxy: p, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	s := &script{Reader: bytes.NewReader(sent)}
	server.Serve(s, "tester")
	return s.answer.Bytes()
}

func query(sql string) []byte {
	b, at := wire.Begin(nil, wire.Query)
	return wire.End(wire.AppendString(b, sql), at)
}

// framed tells whether an answer is made of whole messages, and returns their types.
func framed(tb testing.TB, answer []byte) string {
	tb.Helper()
	var types strings.Builder
	for len(answer) > 0 {
		typ, size, ok := wire.Header(answer)
		if !ok || size < wire.HeaderSize || size > len(answer) {
			tb.Fatalf("after %s: a message %q of %d bytes, %d left", types.String(), typ, size, len(answer))
		}
		types.WriteByte(typ)
		answer = answer[size:]
	}
	return types.String()
}

// TestEveryAnswerFitsItsColumns: rows have as many values as there are columns, of their kinds.
func TestEveryAnswerFitsItsColumns(t *testing.T) {
	c := &conversation{server: &Server{Options{Proxy: &quiet{}, Logger: slog.New(slog.DiscardHandler)}}}
	for _, sh := range shows() {
		for _, row := range sh.rows(c.server, max(sh.limit, 1)) {
			if len(row) != len(sh.columns) {
				t.Errorf("SHOW %s: %d values for %d columns", sh.name, len(row), len(sh.columns))
				continue
			}
			for i, v := range row {
				fits := false
				switch v.(type) {
				case nil:
					fits = true
				case string:
					fits = sh.columns[i].kind == text
				case int64:
					fits = sh.columns[i].kind == int8Kind
				case float64:
					fits = sh.columns[i].kind == float8
				case bool:
					fits = sh.columns[i].kind == boolean
				case time.Time:
					fits = sh.columns[i].kind == timestamptz
				}
				if !fits {
					t.Errorf("SHOW %s: %T in column %s", sh.name, v, sh.columns[i].name)
				}
			}
		}
	}
}

// TestTextIsValid: what comes from elsewhere can't break the client's reading.
func TestTextIsValid(t *testing.T) {
	answer := talk(t, &quiet{}, query("SHOW STATS"))
	if framed(t, answer) != "TDCZ" || !bytes.Contains(answer, []byte("not ready \ufffd")) {
		t.Errorf("%q", answer)
	}
}

func TestFlushThatOthersMayNotHaveHeardOf(t *testing.T) {
	answer := talk(t, &quiet{}, query("FLUSH ALL"))
	if framed(t, answer) != "NTDCZ" || !bytes.Contains(answer, []byte("WARNING")) || !bytes.Contains(answer, []byte("unreachable")) {
		t.Errorf("%q", answer)
	}
}

func TestReloadWhereThereIsNothingToReload(t *testing.T) {
	if answer := talk(t, &quiet{}, query("RELOAD")); framed(t, answer) != "EZ" || !bytes.Contains(answer, []byte(codeNotSupported)) {
		t.Errorf("%q", answer)
	}
}

func TestIncompleteOptions(t *testing.T) {
	if _, err := NewServer(Options{}); err == nil {
		t.Error("no error")
	}
}

// FuzzConversation: whatever a client sends, it gets whole messages, and never two errors without a ReadyForQuery between them but at the end.
func FuzzConversation(f *testing.F) {
	f.Add(query("SHOW STATS; FLUSH TABLE \"a\"; PAUSE"))
	f.Add(query("EXPLAIN DATABASE d USER u SELECT $$ ; $$"))
	f.Add(append(query("BEGIN"), query("WHAT")...))
	f.Add([]byte("P\x00\x00\x00\x15s\x00SHOW STATS\x00\x00\x00B\x00\x00\x00\x0f\x00s\x00\x00\x00\x00\x00\x00\x01\x00\x01E\x00\x00\x00\x09\x00\x00\x00\x00\x01S\x00\x00\x00\x04"))
	f.Add([]byte("Q\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		answer := talk(t, &quiet{}, sent)
		types := framed(t, answer)
		for i := 0; i+1 < len(types); i++ {
			if types[i] == wire.ErrorResponse && types[i+1] == wire.ErrorResponse && i+2 < len(types) {
				t.Errorf("%s", types)
			}
		}
		if bytes.Contains(answer, []byte("internal error")) {
			t.Errorf("%q", answer)
		}
	})
}
