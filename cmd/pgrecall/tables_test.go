package main

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestTables: those that were used come first, with the rules that hold; then all others.
func TestTables(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	database := databaseOf(t, dsn)
	if err := server.Exec(t.Context(), database, `CREATE TABLE a_first (id int); CREATE TABLE used (id int); CREATE TABLE zone (id int); CREATE VIEW seen AS SELECT 1 AS one`); err != nil {
		t.Fatal(err)
	}
	var log lines
	i, err := startInstance(t, &log, "--upstream", dsn, "--config", writeFile(t, `
rules:
  - {name: mine, match: {tables: [used], user: nobody}, ttl: 5s}
  - {name: short, match: {tables: [used]}, ttl: 7s}
  - {match: {tables: [zone]}, cache: never}
`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := awaitCatalog(ctx, i, throughProxy(i.upstream.config, i)); err != nil {
		t.Fatal(err)
	}
	client, err := pgx.ConnectConfig(ctx, throughProxy(i.upstream.config, i))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close(context.Background()) }()
	for _, statement := range []string{"SELECT * FROM used", "SELECT * FROM used", "INSERT INTO used VALUES (1)"} {
		if _, err := client.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	list, all := i.Tables(1000)
	byName, names := map[string]admin.RuledTable{}, []string{}
	for _, table := range list {
		byName[table.Name] = table
		if table.Database == database && table.Known {
			names = append(names, table.Name)
		}
	}
	if len(names) != 4 || names[0] != "public.used" || names[1] != "public.a_first" || all != len(list) {
		t.Errorf("%q, %d of %d", names, len(list), all)
	}
	if used := byName["public.used"]; used.Hits != 1 || used.Writes != 1 || used.Invalidations["in_band"] != 1 || used.Rule != "short" || len(used.Partly) != 1 || used.Partly[0] != "mine" ||
		!used.Cached || used.TTLSeconds != 7 || used.Consistency != "strict" {
		t.Errorf("%+v", used)
	}
	if zone := byName["public.zone"]; zone.Cached || zone.Rule != "rules[2]" {
		t.Errorf("%+v", zone)
	}
	if first := byName["public.a_first"]; !first.Cached || first.Rule != "" || first.TTLSeconds != 60 || first.Hits != 0 {
		t.Errorf("%+v", first)
	}
	if one, of := i.Tables(1); len(one) != 1 || of != all {
		t.Errorf("%v of %d", one, of)
	}
	if none, of := i.Tables(0); none == nil || len(none) != 0 || of != all {
		t.Errorf("%v of %d", none, of)
	}
}

// TestStatusOfAFleet: L2 and the other members show, and that L2 is away.
func TestStatusOfAFleet(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	redis := pgtest.StartRedis(t)
	var log lines
	var last *instance
	for range 2 {
		i, err := startInstance(t, &log, "--upstream", dsn, "--redis="+redis.URL())
		if err != nil {
			t.Fatal(err)
		}
		last = i
	}
	await := func(what string, fits func(s admin.Status) bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(patience); !fits(last.Status()); <-tick.C {
			if time.Now().After(deadline) {
				s := last.Status()
				t.Fatalf("never %s: %+v %+v", what, s.L2, s.Fleet)
			}
		}
	}
	await("two members", func(s admin.Status) bool {
		return s.L2 != nil && s.L2.Up && s.L2.LastError == "" && s.Fleet != nil && s.Fleet.Live && s.Fleet.Member && s.Fleet.Members == 2
	})
	if err := redis.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	await("without Redis", func(s admin.Status) bool { return !s.Fleet.Live })
	var alone lines
	i, err := startInstance(t, &alone, "--upstream", dsn)
	if err != nil {
		t.Fatal(err)
	}
	if s := i.Status(); s.L2 != nil || s.Fleet != nil {
		t.Errorf("%+v %+v", s.L2, s.Fleet)
	}
}
