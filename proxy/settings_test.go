package proxy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestRoleThatIsRefused: SET ROLE that succeeded once says nothing of the next time. A membership is taken away where pgrecall does not see it.
func TestRoleThatIsRefused(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.CatalogInterval = time.Hour },
		"CREATE TABLE secret (id int)", "INSERT INTO secret VALUES (1)", "DROP ROLE IF EXISTS refused_asker, refused_owner", "CREATE ROLE refused_asker NOINHERIT", "CREATE ROLE refused_owner",
		"GRANT refused_owner TO refused_asker", "GRANT SELECT ON secret TO refused_owner")
	c, past := r.connect("default_query_exec_mode=simple_protocol"), r.direct()
	mustExec(t, c, "SET SESSION AUTHORIZATION refused_asker")
	for range 3 {
		mustExec(t, c, "SET ROLE refused_owner")
		value(t, c, "SELECT id FROM secret")
		value(t, c, "SELECT id FROM secret")
		mustExec(t, c, "SET ROLE none")
		if _, err := c.Exec(bounded(t), "SELECT id FROM secret"); err == nil {
			t.Fatal("no error without the role")
		}
	}
	if r.hits() < 4 {
		t.Errorf("%d hits", r.hits())
	}
	mustExec(t, past, "REVOKE refused_owner FROM refused_asker")
	for range 2 {
		if _, err := c.Exec(bounded(t), "SET ROLE refused_owner"); err == nil {
			t.Fatal("SET ROLE was not refused")
		}
		var refused *pgconn.PgError
		if _, err := c.Exec(bounded(t), "SELECT id FROM secret"); !errors.As(err, &refused) || refused.Code != "42501" {
			t.Fatalf("%v, want that permission is denied", err)
		}
	}
	mustExec(t, c, "RESET SESSION AUTHORIZATION")
	mustExec(t, past, "DROP OWNED BY refused_asker, refused_owner")
	mustExec(t, past, "DROP ROLE refused_asker, refused_owner")
}

// TestFollowedSettingsAfterDefinitions: the same SET leads elsewhere once a schema is there.
func TestFollowedSettingsAfterDefinitions(t *testing.T) {
	r := start(t, "CREATE TABLE d (n int)", "INSERT INTO d VALUES (1)")
	c, writer, direct := r.connect("default_query_exec_mode=simple_protocol"), r.connect("default_query_exec_mode=simple_protocol"), r.direct()
	for _, definition := range []string{"SELECT 1", "CREATE SCHEMA later", "CREATE TABLE later.d AS SELECT 2 AS n", "DROP SCHEMA later CASCADE", "SELECT 1"} {
		mustExec(t, c, definition)
		r.waitReady()
		for range 3 {
			for _, set := range []string{"SET search_path = later, public", "SET search_path = public"} {
				mustExec(t, c, set)
				mustExec(t, direct, set)
				for _, write := range []string{"SELECT 1", "SELECT 2", "UPDATE public.d SET n = n + 2", "UPDATE later.d SET n = n + 2"} {
					_, _ = writer.Exec(bounded(t), write) // one of the tables may not be there
					if got, want := value(t, c, "SELECT n FROM d"), value(t, direct, "SELECT n FROM d", pgx.QueryExecModeSimpleProtocol); got != want {
						t.Errorf("after %s, %s, %s: %s, want %s", definition, set, write, got, want)
					}
				}
			}
		}
	}
	if r.hits() < 20 {
		t.Errorf("%d hits; %v", r.hits(), r.Status())
	}
}

// TestSettingsThatOthersReload: nothing but the server's own word tells that a setting has changed.
func TestSettingsThatOthersReload(t *testing.T) {
	r := startOn(t, pgtest.Start(t).DSN("postgres"), func(o *proxy.Options) { o.CatalogInterval = time.Hour }, `CREATE TABLE item AS SELECT timestamptz '2026-01-01 00:00+00' AS at`)
	c, past := r.connect("default_query_exec_mode=simple_protocol"), r.direct()
	const read = "SELECT at::text FROM item"
	value(t, c, read)
	if got := r.counts(c, 3, read); got != 3 {
		t.Fatalf("%d hits, want 3", got)
	}
	mustExec(t, past, "ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'")
	mustExec(t, past, "SELECT pg_reload_conf()")
	eventually(t, "the new TimeZone has reached the session", func() bool { return value(t, c, "SHOW TimeZone") == "Asia/Tokyo" })
	for range 3 {
		if got := value(t, c, read); got != "2026-01-01 09:00:00+09" {
			t.Errorf("got %s", got)
		}
	}
}

// TestTemporaryViewThatWrites: what a temporary view calls is not known where the session's state can't be asked for.
func TestTemporaryViewThatWrites(t *testing.T) {
	r := start(t, itemSchema)
	writer, reader := r.connect("default_query_exec_mode=simple_protocol"), r.connect()
	const read = "SELECT count(*)::text FROM audit"
	value(t, reader, read)
	if got := r.counts(reader, 2, read); got != 2 {
		t.Fatalf("%d hits, want 2", got)
	}
	for _, sql := range []string{"BEGIN", "CREATE TEMP VIEW loud AS SELECT sneak() AS x", "SELECT x FROM loud", "COMMIT"} {
		mustExec(t, writer, sql)
	}
	if got, want := value(t, reader, read), value(t, r.direct(), read); got != want {
		t.Errorf("%s rows, want %s", got, want)
	}
}
