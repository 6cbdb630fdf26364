package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// drawing makes the units that one reader sends in one round.
type drawing struct {
	dice
	world *world
	wild  bool
	super bool // the user is a superuser
	// pipelined tells that pgrecall gets the batch that is being made at once.
	pipelined bool
	common    *rand.Zipf
	exotic    *rand.Zipf
	prepared  []named
	made      int // statements prepared so far, for their names
	away      int // units until the session's settings go back to the defaults; 0 when they are these
}

// named is a prepared statement of the session.
type named struct {
	name       string
	text       string
	parameters int
	typed      bool
}

func newDrawing(d dice, w *world, wild, super bool) *drawing {
	zipf := func(n int) *rand.Zipf { return rand.NewZipf(d.Rand, 2.2, 3, uint64(n-1)) }
	return &drawing{dice: d, world: w, wild: wild, super: super, common: zipf(len(w.common)), exotic: zipf(len(w.exotic))}
}

// forget says that the session is a new one.
func (g *drawing) forget() { g.prepared, g.away = nil, 0 }

// read returns the template of a read. What may be cached is asked for more often.
func (g *drawing) read() string {
	if g.wild && g.oneIn(25) {
		return g.pick(failing)
	}
	if !g.wild && g.oneIn(14) || g.wild && g.oneIn(6) {
		return g.world.exotic[g.exotic.Uint64()]
	}
	return g.world.common[g.common.Uint64()]
}

// next returns what the reader does next.
func (g *drawing) next() unit {
	often := 200
	if g.wild {
		often = 15
	}
	if g.away > 0 {
		if g.away--; g.away == 0 {
			g.prepared = nil
			u := simples("control", "RESET SESSION AUTHORIZATION", g.pick([]string{"DISCARD ALL", "DISCARD ALL", "RESET ALL; RESET ROLE; DEALLOCATE ALL; DISCARD TEMP"}))
			u.control = true
			return u
		}
	}
	if g.oneIn(often) {
		if g.away == 0 {
			g.away = 1 + g.IntN(often/2)
		}
		u := g.change()
		if text := u.cycles[0].text; strings.Contains(text, "DISCARD ALL") || strings.Contains(text, "DEALLOCATE ALL") {
			if !g.wild || g.oneIn(2) { // else it asks for what is gone
				g.prepared = nil
			}
		}
		return u
	}
	switch n := g.IntN(100); {
	case n == 0 && (g.wild || g.oneIn(3)):
		return g.implicit()
	case n < 40, n < 50 && !g.wild:
		return unit{kind: "simple", cycles: []cycle{simpleRead(g.fill(g.read()))}}
	case n < 65, n < 75 && !g.wild:
		return g.unnamed(g.read(), g.wild || !g.pipelined)
	case n < 94 && !g.wild, n < 85:
		return g.namedRead()
	case n < 98 && !g.wild, n < 96:
		return g.block()
	case n < 99 && !g.wild, n < 98:
		return g.pair(g.read(), g.read())
	}
	c := simple(g.fill(g.read()) + "; " + g.fill(g.read()))
	c.reads = 2
	return unit{kind: "several", cycles: []cycle{c}}
}

// namedRead executes a prepared statement, or prepares one.
func (g *drawing) namedRead() unit {
	if len(g.prepared) < 4 || len(g.prepared) < 30 && g.oneIn(20) {
		return g.prepare(g.read())
	}
	return g.named(g.prepared[g.IntN(1+g.IntN(len(g.prepared)))])
}

// prepare makes a prepared statement.
func (g *drawing) prepare(template string) unit {
	g.made++
	s := named{name: fmt.Sprintf("s%d", g.made), typed: typed(template)}
	p, n := parse(s.name, template, s.typed)
	s.text, s.parameters = p.Query, n
	g.prepared = append(g.prepared, s)
	messages := []pg.FrontendMessage{p}
	if g.oneIn(2) {
		messages = append(messages, &pg.Describe{ObjectType: 'S', Name: s.name})
	}
	return unit{kind: "prepare", control: true, cycles: []cycle{{text: "Parse " + s.name + ": " + s.text, packet: encode(append(messages, &pg.Sync{})...)}}}
}

