package hunt

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// schema is where random sessions live.
const schema = `
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE parent (id int PRIMARY KEY, name text, m mood, data jsonb, at timestamptz, amount numeric, f float8, v int);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v int);
CREATE TABLE grandchild (id int PRIMARY KEY, child_id int REFERENCES child ON DELETE SET NULL ON UPDATE CASCADE, v int);
CREATE TABLE audit (n int, v int);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.audit SET v = v + 1 WHERE n = 1; RETURN NULL; END $$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION log();
CREATE VIEW joined AS SELECT p.id, p.name, c.v FROM public.parent p JOIN public.child c ON c.parent_id = p.id;
CREATE VIEW simple AS SELECT id, v FROM public.child;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n, sum(v) AS v FROM public.child;
CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (3);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (3) TO (100);
CREATE TABLE base (id int, v int); CREATE TABLE derived () INHERITS (base);
CREATE TABLE ruled (id int, v int); CREATE RULE r AS ON UPDATE TO ruled DO ALSO UPDATE public.base SET v = NEW.v WHERE id = NEW.id;
CREATE SCHEMA other; CREATE TABLE other.parent (id int PRIMARY KEY, name text, v int);
CREATE FUNCTION bump(int) RETURNS int LANGUAGE sql AS $$ UPDATE public.base SET v = v + 1 WHERE id = $1; SELECT $1 $$;
CREATE PROCEDURE bump_all() LANGUAGE sql AS $$ UPDATE public.base SET v = v + 1 $$;
INSERT INTO parent SELECT i, 'name ' || i, 'ok', '{"a": 1}', '2026-01-01 12:00+00', i / 3.0, i / 3.0, i FROM generate_series(1, 5) i;
INSERT INTO other.parent SELECT i, 'other', i FROM generate_series(1, 3) i;
INSERT INTO child SELECT i, i, i FROM generate_series(1, 5) i; INSERT INTO grandchild SELECT i, i, i FROM generate_series(1, 5) i;
INSERT INTO audit VALUES (1, 0); INSERT INTO part SELECT i, i FROM generate_series(1, 5) i;
INSERT INTO base SELECT i, i FROM generate_series(1, 3) i; INSERT INTO derived SELECT i, i FROM generate_series(4, 6) i;
INSERT INTO ruled SELECT i, i FROM generate_series(1, 3) i; REFRESH MATERIALIZED VIEW summary;
DO $$ BEGIN CREATE ROLE hunter; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT ON parent, child TO hunter; GRANT USAGE ON SCHEMA other TO hunter;
`

// reads are queries in which ? stands for a small integer.
var reads = []string{
	"SELECT * FROM parent ORDER BY id", "SELECT * FROM parent WHERE id = ?", "SELECT name, v FROM parent WHERE id IN (?, ?) ORDER BY id",
	"SELECT id, at, f, amount FROM parent WHERE id = ANY (ARRAY[?::int, ?::int]) ORDER BY id", "SELECT id, at::text, f::text FROM parent ORDER BY id LIMIT ?",
	"SELECT p.id, c.v FROM parent p LEFT JOIN child c ON c.parent_id = p.id ORDER BY 1, 2", "SELECT * FROM joined ORDER BY 1, 2, 3",
	"SELECT * FROM simple ORDER BY id", "SELECT * FROM summary", "SELECT * FROM part ORDER BY 1, 2", "SELECT * FROM part_low ORDER BY 1, 2",
	"SELECT * FROM base ORDER BY 1, 2", "SELECT * FROM ONLY base ORDER BY 1, 2", "SELECT * FROM derived ORDER BY 1, 2", "SELECT * FROM ruled ORDER BY 1, 2",
	"SELECT * FROM audit", "SELECT count(*), sum(v), min(m) FROM parent", "WITH w AS (SELECT v FROM child WHERE id < ?) SELECT count(*), max(v) FROM w",
	"SELECT data->>'a', m FROM parent WHERE v > ? ORDER BY id", "SELECT * FROM grandchild ORDER BY id", "SELECT id FROM child WHERE parent_id = ? ORDER BY id",
	`SELECT 'a\n' AS s, v FROM parent WHERE id = ?`, "SELECT '2026-03-04 05:06:07+00'::timestamptz, id FROM parent ORDER BY id LIMIT 1",
	"SELECT id FROM parent WHERE at < '2026-01-01 14:00' ORDER BY id", "SELECT v / (id - ?) FROM parent ORDER BY id", "SELECT * FROM scratch ORDER BY 1",
	"SELECT EXISTS (SELECT FROM child WHERE v = ?)", "SELECT * FROM public.parent WHERE id = ? FOR UPDATE", "TABLE audit", "VALUES (1), (2)",
	"SELECT name FROM parent WHERE id = ? UNION ALL SELECT 'x' ORDER BY 1", "SELECT bump(?)", "SELECT current_setting('TimeZone')", "SELECT current_user",
}

