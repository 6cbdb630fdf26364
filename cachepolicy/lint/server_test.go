package lint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy/lint"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// counted ends what the connection's backend has counted and not told, so that the next transaction sees it.
const counted = "SELECT pg_stat_force_next_flush()"

func TestTraffic(t *testing.T) {
	f := newFixture(t, pgtest.Shared(t).NewDatabase(t), `
CREATE TABLE feed (id int); CREATE TABLE busy (id int); CREATE TABLE quiet (id int); CREATE TABLE old (id int); CREATE TABLE barred (id int);
CREATE TABLE days (id int) PARTITION BY RANGE (id);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (700);
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (700) TO (2000);`)
	f.exec(t, "SELECT pg_stat_reset()")
	f.exec(t, `
INSERT INTO feed SELECT generate_series(1, 1500); INSERT INTO old SELECT generate_series(1, 1500); INSERT INTO barred SELECT generate_series(1, 1500);
INSERT INTO days SELECT generate_series(1, 1300);
INSERT INTO quiet SELECT generate_series(1, 900);
DO 'BEGIN FOR i IN 1..1200 LOOP INSERT INTO busy VALUES (1); PERFORM FROM busy LIMIT 1; PERFORM FROM busy LIMIT 1; END LOOP; END'`)
	f.exec(t, counted)
	in := f.input(t, `rules: [{match: {tables: [old]}, consistency: ttl}, {match: {tables: [barred]}, cache: never}, {match: {tables: [feed]}, ttl: 5s}]`)
	if in.Server.Since.IsZero() {
		t.Fatal("the server does not say since when it counts")
	}
	since := in.Server.Since.UTC().Format("2006-01-02T15:04:05Z")
	expect(t, in,
		`warning written rules[2] public.feed: public.feed is written more than read: 1500 rows written, 0 scans since `+since+` (pg_stat_user_tables; loads in bulk count each row); a rule with cache: never, **`,
		`warning written public.days: public.days is written more than read: 1300 rows written, 0 scans **`)
}

// TestSubscription has a subscription in one database of a table in another one.
func TestSubscription(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithConfig("wal_level = logical"))
	publisher, dsn := server.NewDatabase(t), server.NewDatabase(t)
	from := newFixture(t, publisher, `CREATE TABLE news (id int); CREATE PUBLICATION p FOR ALL TABLES`)
	from.exec(t, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
	config, err := pgx.ParseConfig(publisher)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, dsn, `CREATE TABLE news (id int)`)
	f.exec(t, `CREATE SUBSCRIPTION s CONNECTION 'host=`+server.SocketDir()+` port=`+server.Address()[len("127.0.0.1:"):]+` user=postgres dbname=`+config.Database+`' PUBLICATION p
		WITH (create_slot = false, enabled = false)`)
	in := f.input(t, "cache: {default_ttl: 20s}")
	expect(t, in, `warning replicated public.news: public.news is written by a subscription (logical replication), past pgrecall: answers may be 20s old though consistency is strict; **`)
	expect(t, f.input(t, `rules: [{match: {tables: [news]}, ttl: 5s, consistency: session}]`), `warning replicated rules[0] public.news: ** may be 5s old though consistency is session; **`)
	expect(t, f.input(t, `rules: [{match: {tables: [news]}, ttl: 5s, consistency: ttl}]`))
	f.exec(t, "ALTER SUBSCRIPTION s SET (slot_name = NONE)")
	f.exec(t, "DROP SUBSCRIPTION s")
	from.exec(t, "SELECT pg_drop_replication_slot('s')")
}

func TestStandby(t *testing.T) {
	server := pgtest.Start(t)
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(server.DataDir(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, server.DSN("postgres"), "")
	expect(t, f.input(t, ""), `error upstream upstream: the upstream is a standby: all writes come past pgrecall, **; name the primary`)
}

func TestRights(t *testing.T) {
	server := pgtest.Start(t)
	f := newFixture(t, server.DSN("postgres"), "CREATE ROLE reader LOGIN")
	f.exec(t, "CREATE DATABASE closed")
	f.exec(t, "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
	reader := newFixture(t, server.DSNAs("reader", "postgres"), "")
	const closed = `warning rights upstream: the account reader may not connect to database closed: nothing is cached there; GRANT CONNECT ON DATABASE closed TO reader, **`
	expect(t, reader.input(t, ""), closed)

	f.exec(t, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	in := reader.input(t, "")
	expect(t, in, closed)
	in.Fleet = true
	expect(t, in, `error rights upstream: the account reader may not call pg_control_system, **; GRANT EXECUTE ON FUNCTION pg_control_system() TO reader`, closed)

	f.exec(t, "REVOKE SELECT ON pg_subscription_rel FROM PUBLIC")
	expect(t, reader.input(t, ""), `warning rights upstream: the account reader lacks a right, so that a part was not checked: permission denied for table pg_subscription_rel; grant it to reader`, closed)

	f.exec(t, "REVOKE SELECT ON pg_policy FROM PUBLIC")
	_, err := catalog.Load(t.Context(), reader.conn)
	finding, ok := lint.Denied(err, "reader")
	if want := "error rights upstream: the account reader can't read the catalog, so nothing is cached: permission denied for table pg_policy; grant it to reader, as PUBLIC has it by default"; !ok || line(&finding, "DB") != want {
		t.Errorf("%v: got %s", err, line(&finding, "DB"))
	}
	if _, ok := lint.Denied(t.Context().Err(), "reader"); ok {
		t.Error("no error is a missing right")
	}
}

// TestOtherDatabases makes what is not in this database a warning where it may be in another.
func TestOtherDatabases(t *testing.T) {
	server := pgtest.Start(t)
	f := newFixture(t, server.DSN("postgres"), `CREATE DATABASE app`)
	expect(t, f.input(t, "{rules: [{match: {tables: [orders]}, ttl: 5s}, {match: {tables: [orders], database: postgres}, ttl: 5s}], functions: [{name: put, effects: none}]}"),
		`warning no_function functions[0].name: **; nothing, if it is in another database (app)`,
		`warning no_table rules[0].match.tables[0]: **; if it is in another database (app), say so with match.database`,
		`error no_table rules[1].match.tables[0]: **`)
}

func TestLoginTrigger(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithVersion("17"))
	f := newFixture(t, server.NewDatabase(t), `CREATE TABLE t (id int); CREATE TABLE logins (at timestamptz);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT 1''; END'; CREATE EVENT TRIGGER note ON login EXECUTE FUNCTION note()`)
	expect(t, f.input(t, "rules: [{match: {tables: [t]}, ttl: 5s}]"), `error nothing_cached public.note: nothing of this database is cached: an event trigger runs at each login and may change anything: **; declare it under functions: {name: public.note, **`)
	expect(t, f.input(t, "functions: [{name: note, writes: [logins]}]"))
}

// TestEveryVersion asks each version that is supported.
func TestEveryVersion(t *testing.T) {
	for _, version := range []string{"13", "14", "16", "17", "18"} {
		t.Run(version, func(t *testing.T) {
			server := pgtest.Start(t, pgtest.WithVersion(version))
			f := newFixture(t, server.DSN("postgres"), shop+opaqueTrigger)
			expect(t, f.input(t, "rules: [{match: {tables: [order]}, ttl: 5s}]"),
				`error no_table rules[0].match.tables[0]: **; did you mean public.orders, public.open_orders?`,
				`warning whole_database public.orders: INSERT of public.orders **`)
		})
	}
}
