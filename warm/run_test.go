package warm_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/warm"
)

const goods = `CREATE TABLE goods (id int PRIMARY KEY, name text); INSERT INTO goods SELECT i, 'n' || i FROM generate_series(1, 100) i`

func TestWhatIsWarmedIsAHit(t *testing.T) {
	r := start(t, shared(t), nil, goods)
	list := items(t, "SELECT name FROM goods WHERE id = 7;\n/* pgrecall: ttl=50s */ select count(*)::text from goods")
	list = append(list, items(t, `{"sql": "SELECT name FROM goods WHERE id = $1", "params": ["8"], "param_types": [23]}
		{"sql": "SELECT name FROM goods WHERE id = $1", "params": [{"base64": "AAAACQ=="}], "param_formats": [1], "result_formats": [0]}`)...)
	report, err := r.warm(warm.Options{}, list)
	if err != nil || report.Loaded != 4 || report.Done() != 4 {
		t.Fatalf("%+v, %v", report, err)
	}
	simple := r.connect(r.dsn("default_query_exec_mode=simple_protocol"))
	if n := r.hits(func() {
		if got := text(t, simple, "SELECT name FROM goods WHERE id = 7"); got != "n7" {
			t.Errorf("got %q", got)
		}
		text(t, simple, "SELECT count(*)::text FROM goods")
	}); n != 2 {
		t.Errorf("%d of 2 simple queries are hits", n)
	}
	// A driver that prepares: Parse, Describe and Sync, then Bind and Execute with its formats.
	prepared := r.connect(r.dsn("default_query_exec_mode=describe_exec"))
	misses := r.Status().Outcomes["miss"]
	if n := r.hits(func() { text(t, prepared, "SELECT name FROM goods WHERE id = $1", 9) }); n != 1 {
		t.Errorf("the extended query is no hit: %d, %d misses", n, r.Status().Outcomes["miss"]-misses)
	}
	if report, err = r.warm(warm.Options{}, list); err != nil || report.Present != 4 || report.Loaded != 0 {
		t.Errorf("again: %+v, %v", report, err)
	}
	// Another session's settings, another key.
	other := r.connect(r.dsn("default_query_exec_mode=simple_protocol", "TimeZone=Asia/Tokyo"))
	if n := r.hits(func() { text(t, other, "SELECT name FROM goods WHERE id = 7") }); n != 0 {
		t.Error("another TimeZone is a hit")
	}
	if report, err = r.warm(warm.Options{}, list, "TimeZone=Europe/Lisbon"); err != nil || report.Loaded != 4 {
		t.Errorf("with a setting: %+v, %v", report, err)
	}
}