// named executes a prepared statement.
func (d dice) named(s named) unit {
	b := d.bind(s.name, "", s.parameters, s.typed)
	return unit{kind: "named", cycles: []cycle{{text: "Bind, Execute " + b.show + " " + s.text, packet: encode(append(d.execution(b), &pg.Sync{})...), reads: 1}}}
}

// inBlock returns one or two cycles of a read that leaves nothing behind.
func (g *drawing) inBlock() []cycle {
	if g.oneIn(2) {
		return []cycle{simpleRead(g.fill(g.read()))}
	}
	return g.unnamed(g.read(), g.wild || !g.pipelined).cycles
}

// implicit changes a setting for the time of a cycle: what comes before its Sync is one transaction.
func (g *drawing) implicit() unit {
	template := g.pick(guarded[:11])
	set, n := parse("", template, typed(template))
	b := g.bind("", "", n, false)
	first := "SELECT set_config('app.tenant', '1', true)"
	if g.wild {
		first = g.pick([]string{"SET LOCAL app.tenant = '2'", "BEGIN", "SET LOCAL ROLE soak_tenant_1", "SELECT app.become_locally(2)"})
	}
	messages := []pg.FrontendMessage{&pg.Parse{Query: first}, &pg.Bind{}, &pg.Execute{}, set}
	messages = append(messages, g.execution(b)...)
	if g.oneIn(3) {
		messages = append(messages, &pg.Parse{Query: "SELECT 1 / 0"}, &pg.Bind{}, &pg.Execute{})
	}
	u := unit{kind: "implicit", cycles: []cycle{{text: "one cycle: setting, " + set.Query + " " + b.show, packet: encode(append(messages, &pg.Sync{})...), reads: 1}}}
	u.cycles = append(u.cycles, simple("ROLLBACK"), simpleRead(g.fill(template)))
	return u
}

// local are settings for the time of a block.
var local = []string{
	"SET LOCAL app.tenant = '1'", "SET LOCAL app.tenant = '2'", "SET LOCAL app.tenant = '0'", "SELECT set_config('app.tenant', '2', true)", "SET LOCAL ROLE soak_tenant_1",
	"SET LOCAL ROLE soak_reader", "SELECT app.become_locally(1)", "SET app.tenant = '1'", "RESET app.tenant", "SET LOCAL app.tenant TO DEFAULT", "SET CONSTRAINTS ALL IMMEDIATE", "SET LOCAL TimeZone = 'Asia/Tokyo'", "SET LOCAL DateStyle = 'German'", "SET LOCAL search_path = alt, app", "SELECT set_config('TimeZone', 'Europe/Berlin', true)",
}

// local returns a setting; one that the user may not make fails the block, which is for wild rounds.
func (g *drawing) local() string {
	for {
		if text := g.pick(local); g.wild || (g.super || !strings.Contains(text, "ROLE")) && !strings.Contains(text, "become") {
			return text
		}
	}
}

