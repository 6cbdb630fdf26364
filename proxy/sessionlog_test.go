package proxy_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// lines returns what was logged with a message.
func (l *logged) lines(message string) (list []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			list = append(list, fields)
		}
	}
	return list
}

func startLogged(t *testing.T, o proxy.LogOptions, setup ...string) (*running, *logged) {
	t.Helper()
	l := &logged{}
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(options *proxy.Options) {
		options.Log, options.Logger = o, slog.New(slog.NewJSONHandler(l, nil))
	}, setup...)
	return r, l
}

func TestSessionsEndWithALine(t *testing.T) {
	r, l := startLogged(t, proxy.LogOptions{Sessions: true}, "CREATE TABLE t AS SELECT 1 AS id")
	c := r.connect()
	hits := r.hits()
	eventually(t, "a hit", func() bool { value(t, c, "SELECT id::text FROM t"); return r.hits() > hits })
	mustExec(t, c, "UPDATE t SET id = 2")
	if err := c.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	eventually(t, "a line", func() bool { lines = l.lines("session ended"); return len(lines) > 0 })
	line := lines[0]
	if line["ended"] != "the client" || line["user"] != "postgres" || line["database"] != r.Database || line["write"] != 1. || line["hit_l1"].(float64) < 1 || line["miss"].(float64) < 1 || line["client"] == "" {
		t.Errorf("%v", line)
	}

	victim := r.connect()
	mustExec(t, r.direct(), "SELECT pg_terminate_backend($1)", victim.PgConn().PID())
	eventually(t, "another line", func() bool { lines = l.lines("session ended"); return len(lines) > 1 })
	if lines[1]["ended"] != "the server, with an error" {
		t.Errorf("%v", lines[1])
	}
	r.SetLogOptions(proxy.LogOptions{})
	if err := r.connect().Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no client is left", func() bool { return r.Status().Clients == 0 })
	if n := len(l.lines("session ended")); n != 2 {
		t.Errorf("%d lines", n)
	}
}

// TestSlowStatementsAreLogged: those above the threshold, without constants, parameters and rows.
func TestSlowStatementsAreLogged(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r, l := startLogged(t, proxy.LogOptions{Slow: 50 * time.Millisecond}, "CREATE TABLE t AS SELECT 'row'::text AS secret")
		c := r.connect(parameters...)
		value(t, c, "SELECT secret FROM t WHERE secret <> $1", "quick")
		if lines := l.lines("slow statement"); len(lines) != 0 {
			t.Fatalf("%v", lines)
		}
		if got := value(t, c, "SELECT secret || 'constant' FROM t, pg_sleep(0.06) WHERE secret <> $1", "parameter"); got != "rowconstant" {
			t.Fatal(got)
		}
		mustExec(t, c, "UPDATE t SET secret = 'constant' FROM pg_sleep(0.06)")
		var lines []map[string]any
		eventually(t, "two lines", func() bool { lines = l.lines("slow statement"); return len(lines) == 2 })
		if lines[0]["outcome"] != "bypass" || lines[0]["reason"] == "" || lines[1]["outcome"] != "write" || lines[1]["tables"] != "public.t" || lines[1]["fingerprint"] == "" ||
			lines[1]["query"] != "update t set secret = $1 from pg_sleep($2)" || lines[1]["took"].(float64) < 5e7 || lines[1]["user"] != "postgres" {
			t.Errorf("%v", lines)
		}
		for _, secret := range []string{"constant", "parameter'", `"row"`, "$1 parameter"} {
			if strings.Contains(l.String(), secret) {
				t.Errorf("%s is in the log: %s", secret, l)
			}
		}
	})
}
