package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// moody makes a function fail, with the code and from the row on that a table says which pgrecall does not know of.
var moody = []string{
	"CREATE TABLE t (id int, n text)", "INSERT INTO t VALUES (1, 'old'), (2, 'old')", "CREATE TABLE mood (code text, since int, severity text)",
	`CREATE FUNCTION moody(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$DECLARE m mood; BEGIN
		SELECT * INTO m FROM mood WHERE since <= $1; IF FOUND THEN RAISE EXCEPTION 'oh' USING ERRCODE = m.code; END IF; RETURN 'well'; END$$`,
}

const moodyRead = "SELECT moody(id), n FROM t"

var windowForErrors = cachepolicy.Rule{TTL: expired, StaleIfError: time.Hour}

// TestStaleIfError: an answer past its TTL stands in for the errors that it may stand in for, and for no other.
func TestStaleIfError(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, windowForErrors, 0, moody...)
		c, past := r.connect(parameters...), r.direct()
		value(t, c, moodyRead)
		fresh := value(t, c, moodyRead)
		for _, code := range []string{"53000", "53100", "53200", "53400", "58000", "58030", "58P01", // these
			"57014", "55P03", "40P01", "40001", "XX000", "XX001", "42501", "22012", "P0001", "54000", "25006"} {
			mustExec(t, past, "TRUNCATE mood")
			mustExec(t, past, "INSERT INTO mood VALUES ($1, 0)", code)
			expire(t)
			before, want := staleAnswers(r, "error"), fresh
			if !strings.HasPrefix(code, "53") && !strings.HasPrefix(code, "58") {
				want = ""
			}
			for range 2 {
				rows, err := c.Query(bounded(t), moodyRead)
				got := collect(rows, err)
				if want == "" && got != "error "+code || want != "" && got != want+"|" {
					t.Errorf("%s: %q", code, got)
				}
			}
			if n := staleAnswers(r, "error") - before; want != "" && n != 2 || want == "" && n != 0 {
				t.Errorf("%s: %d stale answers counted", code, n)
			}
			if status := c.PgConn().TxStatus(); status != 'I' {
				t.Errorf("%s: status %c", code, status)
			}
		}
		mustExec(t, past, "TRUNCATE mood")
		mustExec(t, past, "UPDATE t SET n = 'new'") // pgrecall does not see it
		if got := value(t, c, moodyRead); got != "well|new|well|new" {
			t.Errorf("%q when the server answers again", got)
		}
	})
}

// TestStaleIfTimeout: a statement that takes too long may be stood in for, one that the client gave up may not.
func TestStaleIfTimeout(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, windowForErrors, 0, gated...)
		past, c := r.direct(), r.connect(parameters...)
		mustExec(t, c, "SET statement_timeout = '200ms'")
		value(t, c, refreshed)
		value(t, c, refreshed)
		mustExec(t, past, "SELECT pg_advisory_lock(7)")
		expire(t)
		if got := value(t, c, refreshed); got != "1|1" || staleAnswers(r, "error") != 1 {
			t.Errorf("%q, %d stale answers", got, staleAnswers(r, "error"))
		}
		mustExec(t, c, "SET statement_timeout = 0")
		expire(t)
		late := ask(c, refreshed)
		waits(t, past, "1")
		if err := c.PgConn().CancelRequest(bounded(t)); err != nil {
			t.Fatal(err)
		}
		if a := <-late; sqlState(a.err) != "57014" {
			t.Errorf("the client's cancel was answered with %q, %v", a.got, a.err)
		}
	})
}

