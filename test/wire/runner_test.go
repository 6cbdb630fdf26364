package wire

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// relay is a target that passes everything on to a server, but for one word in its answers, and
// claims a hit for each connection.
type relay struct {
	address string
	hits    atomic.Uint64
}

func (r *relay) Address(string) string { return r.address }

func (r *relay) Hits() uint64 { return r.hits.Load() }

// newRelay starts a relay that replaces a word in answers by another of the same length.
func newRelay(t *testing.T, server *pgtest.Server, word, other string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	r := &relay{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server.Address())
			if err != nil {
				_ = client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(upstream, client)
				_ = upstream.Close()
			}()
			go func() {
				defer client.Close()
				buffer := make([]byte, 64<<10)
				for {
					n, err := upstream.Read(buffer)
					if _, writeErr := io.WriteString(client, strings.ReplaceAll(string(buffer[:n]), word, other)); err != nil || writeErr != nil {
						return
					}
					r.hits.Add(1)
				}
			}()
		}
	}()
	return r
}

const readerScript = `setup
CREATE TABLE t AS SELECT 'value' AS v;
----

repeat
send
Query {"String": "SELECT upper(v) AS v FROM t"}
----

until
ReadyForQuery
----
RowDescription v:text
DataRow "VALUE"
CommandComplete SELECT 1
ReadyForQuery I

end
`

// TestRunnerNoticesADifference checks that what the scripts promise to find is found.
func TestRunnerNoticesADifference(t *testing.T) {
	server := pgtest.Start(t)
	faithful := &way{name: "faithful", passes: 2, server: server, target: newRelay(t, server, "VALUE", "VALUE")}
	lying := &way{name: "lying", passes: 2, server: server, target: newRelay(t, server, "VALUE", "OTHER")}
	s, err := parse(readerScript)
	if err != nil {
		t.Fatal(err)
	}
	want, err := faithful.play(t.Context(), s, "faithful")
	if err != nil {
		t.Fatal(err)
	}
	if difference := compareGolden(s, briefs(want)); difference != "" {
		t.Error(difference)
	}
	got, err := lying.play(t.Context(), s, "lying")
	if err != nil {
		t.Fatal(err)
	}
	if difference := compare(s, want, got); !strings.Contains(difference, "OTHER") {
		t.Errorf("another value makes no difference: %q", difference)
	}
	if compareGolden(s, briefs(got)) == "" {
		t.Error("another value than the script's makes no difference")
	}
	if compare(s, want, want[:len(want)-1]) == "" || compare(s, want[:len(want)-1], want) == "" {
		t.Error("a missing message makes no difference")
	}
}

func TestRunnerChecksHits(t *testing.T) {
	server := pgtest.Start(t)
	target := newRelay(t, server, "", "")
	s, err := parse(readerScript[strings.Index(readerScript, "repeat"):] + "\nexpect hits 12345\n")
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.steps {
		if s.steps[i].verb == verbSend {
			s.steps[i].input = []string{`Query {"String": "SELECT 1"}`}
		}
	}
	w := &way{passes: 2, server: server, target: target}
	if _, err := w.play(t.Context(), s, "hits"); err == nil || !strings.Contains(err.Error(), "expected 12345") {
		t.Errorf("a wrong number of hits: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"sned\n":                               `line 1: unknown step "sned"`,
		"\nsend\nSync\n":                       "line 2: no ---- below",
		"send\nSync\n----\noutput\n":           "line 1: only until has output",
		"repeat\n":                             "line 1: repeat without end",
		"end\n":                                "line 1: end without repeat",
		"repeat\nrepeat\nend\n":                "line 2: repeat inside the block of line 1",
		"repeat\nconnect a\nend\n":             "line 2: connect inside a repeat block",
		"send\nSync\n----\n\nsetup\nX\n----\n": "line 5: setup must be the first step",
		"expect hits many\n":                   "line 1: strconv",
		"connect a nonsense\n":                 `line 1: "nonsense" is no parameter=value`,
	} {
		if _, err := parse(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, expected %s", text, err, want)
		}
	}
	for _, line := range []string{"Nonsense", `Query {"Strnig": "x"}`, `Describe {"Statement": "a", "Portal": "b"}`, `Query {} {}`, `Raw {"Type": "xy"}`} {
		if _, err := encode(nil, line, "db"); err == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}