// writes change rows.
var writes = []string{
	"UPDATE parent SET v = v + 1 WHERE id = ?", "UPDATE parent SET at = at + interval '1 hour' WHERE id = ?", "UPDATE parent SET m = 'happy', data = '{\"a\": 2}' WHERE id = ?",
	"DELETE FROM parent WHERE id = ?", "INSERT INTO parent (id, name, v) VALUES (?, 'new', ?) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v",
	"UPDATE parent SET id = id + 10 WHERE id = ?", "UPDATE parent SET id = id - 10 WHERE id = 1? ", "INSERT INTO child VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
	"UPDATE child SET v = ? WHERE id = ?", "DELETE FROM child WHERE id = ?", "INSERT INTO grandchild VALUES (?, ?, ?) ON CONFLICT DO NOTHING", "UPDATE simple SET v = ? WHERE id = ?",
	"UPDATE part SET v = v + 1 WHERE id = ?", "UPDATE part SET id = ? WHERE id = ?", "INSERT INTO part_low VALUES (?, 1)",
	"UPDATE base SET v = ? WHERE id = ?", "UPDATE derived SET v = ? WHERE id = ?", "UPDATE ruled SET v = ? WHERE id = ?", "CALL bump_all()",
	"WITH w AS (UPDATE base SET v = v + 1 WHERE id = ? RETURNING id, v) SELECT * FROM w ORDER BY 1", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE base SET v = 3 WHERE id = 1",
	"UPDATE child SET v = ? WHERE id = ? RETURNING id, v", "DO $$ BEGIN UPDATE public.base SET v = 5; END $$", "TRUNCATE ruled", "INSERT INTO ruled VALUES (?, ?)",
	"MERGE INTO base USING (VALUES (?, ?)) s(i, w) ON id = i WHEN MATCHED THEN UPDATE SET v = w WHEN NOT MATCHED THEN INSERT VALUES (i, w)",
	"UPDATE other.parent SET v = ? WHERE id = ?", "UPDATE child SET v = v / (v - ?)", "DELETE FROM part WHERE id = ?", "COPY ruled TO STDOUT",
}

// settings change what the session is.
var settings = []string{
	"SET TimeZone = 'Europe/Berlin'", "SET TimeZone = 'UTC'", "RESET TimeZone", "SET DateStyle = 'German'", "RESET DateStyle", "SET search_path = other, public",
	"SET search_path = public", "RESET search_path", "SET extra_float_digits = 0", "RESET extra_float_digits", "SET LOCAL TimeZone = 'Asia/Tokyo'", "SET LOCAL search_path = other",
	"SET ROLE hunter", "RESET ROLE", "SET LOCAL ROLE hunter", "SET standard_conforming_strings = off", "RESET standard_conforming_strings", "RESET ALL",
	"SELECT set_config('TimeZone', 'America/New_York', false)", "SELECT set_config('DateStyle', 'SQL', true)", "DISCARD ALL", "DISCARD PLANS", "DISCARD TEMP", "DEALLOCATE ALL",
	"DEALLOCATE s1", "DEALLOCATE s2", "PREPARE s1 AS SELECT * FROM base ORDER BY 1, 2", "EXECUTE s1", "EXECUTE s2", "CREATE TEMP TABLE parent (id int, name text, v int)",
	"CREATE TEMP TABLE scratch AS SELECT 1 AS x", "DROP TABLE IF EXISTS pg_temp.parent", "LISTEN c", "UNLISTEN *", "NOTIFY c, 'hello'", "SHOW TimeZone", "",
	"SET bytea_output = escape", "SET IntervalStyle = iso_8601", "SET default_transaction_isolation = 'repeatable read'", "RESET default_transaction_isolation",
}