// TestErrorsThatGoThrough are errors where something about the statement, the session or the entry forbids that anything stands in.
func TestErrorsThatGoThrough(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		for _, step := range []struct {
			name, before, query string
			rule                cachepolicy.Rule
			since               int
		}{
			{"no window", "", moodyRead, cachepolicy.Rule{TTL: expired}, 0},
			{"the window is over", "", moodyRead, cachepolicy.Rule{TTL: expired, StaleIfError: time.Nanosecond}, 0},
			{"rows were sent", "", moodyRead, windowForErrors, 2},
			{"in a transaction block", "BEGIN", moodyRead, windowForErrors, 0},
			{"the statement has a TTL", "", "/* pgrecall: ttl=1ms */ " + moodyRead, windowForErrors, 0},
			{"the statement turns the cache off", "", "/* pgrecall: off */ " + moodyRead, windowForErrors, 0},
			{"the session turns the cache off", "SET pgrecall.cache = off", moodyRead, windowForErrors, 0},
			{"shadow mode", "SET pgrecall.cache = shadow", moodyRead, windowForErrors, 0},
			{"a write through pgrecall", "write", moodyRead, windowForErrors, 0},
			{"a change of definitions", "define", moodyRead, windowForErrors, 0},
		} {
			t.Run(step.name, func(t *testing.T) {
				r := startWith(t, step.rule, 0, moody...)
				filler, c := r.connect(parameters...), r.connect(parameters...)
				value(t, filler, moodyRead)
				value(t, filler, moodyRead)
				switch step.before {
				case "":
				case "write":
					mustExec(t, r.connect(), "UPDATE t SET n = 'new' WHERE id = 1")
				case "define":
					mustExec(t, r.connect(), "CREATE TABLE another (id int)")
					r.waitReady()
				default:
					mustExec(t, c, step.before)
				}
				mustExec(t, r.direct(), "INSERT INTO mood VALUES ('53200', $1)", step.since)
				expire(t)
				if got := collect(c.Query(bounded(t), step.query)); got != "error 53200" {
					t.Errorf("got %q", got)
				}
				if n := staleAnswers(r, "error"); n != 0 {
					t.Errorf("%d counted", n)
				}
			})
		}
	})
}

// TestRefutedEntriesAreDropped: once the server has refused a statement for a reason of its own, what was cached of it answers nobody.
func TestRefutedEntriesAreDropped(t *testing.T) {
	for name, rule := range map[string]cachepolicy.Rule{
		"revalidate": {TTL: expired, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
		"error":      {TTL: expired, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, parameters ...string) {
				r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
					o.Policy, o.CatalogInterval = policyOf(t, rule), time.Hour
				}, moody...)
				c, past := r.connect(parameters...), r.direct()
				value(t, c, moodyRead)
				value(t, c, moodyRead)
				mustExec(t, past, "INSERT INTO mood VALUES ('42501', 0)") // a right that goes past pgrecall
				eventually(t, "the error is told", func() bool {
					expire(t)
					return collect(c.Query(bounded(t), moodyRead)) == "error 42501"
				})
				mustExec(t, past, "UPDATE mood SET code = '53200'")
				for range 5 {
					if got := collect(c.Query(bounded(t), moodyRead)); got != "error 53200" {
						t.Fatalf("%q of a statement that was refused", got)
					}
				}
			})
		})
	}
}

