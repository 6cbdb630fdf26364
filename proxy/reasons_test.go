package proxy_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/observe"
)

// notCounted are the reasons that pgrecall_bypass_total never shows, and why: explain has them all the same.
var notCounted = map[cachepolicy.Reason]string{
	cachepolicy.ReasonNotParsed:       "a text that can't be parsed counts as a write of everything",
	cachepolicy.ReasonNotRead:         "it counts as write or other",
	cachepolicy.ReasonWritesInWith:    "it counts as a write",
	cachepolicy.ReasonUnsupported:     "syntax that nobody knows counts as a write of everything",
	cachepolicy.ReasonUnknownFunction: "a call of nobody knows what counts as a write of everything",
	cachepolicy.ReasonCacheOff:        "nothing is looked at then, every statement counts as other",
	cachepolicy.ReasonEncoding:        "texts in such an encoding can't be read: they count as writes of everything",
	cachepolicy.ReasonLoginTrigger:    "PostgreSQL has such triggers since version 17",
	cachepolicy.ReasonRowSecurity:     "it takes a policy that PostgreSQL wrote and the parser can't read",
}

const reasonSchema = `
	CREATE TABLE t (id int PRIMARY KEY, name text, born date);
	INSERT INTO t SELECT i, repeat('x', 20), '2001-01-01' FROM generate_series(1, 100) i;
	CREATE TABLE ledger (id int);
	CREATE TABLE classes (id int, class regclass);
	CREATE SEQUENCE numbers;
	CREATE TYPE mood AS ENUM ('low', 'high');
	CREATE FUNCTION mood_of(int) RETURNS mood STABLE LANGUAGE sql AS $$ SELECT 'low'::mood $$;
	CREATE CAST (int AS mood) WITH FUNCTION mood_of(int);
	CREATE FUNCTION below(int, int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 < $2';
	CREATE OPERATOR <# (LEFTARG = int, RIGHTARG = int, FUNCTION = below);
	CREATE FOREIGN DATA WRAPPER nothing;
	CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
	CREATE FOREIGN TABLE far (id int) SERVER elsewhere`

// switchedLog is an audit log whose disk is full when it is told to be.
type switchedLog struct{ full atomic.Bool }

func (l *switchedLog) Ready() bool              { return !l.full.Load() }
func (l *switchedLog) Ended(*observe.Statement) {}

// cycle is an extended-query cycle with a parameter, or without where it is "", and a row limit.
func cycle(name, sql, parameter string, limit int32) []byte {
	bind := []any{"", name, int16(0), int16(0), int16(0)}
	if parameter != "" {
		bind = []any{"", name, int16(0), int16(1), int32(len(parameter)), []byte(parameter), int16(0)}
	}
	cycle := join(frame('B', bind...), frame('E', "", limit), frame('S'))
	if sql != "" {
		cycle = join(frame('P', name, sql, int16(0)), cycle)
	}
	return cycle
}