// block reads in a transaction block, with settings that end with it or earlier.
func (g *drawing) block() unit {
	u := unit{kind: "block"}
	add := func(texts ...string) {
		for _, text := range texts {
			u.cycles = append(u.cycles, simple(text))
		}
	}
	reads := func(n int) {
		for range 1 + g.IntN(n) {
			u.cycles = append(u.cycles, g.inBlock()...)
		}
	}
	kind := g.IntN(12)
	if g.pipelined && !g.wild {
		kind = 0 // no settings whose answers nobody waits for
	}
	switch kind {
	case 0, 1, 2, 3:
		add(g.pick([]string{"BEGIN", "BEGIN", "START TRANSACTION", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED"}))
		reads(4)
	case 4, 5, 6: // as a web application with tenants does
		u.kind = "tenant"
		add("BEGIN", fmt.Sprintf(g.pick([]string{"SET LOCAL app.tenant = '%d'", "SELECT set_config('app.tenant', '%d', true)"}), g.IntN(3)))
		u.cycles = append(u.cycles, simpleRead(g.fill(guarded[g.IntN(11)])))
		reads(2)
	case 7:
		u.kind = "local"
		add("BEGIN", g.local())
		reads(2)
		add(g.local())
		reads(2)
	case 8:
		u.kind = "savepoint"
		add("BEGIN")
		reads(1)
		add("SAVEPOINT a", g.local(), g.local())
		reads(2)
		add(g.pick([]string{"ROLLBACK TO a", "ROLLBACK TO SAVEPOINT a", "RELEASE a"}))
		reads(2)
	case 9:
		u.kind = "isolated"
		add(g.pick([]string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"}))
		reads(3)
	case 10:
		u.kind = "cursor"
		add("BEGIN", "DECLARE c CURSOR FOR "+g.fill(g.read()), "FETCH 2 FROM c")
		reads(1)
		add("FETCH ALL FROM c")
	case 11:
		u.kind = "failed"
		add("BEGIN")
		reads(1)
		add("SELECT 1 / 0")
		u.cycles = append(u.cycles, simpleRead(g.fill(g.read())))
	}
	add(g.pick([]string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "END"}))
	return u
}

// costly are words of changes that are rare in calm rounds: pgrecall takes them for something that may do anything.
var costly = []string{"TEMP VIEW", "DROP TABLE", "EXECUTE", "DO $$", "conforming", "path = ''", "become", "LOAD", "ALTER SYSTEM"}

// changes are what a session does to itself.
var changes = []string{
	"SET TimeZone = 'Europe/Berlin'", "SET TimeZone = 'America/New_York'", "SET DateStyle = 'German'", "SET DateStyle = 'SQL, DMY'", "SET IntervalStyle = 'iso_8601'",
	"SET extra_float_digits = 0", "SET bytea_output = 'escape'", "SET search_path = alt, app", "SET search_path = front, app", `SET search_path = "$user", public, app`,
	"SET search_path = app, pg_catalog", "SET ROLE soak_reader", "SET ROLE soak_tenant_1", "SET ROLE soak_tenant_2", "SET ROLE soak_owner", "SET ROLE NONE",
	"SET SESSION AUTHORIZATION soak_reader", "SET SESSION AUTHORIZATION soak_tenant_2", "SET app.tenant = '1'", "SET app.tenant = '2'", "SET app.tenant = ''", "RESET app.tenant",
	"SELECT set_config('app.tenant', '0', false)", "SELECT set_config('search_path', 'alt, app', false)", "BEGIN; SET TimeZone = 'UTC'; ROLLBACK", "BEGIN; SET DateStyle = 'German'; COMMIT",
	"SET standard_conforming_strings = off", "SET transform_null_equals = on", "SET lc_monetary = 'C'", "SET default_text_search_config = 'pg_catalog.simple'", "SET row_security = off",
	"SET client_encoding = 'LATIN1'", "SET default_transaction_isolation = 'repeatable read'", "SET default_transaction_read_only = on", "RESET ALL", "SET pgrecall.cache = off",
	"PREPARE q AS SELECT * FROM app.junk ORDER BY id", "EXECUTE q", "DEALLOCATE ALL", "DISCARD PLANS", "DISCARD ALL", "SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan",
	"DO $$ BEGIN PERFORM set_config('app.tenant', '1', false); END $$", "SET xmlbinary = hex", "SET array_nulls = off", "SET quote_all_identifiers = on",
	"SET search_path = ''", "SET NAMES 'LATIN1'", "SET SCHEMA 'alt'", "SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE", "SET TIME ZONE LOCAL", "SET SESSION ROLE soak_reader", "RESET ROLE",
	"SELECT set_config('role', 'soak_tenant_1', false)", "SELECT set_config(lower('TIMEZONE'), 'Asia/Tokyo', false)", "SELECT set_config('app.' || 'tenant', '2', false)", "SELECT app.become(2)", "SELECT app.become(1)",
	"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET LOCAL app.tenant = '1'", "SET app.tenant TO DEFAULT", "SELECT set_config('app.tenant', NULL, false)",
	"SET TimeZone = 'UTC'; SET DateStyle = 'German'; SELECT 1 / 0", "BEGIN; SET app.tenant = '2'; SAVEPOINT a; SET app.tenant = '1'; ROLLBACK TO a; COMMIT", "BEGIN; SAVEPOINT a; SET app.tenant = '1'; RELEASE a; COMMIT",
	"BEGIN; SET LOCAL app.tenant = '1'; SET app.tenant = '2'; COMMIT", "BEGIN; SET app.tenant = '2'; SET LOCAL app.tenant = '1'; COMMIT", "BEGIN; SET ROLE soak_reader; SAVEPOINT a; SET ROLE soak_tenant_1; ROLLBACK TO a; COMMIT",
	"BEGIN; SET app.tenant = '1'; SELECT 1 / 0; COMMIT", "BEGIN; SET app.tenant = '1'; PREPARE TRANSACTION 'never'; ROLLBACK", "BEGIN; SET LOCAL TimeZone = 'UTC'; COMMIT AND CHAIN; COMMIT", "SET app.tenant = '1'; ROLLBACK", "SET app.tenant = '2'; COMMIT",
	"SET app.other = 'x'", "SET \"app.Tenant\" = '1'", "SET App.TENANT = '2'", "ALTER SYSTEM RESET nothing.at_all", "SET TRANSACTION READ ONLY", "LOAD 'plpgsql'", "CALL app.become_p(1)", "EXPLAIN ANALYZE SELECT app.become(2)",
	"WITH w AS (SELECT set_config('app.tenant', '1', false)) SELECT * FROM w", "SELECT set_config(n, v, false) FROM (VALUES ('app.tenant', '2'), ('DateStyle', 'German')) x(n, v)", "SELECT set_config('app.tenant', '1', false) WHERE false",
}

// temporary are temporary objects that shadow others.
var temporary = []string{
	"CREATE TEMP TABLE junk AS SELECT 77 AS id, 78 AS v", "CREATE TEMP TABLE IF NOT EXISTS t1 AS SELECT 1 AS id, 1 AS parent, 1 AS tenant, 1 AS v, 'temp' AS name",
	"CREATE TEMP VIEW simple AS SELECT 5 AS id, 5 AS v", "CREATE TEMP TABLE counters (name text, n int) ON COMMIT DELETE ROWS", "DROP TABLE IF EXISTS pg_temp.junk",
	"DROP TABLE IF EXISTS pg_temp.t1", "DISCARD TEMP", "CREATE TEMP SEQUENCE numbers", "BEGIN; CREATE TEMP TABLE events (id int, tenant int, v int, name text) ON COMMIT DROP; SELECT * FROM events; COMMIT",
	"BEGIN; CREATE TEMP TABLE junk (id int, v int); ROLLBACK", "SELECT 1 AS id, 2 AS v INTO TEMP t2",
}

// change returns a control unit.
func (g *drawing) change() unit {
	var u unit
	temporaries := 30
	if g.wild {
		temporaries = 5
	}
	switch {
	case g.oneIn(temporaries):
		u = simples("temporary", g.pick(temporary))
		u.private = true
	case g.oneIn(8):
		p := &pg.Parse{Query: g.pick(changes)}
		u = unit{kind: "control", cycles: []cycle{{text: "Parse, Bind, Execute " + p.Query, packet: encode(p, &pg.Bind{}, &pg.Execute{}, &pg.Sync{})}}}
	default:
		u = simples("control", g.pick(changes))
	}
	u.control = true
	if !g.wild && slices.ContainsFunc(costly, func(word string) bool { return strings.Contains(u.cycles[0].text, word) }) && !g.oneIn(20) {
		return g.change()
	}
	return u
}