// TestErrorsInPipelines: only the last Execute of a cycle of reads can be stood in for, and the client gets each message that is due.
func TestErrorsInPipelines(t *testing.T) {
	bind := join(frame('B', "", "", int16(0), int16(0), int16(0)))
	parse, describe, execute, sync := frame('P', "", moodyRead, int16(0)), frame('D', byte('P'), ""), frame('E', "", int32(0)), frame('S')
	other := join(frame('P', "", "SELECT n FROM t", int16(0)), bind)
	for _, step := range []struct {
		name  string
		sent  []byte
		fails bool // directly, and here, too
		want  string
	}{
		{"described", join(parse, bind, describe, execute, sync), false, "12TDDCZ"},
		{"not described", join(parse, bind, execute, sync), false, "12DDCZ"},
		{"after another read", join(other, execute, parse, bind, execute, sync), false, "12DDC12DDCZ"},
		{"before another read", join(parse, bind, execute, other, execute, sync), true, "12EZ"},
		{"before a close", join(parse, bind, execute, frame('C', byte('P'), ""), sync), true, "12EZ"},
		{"after a write", join(frame('P', "", "INSERT INTO audit VALUES (1)", int16(0)), bind, execute, parse, bind, execute, sync), true, "12C12EZ"},
		{"with a limit", join(parse, bind, frame('E', "", int32(1)), sync), true, "12EZ"},
		{"behind an unanswered cycle", join(frame('P', "", "SELECT pg_sleep(0.01)", int16(0)), bind, execute, sync, parse, bind, execute, sync), true, "12DCZ12EZ"},
		{"simple", frame('Q', moodyRead), false, "TDDCZ"},
		{"simple, with another", frame('Q', moodyRead+"; SELECT 1"), true, "TEZ"},
	} {
		t.Run(step.name, func(t *testing.T) {
			r := startWith(t, windowForErrors, 0, append(append([]string(nil), moody...), "CREATE TABLE audit (id int)")...)
			c := r.session()
			for range 2 {
				for _, fill := range [][]byte{statement(moodyRead), frame('Q', moodyRead)} {
					c.send(fill)
					c.untilReady()
				}
			}
			mustExec(t, r.direct(), "INSERT INTO mood VALUES ('53200', 0)")
			expire(t)
			c.send(step.sent)
			all := c.untilReady()
			if strings.Count(step.want, "Z") == 2 {
				all = append(all, c.untilReady()...)
			}
			if types(all) != step.want {
				t.Errorf("%s, want %s", types(all), step.want)
			}
			if n := staleAnswers(r, "error"); step.fails != (n == 0) {
				t.Errorf("%d stale answers", n)
			}
			c.send(statement("SELECT count(*)::text FROM audit"))
			if got := column(c.untilReady()); len(got) != 1 || got[0] != "0" {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

func TestTraceTellsOfStandIns(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startWith(t, windowForErrors, 0, moody...)
		config, err := pgx.ParseConfig(r.DSN(parameters...))
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Message) }
		c, err := pgx.ConnectConfig(bounded(t), config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(bounded(t)) }()
		mustExec(t, c, "SET pgrecall.trace = on")
		value(t, c, moodyRead)
		value(t, c, moodyRead)
		mustExec(t, r.direct(), "INSERT INTO mood VALUES ('53200', 0)")
		expire(t)
		heard = nil
		value(t, c, moodyRead)
		if len(heard) != 1 || !strings.HasPrefix(heard[0], "pgrecall: source=l1 stale=error age=") {
			t.Errorf("%q", heard)
		}
	})
}

// TestStaleAnswersNeedTheFleet: without Redis nobody knows what other pgrecalls revoked.
func TestStaleAnswersNeedTheFleet(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			fleet, server := startFleet(t, 1, strict, gated...)
			r := fleet[0]
			level := cachepolicy.TTL
			r.SetPolicy(policyOf(t, cachepolicy.Rule{TTL: expired, StaleWhileRevalidate: time.Hour, Consistency: &level}))
			c := r.connect()
			eventually(t, "a stale answer", func() bool { value(t, c, refreshed); return staleAnswers(r, "revalidate") > 0 })
			if err := server.Pause(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = server.Resume() }()
			eventually(t, "the loss is noticed", func() bool { return r.Status().Fleet.Down })
			before := staleAnswers(r, "revalidate")
			for range 3 { // each may wait for Redis: nothing guards the store here
				expire(t)
				value(t, c, refreshed)
			}
			if n := staleAnswers(r, "revalidate") - before; n != 0 {
				t.Errorf("%d stale answers without Redis", n)
			}
		})
	}
}

// TestL2KeepsWhatMayStandIn: a process that starts while the server fails has answers to stand in for errors.
func TestL2KeepsWhatMayStandIn(t *testing.T) {
	fleet, server := startFleet(t, 2, true, moody...)
	for _, r := range fleet {
		r.SetPolicy(policyOf(t, cachepolicy.Rule{TTL: 50 * time.Millisecond, StaleIfError: time.Hour}))
	}
	want := value(t, fleet[0].connect(simple), moodyRead)
	eventually(t, "the result is in L2", func() bool { return len(results(t, server)) > 0 })
	mustExec(t, fleet[0].direct(), "INSERT INTO mood VALUES ('53200', 0)")
	c := fleet[1].connect(simple)
	eventually(t, "an answer in place of an error", func() bool {
		if got := value(t, c, moodyRead); got != want {
			t.Fatal(got)
		}
		return staleAnswers(fleet[1], "error") > 0
	})
}