// definitions are rare, since they empty the cache.
var definitions = []string{
	"CREATE OR REPLACE VIEW simple AS SELECT id, v FROM public.child WHERE v > 1", "CREATE OR REPLACE VIEW simple AS SELECT id, v FROM public.child",
	"CREATE TABLE IF NOT EXISTS scratch (x int)", "DROP TABLE IF EXISTS public.scratch", "ALTER TABLE grandchild ADD COLUMN IF NOT EXISTS w int DEFAULT 4",
	"ALTER TABLE grandchild DROP COLUMN IF EXISTS w", "REVOKE SELECT ON child FROM hunter", "GRANT SELECT ON child TO hunter", "ALTER TABLE ruled DISABLE RULE r", "ALTER TABLE ruled ENABLE RULE r",
}

var control = []string{
	"BEGIN", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "BEGIN ISOLATION LEVEL REPEATABLE READ",
	"BEGIN READ ONLY", "COMMIT AND CHAIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION ISOLATION LEVEL READ COMMITTED",
}

// generator makes up what sessions do.
type generator struct {
	*rand.Rand
	calm bool // nothing that ends caching for long, so that there are hits to be wrong
}

// wild are words of statements that invalidate everything, or make the catalog be loaded anew.
var wild = []string{"TEMP", "default_transaction", "bump", "DO $$", "EXECUTE", "MERGE", "scratch"}

// loud are words of further statements that do, or that few answers outlive.
var loud = []string{"INTO parent", "UPDATE parent", "DELETE FROM parent", "ruled", "CALL", "EXPLAIN", "ROLE", "RESET ALL", "DISCARD", "SERIALIZABLE", "REPEATABLE"}

func (g generator) pick(of []string) string { return of[g.IntN(len(of))] }

// template returns a statement with its ? still in it. What ends caching for long, for all or for its session, is rare.
func (g generator) template(status byte) string {
	text := g.anything(status)
	for _, word := range wild {
		if strings.Contains(text, word) && (g.calm || g.IntN(8) > 0) {
			return g.pick(reads[:4])
		}
	}
	for _, word := range loud {
		if g.calm && strings.Contains(text, word) {
			return g.pick(reads[4:9])
		}
	}
	return text
}

func (g generator) anything(status byte) string {
	n := g.IntN(100)
	switch {
	case status == 'E' && n < 85:
		return g.pick([]string{"ROLLBACK", "ROLLBACK", "COMMIT", "ROLLBACK TO a"})
	case status == 'T' && n < 40:
		return g.pick([]string{"COMMIT", "COMMIT", "ROLLBACK"})
	case g.calm && n < 75:
		return g.pick(reads[:5]) // met again and again
	case n < 70:
		return g.pick(reads[:12])
	case n < 80:
		return g.pick(reads)
	case n < 90:
		return g.pick(writes)
	case n < 95:
		return g.pick(control)
	case g.calm && n < 99:
		return g.pick(reads[:5])
	case g.calm || n < 99 || g.IntN(3) > 0:
		return g.pick(settings)
	}
	return g.pick(definitions)
}

// literal puts numbers for the question marks.
func (g generator) literal(template string) string {
	for strings.Contains(template, "?") {
		template = strings.Replace(template, "?", strconv.Itoa(g.small()), 1)
	}
	return template
}

func (g generator) small() int {
	if g.calm {
		return 1 + g.IntN(2)
	}
	return 1 + g.IntN(4)
}

// numbered makes parameters of the question marks and returns their number.
func numbered(template string) (string, int) {
	n := 0
	for strings.Contains(template, "?") && !strings.Contains(template, "1? ") {
		n++
		template = strings.Replace(template, "?", "$"+strconv.Itoa(n), 1)
	}
	return template, n
}

var names = []string{"s1", "s2", "s3", "s4"}