// TestEveryBypassHasItsReason takes each way past the cache and looks that the counter of its reason, and no nameless one, grows.
func TestEveryBypassHasItsReason(t *testing.T) {
	const read = "SELECT id FROM t WHERE id = 7"
	policy := &cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20, Rules: []cachepolicy.Rule{
		{Name: "no", Match: cachepolicy.Match{Tables: []string{"ledger"}}, Cache: cachepolicy.CacheNever}}}
	if err := policy.Compile(); err != nil {
		t.Fatal(err)
	}
	registry, another := prometheus.NewRegistry(), prometheus.NewRegistry()
	var log switchedLog
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		o.Policy, o.Registerer, o.CatalogWait = policy, registry, 10*time.Second
		o.Limits.MaxResult, o.Limits.HeldBytes = 1<<10, 16<<10
		o.Observer = &log
	}, reasonSchema)
	hasty := startOn(t, r.Upstream, func(o *proxy.Options) { o.Registerer = another }) // does not wait for the catalog
	blind := startOn(t, r.Upstream, func(o *proxy.Options) { o.HasAccount = false })
	seen := map[cachepolicy.Reason]bool{}
	count := func(reason cachepolicy.Reason) int64 {
		return r.Status().Bypasses[string(reason)] + blind.Status().Bypasses[string(reason)] + hasty.Status().Bypasses[string(reason)]
	}
	want := func(what string, reason cachepolicy.Reason, do func()) {
		t.Helper()
		before := count(reason)
		do()
		if seen[reason] = true; count(reason) == before {
			t.Errorf("%s: not counted as %s: %v", what, reason, r.Status().Bypasses)
		}
	}
	// exchange sends messages and waits for as many ReadyForQuery.
	exchange := func(c *raw, n int, messages ...[]byte) {
		t.Helper()
		c.send(join(messages...))
		for range n {
			c.untilReady()
		}
	}
	query := func(c *raw, sql string) { t.Helper(); exchange(c, 1, frame('Q', sql)) }

	for sql, reason := range map[string]cachepolicy.Reason{
		read + "; " + read:                        "multi_statement",
		read + " FOR UPDATE":                      "locking_clause",
		"SELECT CURRENT_DATE, id FROM t LIMIT 1":  "current_time",
		"SELECT id FROM t WHERE born = 'today'":   "time_literal",
		"SELECT name::date FROM t":                "time_cast",
		"SELECT ctid FROM t LIMIT 1":              "system_column",
		"SELECT 1 FROM t TABLESAMPLE SYSTEM (0)":  "table_sample",
		"SELECT 1":                                "no_relation",
		"SELECT random(), id FROM t LIMIT 1":      "volatile_function",
		"SELECT now(), id FROM t LIMIT 1":         "stable_function",
		"SELECT id FROM t WHERE id <# 3":          "unknown_operator",
		"SELECT 't'::regclass, id FROM t LIMIT 1": "unknown_type",
		"SELECT id::mood FROM t LIMIT 1":          "unsafe_cast",
		"SELECT id FROM another.public.t":         "unknown_relation",
		"SELECT relname FROM pg_class LIMIT 1":    "system_catalog",
		"SELECT id FROM far":                      "foreign_table",
		"SELECT last_value FROM numbers":          "relation_kind",
		"SELECT class FROM classes":               "column_type",
		"SELECT id FROM ledger":                   "rule_never",
		"/* pgrecall: off */ " + read:             "directive_off",
		"SELECT name FROM t":                      "result_too_large",
	} {
		c := r.session()
		want("simple: "+sql, reason, func() { query(c, sql) })
		if reason != "multi_statement" { // an error in the extended protocol
			want("extended: "+sql, reason, func() { exchange(c, 1, statement(sql)) })
		}
		_ = c.Close()
	}

	for _, way := range []struct {
		reason cachepolicy.Reason
		before []string // queries
		then   []byte
	}{
		{"temporary_relation", []string{"CREATE TEMP TABLE t (id int)"}, frame('Q', read)},
		{"session_off", []string{"SET pgrecall.cache = off"}, frame('Q', read)},
		{"shadow", []string{"SET pgrecall.cache = shadow", read}, frame('Q', read)},
		{"transaction", []string{"BEGIN", "UPDATE t SET name = name WHERE id = 7"}, frame('Q', read)},
		{"transaction", []string{"BEGIN", "SELECT 1/0"}, frame('Q', read)},
		{"isolation_level", []string{"BEGIN ISOLATION LEVEL REPEATABLE READ"}, frame('Q', read)},
		{"isolation_level", []string{"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", read}, statement(read)},
		{"isolation_level", []string{"SET default_transaction_isolation = 'serializable'"}, frame('Q', read)},
		{"isolation_level", []string{"SET default_transaction_isolation = 'serializable'", "BEGIN"}, frame('Q', read)},
		{"settings_unknown", nil, frame('Q', "SELECT set_config('a.b', 'c', false)")},
		{"portal", nil, cycle("", read, "", 1)},
		{"time_parameter", []string{read}, cycle("", "SELECT id FROM t WHERE born < $1", "now", 0)},
		{"protocol_state", []string{"BEGIN", read}, statement("SELECT now() FROM t WHERE id = 7")},
		{"oversized_message", []string{read}, cycle("", "SELECT id FROM t WHERE name = $1", strings.Repeat("y", 32<<10), 0)},
	} {
		c := r.session()
		for _, sql := range way.before {
			query(c, sql)
		}
		want(strings.Join(way.before, "; "), way.reason, func() {
			if exchange(c, 1, way.then); way.reason == "protocol_state" { // the simple query destroys the unnamed portal
				query(c, read)
			}
		})
		_ = c.Close()
	}

	c := r.session()
	query(c, read)
	want("two at once", "pipeline", func() { exchange(c, 2, frame('Q', "SELECT pg_sleep(0.1)"), frame('Q', read)) })
	exchange(c, 1, frame('P', "s", read, int16(0)), frame('S'))
	query(c, "SET TimeZone = 'Asia/Tokyo'")
	want("prepared under other settings", "prepared_elsewhere", func() { exchange(c, 1, cycle("s", "", "", 0)) })

	r.Pause()
	want("a pause", "paused", func() { query(r.session(), read) })
	want("a pause, extended", "paused", func() { exchange(r.session(), 1, statement(read)) })
	r.Resume()

	log.full.Store(true)
	want("nothing can be recorded", "audit", func() { query(r.session(), read) })
	want("nothing can be recorded, extended", "audit", func() { exchange(r.session(), 1, statement(read)) })
	log.full.Store(false)

	r.SetAuto(true)
	for i := range 150 {
		query(c, fmt.Sprintf("SELECT count(*) FROM t WHERE id = %d", -i))
	}
	r.Judge(time.Now())
	want("a shape that loses", "not_worth_it", func() { query(r.session(), "SELECT count(*) FROM t WHERE id = 0") })
	r.SetAuto(false)

	walsender := r.session("replication", "database")
	want("a walsender", "replication_session", func() { query(walsender, read) })
	want("no account", "no_catalog", func() { query(blind.session(), read) })

	writer := r.session()
	writer.send(frame('Q', "UPDATE t SET name = name WHERE id = 7 AND pg_sleep(1) IS NOT NULL"))
	eventually(t, "the write is under way", func() bool {
		return value(t, r.direct(), "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") == "1"
	})
	want("a write is under way", "write_in_flight", func() { query(c, read) })
	writer.untilReady()

	r.SetVerify(1)
	checked := r.session()
	query(checked, "SELECT name FROM t WHERE id = 9")
	mustExec(t, r.direct(), "UPDATE t SET name = 'other' WHERE id = 9")
	query(checked, "SELECT name FROM t WHERE id = 9")
	eventually(t, "the difference is found", func() bool { return len(r.Doubts()) == 1 })
	want("it differed", "verification_differed", func() { query(checked, "SELECT name FROM t WHERE id = 9") })

	// What is not a read of its own has no reason, but must not be counted as a bypass without one either.
	odd := hasty.session()
	for _, sql := range []string{"", ";", "TABLE ledger", "VALUES (1)", "SHOW TimeZone", "EXPLAIN " + read, "BEGIN", "DECLARE c CURSOR FOR " + read, "FETCH 1 FROM c", "MOVE c",
		"CLOSE c", "SAVEPOINT a", "SELECT 1/0", read, "ROLLBACK TO a", read, "ABORT", "PREPARE q AS " + read, "EXECUTE q", "DEALLOCATE q", "LISTEN n", "NOTIFY n",
		"WITH d AS (DELETE FROM ledger RETURNING id) SELECT * FROM d", "SELECT 1 INTO new", "not SQL",
		"SELECT 1 FROM t, XMLTABLE('/a' PASSING NULL::xml COLUMNS x int)", "SELECT nothing_known(id) FROM t", "SELECT nextval('numbers')"} {
		query(odd, sql)
		exchange(odd, 1, statement(sql))
	}
	exchange(odd, 1, frame('Q', "COPY ledger TO STDOUT"))
	exchange(odd, 1, cycle("missing", "", "", 0))

	for _, reason := range cachepolicy.Reasons {
		switch why, excepted := notCounted[reason]; {
		case !excepted && !seen[reason]:
			t.Errorf("%s: no way leads there", reason)
		case excepted && count(reason) != 0:
			t.Errorf("%s is counted, though %s", reason, why)
		}
	}
	for server, registry := range map[*running]*prometheus.Registry{r: registry, hasty: another} {
		named, unnamed := bypasses(t, registry)
		if unnamed != 0 {
			t.Errorf("%d bypasses have no name", unnamed)
		}
		if status := server.Status(); named == 0 || named != status.Outcomes["bypass"]+status.Bypasses["result_too_large"] {
			t.Errorf("%d reasons for %d bypasses and %d large results", named, status.Outcomes["bypass"], status.Bypasses["result_too_large"])
		}
	}
}

// bypasses returns the sums of pgrecall_bypass_total with and without a reason that has a name.
func bypasses(t *testing.T, registry *prometheus.Registry) (named, unnamed int64) {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "pgrecall_bypass_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == "unnamed" {
				unnamed += int64(m.GetCounter().GetValue())
			} else {
				named += int64(m.GetCounter().GetValue())
			}
		}
	}
	return named, unnamed
}