// TestOnlyReadsAreSent: whatever stands in a file, nothing but what the analysis takes for a cacheable read reaches PostgreSQL.
func TestOnlyReadsAreSent(t *testing.T) {
	r := start(t, shared(t), nil, goods, `CREATE SEQUENCE s`, `CREATE TABLE log (id int)`,
		`CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (1); RETURN 1; END$$`,
		`CREATE TABLE ledger (id int)`)
	dangerous := `INSERT INTO log VALUES (1);
		SELECT nextval('s') FROM goods;
		SELECT nextval('s');
		SELECT setval('s', 99);
		SELECT name FROM goods WHERE id = 1 FOR UPDATE;
		SELECT writes() FROM goods;
		DO $$BEGIN INSERT INTO log VALUES (2); END$$;
		EXPLAIN ANALYZE INSERT INTO log VALUES (3);
		EXPLAIN ANALYZE SELECT name FROM goods;
		WITH w AS (INSERT INTO log VALUES (4) RETURNING id) SELECT * FROM w;
		SELECT id INTO made FROM goods;
		CREATE TABLE made (id int);
		UPDATE goods SET name = 'x';
		DELETE FROM goods;
		TRUNCATE goods;
		COPY goods TO STDOUT;
		COPY log FROM STDIN;
		CALL writes();
		BEGIN; COMMIT; SET TimeZone = 'UTC';
		SELECT pg_notify('c', 'x');
		SELECT pg_advisory_lock(1);
		SELECT set_config('app.x', '1', false);
		SELECT now(), id FROM goods;
		SELECT name FROM goods WHERE id = 2 /* pgrecall: off */;
		SELECT id FROM ledger;
		SELECT nothing FROM nowhere;
		\d goods;
		not SQL at all`
	list := items(t, dangerous)
	list = append(list, items(t, `{"sql": "SELECT name FROM goods; INSERT INTO log VALUES (5)"}
		{"sql": "INSERT INTO log VALUES ($1)", "params": [6]}
		{"sql": ";"}`)...)
	never := cachepolicy.Rule{Cache: cachepolicy.CacheNever, Match: cachepolicy.Match{Tables: []string{"ledger"}}}
	heard := r.Status().Outcomes
	report, err := r.warm(warm.Options{Policy: policy(t, never)}, list)
	if err != nil || report.Skipped != len(list) || report.Loaded+report.Errors != 0 {
		t.Errorf("%v, %+v", err, report)
	}
	for _, q := range report.Queries {
		if q.Reason == "" {
			t.Errorf("no reason for %s", q.Place)
		}
	}
	if now := r.Status().Outcomes; now["write"] != heard["write"] || now["miss"] != heard["miss"] {
		t.Errorf("something was sent: %v", now)
	}
	direct := r.connect(r.upstream)
	for sql, want := range map[string]string{
		"SELECT count(*)::text FROM log": "0", "SELECT is_called::text FROM s": "false", "SELECT count(*)::text FROM goods": "100",
		"SELECT (to_regclass('made') IS NULL)::text": "true", "SELECT name FROM goods WHERE id = 1": "n1",
	} {
		if got := text(t, direct, sql); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// TestAReadThatWritesIsRefusedByPostgreSQL: the transaction is read-only, whatever the analysis was made to believe.
func TestAReadThatWritesIsRefusedByPostgreSQL(t *testing.T) {
	p := &cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20, Declared: &catalog.Declarations{Functions: []catalog.FunctionDeclaration{
		{Name: "public.lies", Effects: catalog.EffectsNone, Reads: []string{"public.goods"}, Cache: true},
	}}}
	if err := p.Compile(); err != nil {
		t.Fatal(err)
	}
	r := start(t, shared(t), func(o *proxy.Options) { o.Policy = p }, goods, `CREATE TABLE log (id int)`, `CREATE SEQUENCE s`,
		`CREATE FUNCTION immutable() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT nextval(''s'')::int'`,
		`CREATE FUNCTION lies() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (1); RETURN 1; END$$`)
	list := append(items(t, "SELECT lies(), id FROM goods; SELECT immutable(), id FROM goods"), items(t, `{"sql": "SELECT lies(), id FROM goods", "protocol": "extended"}`)...)
	report, err := r.warm(warm.Options{Policy: p}, list)
	if err != nil || report.Errors != 3 || report.Reasons["SQLSTATE 25006"] != 3 {
		t.Errorf("%v %+v", err, report)
	}
	if n := text(t, r.connect(r.upstream), "SELECT count(*) || ' ' || (SELECT is_called FROM s) FROM log"); n != "0 false" {
		t.Errorf("something was written: %s", n)
	}
}

func TestErrorsInARowEndTheRun(t *testing.T) {
	r := start(t, shared(t), nil, goods)
	list := items(t, strings.Repeat("SELECT 1/(id-1) FROM goods WHERE id = 1;\n", 5)+"SELECT name FROM goods WHERE id = 3;"+strings.Repeat("SELECT 2/(id-1) FROM goods WHERE id = 1;\n", 50))
	report, err := r.warm(warm.Options{MaxErrors: 6, Concurrency: 1}, list)
	if err == nil || !strings.Contains(err.Error(), "gave up after 6 errors in a row, the last: SQLSTATE 22012") || report.Stopped != err.Error() {
		t.Errorf("%v", err)
	}
	if report.Errors != 11 || report.Loaded != 1 || report.Reasons["SQLSTATE 22012"] != 11 {
		t.Errorf("%+v", report)
	}
}

func TestStatementsAreBounded(t *testing.T) {
	r := start(t, shared(t), nil, goods)
	begun := time.Now()
	report, err := r.warm(warm.Options{Timeout: 100 * time.Millisecond}, items(t, "SELECT count(*) FROM goods a, goods b, goods c, goods d, goods e"))
	if err != nil || report.Errors != 1 || report.Queries[0].Reason != "57014: canceling statement due to statement timeout" {
		t.Errorf("%v %+v", err, report)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestConcurrencyIsBounded holds the statements up with a lock and counts them.
func TestConcurrencyIsBounded(t *testing.T) {
	r := start(t, shared(t), nil, goods, `CREATE TABLE other AS SELECT * FROM goods`)
	direct := r.connect(r.upstream)
	locked, err := direct.Begin(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(bounded(t), "LOCK TABLE goods"); err != nil {
		t.Fatal(err)
	}
	var sql strings.Builder
	for i := range 20 {
		sql.WriteString("SELECT name FROM goods WHERE id = " + string(rune('0'+i%10)) + " OR id = " + string(rune('0'+i/10)) + ";")
	}
	done := make(chan error, 1)
	go func() {
		report, err := r.warm(warm.Options{Concurrency: 3}, items(t, sql.String()))
		if err == nil && report.Loaded+report.Present != 20 {
			err = errors.New("not all were loaded")
		}
		done <- err
	}()
	watcher := r.connect(r.upstream)
	waiting := func() string {
		return text(t, watcher, "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
	}
	eventually(t, "three wait", func() bool { return waiting() == "3" })
	for range 50 {
		if n := waiting(); n != "3" {
			t.Fatalf("%s wait at a time", n)
		}
	}
	if err := locked.Rollback(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDryRunsAskForNothing(t *testing.T) {
	r := start(t, shared(t), nil, goods)
	report, err := r.warm(warm.Options{DryRun: true}, items(t, "SELECT name FROM goods; INSERT INTO goods VALUES (0)"))
	if err != nil || report.Eligible != 1 || report.Skipped != 1 || report.Loaded != 0 {
		t.Errorf("%v %+v", err, report)
	}
	if n := r.Status().Outcomes["miss"]; n != 0 {
		t.Errorf("%d misses", n)
	}
}

func TestTheTargetMustBeAPgrecall(t *testing.T) {
	r := start(t, shared(t), nil, goods)
	if _, err := r.warm(warm.Options{Target: parse(t, r.upstream)}, items(t, "SELECT name FROM goods")); !errors.Is(err, warm.ErrNotPgrecall) {
		t.Errorf("straight at PostgreSQL: %v", err)
	}
	if _, err := r.warm(warm.Options{Target: parse(t, "postgres://nobody_here@"+r.address+"/x?sslmode=disable")}, nil); err == nil {
		t.Error("a role that does not exist")
	}
}

func TestShadowModeIsWarmedToo(t *testing.T) {
	r := start(t, shared(t), func(o *proxy.Options) { o.CacheMode = "shadow" }, goods)
	report, err := r.warm(warm.Options{}, items(t, "SELECT name FROM goods"))
	if err != nil || report.Loaded != 1 {
		t.Errorf("%v %+v", err, report)
	}
}