// one returns the messages for one statement in the extended protocol; complete is the number of messages that complete them.
func (g generator) one(status byte) (messages []pg.FrontendMessage, complete int) {
	template := g.template(status)
	text, n := numbered(template)
	text = g.literal(text)
	name, portal := "", ""
	if !g.calm && g.IntN(3) == 0 { // a name that is not known counts as a write to anything
		// A name goes with its text most of the time, so that statements are met again.
		i := g.IntN(len(names))
		name = names[i]
		if g.IntN(4) > 0 {
			text, n = numbered(reads[(i*7)%20])
		}
	}
	if !g.calm && g.IntN(12) == 0 {
		portal = "p"
	}
	add := func(m pg.FrontendMessage) { messages = append(messages, m); complete++ }
	if name == "" && (g.calm || g.IntN(15) > 0) || name != "" && g.IntN(3) == 0 {
		parse := &pg.Parse{Name: name, Query: text}
		for range n {
			if g.calm || g.IntN(2) == 0 {
				break
			}
			parse.ParameterOIDs = append(parse.ParameterOIDs, 23)
		}
		add(parse)
	}
	if g.IntN(5) == 0 {
		messages = append(messages, &pg.Describe{ObjectType: 'S', Name: name})
		complete++ // RowDescription or NoData; ParameterDescription does not count
	}
	bind := &pg.Bind{DestinationPortal: portal, PreparedStatement: name}
	format := int16(0)
	if !g.calm {
		format = int16(g.IntN(2))
	}
	if n > 0 {
		bind.ParameterFormatCodes = []int16{format}
	}
	for range n {
		v := g.small()
		if format == 1 {
			bind.Parameters = append(bind.Parameters, binary.BigEndian.AppendUint32(nil, uint32(v)))
		} else {
			bind.Parameters = append(bind.Parameters, []byte(strconv.Itoa(v)))
		}
	}
	if !g.calm || g.IntN(4) == 0 {
		bind.ResultFormatCodes = [][]int16{nil, {0}, {1}}[g.IntN(3)]
	}
	add(bind)
	if g.IntN(2) == 0 {
		add(&pg.Describe{ObjectType: 'P', Name: portal})
	}
	if g.IntN(20) > 0 {
		add(&pg.Execute{Portal: portal, MaxRows: []uint32{0, 0, 0, 0, 0, 0, 0, 2}[g.IntN(8)]})
	}
	if g.IntN(20) == 0 {
		add(&pg.Execute{Portal: portal})
	}
	if g.IntN(20) == 0 {
		add(&pg.Close{ObjectType: "SP"[g.IntN(2)], Name: []string{portal, name}[g.IntN(2)]})
	}
	return messages, complete
}

// turns returns what a session does next, in one or several turns; others may act in between.
func (g generator) turns(status byte) []batch {
	switch n := 2 + g.IntN(23) - 5; {
	case n < 8:
		text := g.literal(g.template(status))
		if g.IntN(12) == 0 {
			text += "; " + g.literal(g.template(status))
		}
		return []batch{{[]pg.FrontendMessage{&pg.Query{String: text}}, wait{ready: 1}}}
	case n < 15:
		messages, _ := g.one(status)
		return []batch{{append(messages, &pg.Sync{}), wait{ready: 1}}}
	case n < 16: // Flush, and the rest later
		messages, complete := g.one(status)
		return []batch{
			{append(messages, &pg.Flush{}), wait{complete: complete}},
			{[]pg.FrontendMessage{&pg.Execute{}, &pg.Sync{}}, wait{ready: 1}},
		}
	case n < 18: // a pipeline
		var all []pg.FrontendMessage
		ready := 1
		for range 2 + g.IntN(4) {
			if g.IntN(4) == 0 {
				all = append(all, &pg.Sync{}, &pg.Query{String: g.literal(g.template(status))})
				ready += 2
				continue
			}
			messages, _ := g.one(status)
			all = append(all, messages...)
			if g.IntN(3) == 0 {
				all = append(all, &pg.Sync{})
				ready++
			}
		}
		return []batch{{append(all, &pg.Sync{}), wait{ready: ready}}}
	}
	data := fmt.Sprintf("%d\t%s\n", g.small(), []string{"1", "2", "bad"}[g.IntN(3)])
	copyIn := []pg.FrontendMessage{&pg.CopyData{Data: []byte(data)}, &pg.CopyDone{}}
	text := "COPY " + g.pick([]string{"ruled", "base", "part", "none"}) + " FROM STDIN"
	if g.IntN(2) == 0 {
		return []batch{{append([]pg.FrontendMessage{&pg.Query{String: text}}, copyIn...), wait{ready: 1}}}
	}
	messages := append([]pg.FrontendMessage{&pg.Parse{Name: "copy", Query: text}, &pg.Bind{DestinationPortal: "copy", PreparedStatement: "copy"}, &pg.Execute{Portal: "copy"}}, copyIn...)
	messages = append(messages, &pg.Close{ObjectType: 'S', Name: "copy"})
	return []batch{{append(messages, &pg.Sync{}), wait{ready: 1}}}
}
