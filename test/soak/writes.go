package soak

// Templates of writes. {t} is a table, with or without its schema, {id} an id that is likely to exist, {new} one that may, {v} a value that was never
// there before, {set} an assignment to one of the columns of {t}, {f} another ordinary table.

// rowWrites change rows of ordinary tables; in the extended protocol their numbers may be parameters.
var rowWrites = []string{
	"UPDATE {t} SET v = {v} WHERE id = {id}", "UPDATE {t} SET v = {v} WHERE id = {id}", "UPDATE {t} SET v = {v}, name = 'n' || {v} WHERE id IN ({id}, {id})",
	"UPDATE {t} SET {set} WHERE id = {id}", "UPDATE {t} SET {set}, v = v + 1 WHERE tenant = {id}", "UPDATE {t} SET tenant = {id} %% 3, v = {v} WHERE id = {id}",
	"INSERT INTO {t} (id, parent, tenant, v, name) VALUES ({new}, {id}, {id} %% 3, {v}, 'new') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v",
	"INSERT INTO {t} (id, parent, tenant, v) SELECT {new}, {id}, 1, {v} WHERE NOT EXISTS (SELECT FROM {t} WHERE id = {new}) ON CONFLICT DO NOTHING",
	"INSERT INTO {t} (id, parent, v, name) SELECT id, parent, {v} + id, 'again' FROM generate_series(1, 12) id, LATERAL (SELECT {id} AS parent) p ON CONFLICT (id) DO NOTHING",
	"DELETE FROM {t} WHERE id = {new}", "DELETE FROM {t} WHERE id = {id}", "DELETE FROM {t} USING {f} o WHERE {t}.id = o.id AND o.id = {new}",
	"UPDATE {t} SET v = {v} FROM {f} o WHERE o.id = {t}.parent AND o.id = {id}", "UPDATE {t} SET id = {new} WHERE id = {new}", "UPDATE {t} SET id = {new} WHERE id = {id}",
	"UPDATE {t} SET parent = {id}, v = {v} WHERE id = {id}", "UPDATE {t} SET parent = NULL WHERE id = {id}",
	"WITH w AS (UPDATE {t} SET v = {v} WHERE id = {id} RETURNING id, v) SELECT * FROM w",
	"WITH w AS (DELETE FROM {t} WHERE id = {new} RETURNING *), i AS (INSERT INTO app.counters SELECT 'x' || id, v FROM w ON CONFLICT (name) DO UPDATE SET n = EXCLUDED.n RETURNING n) SELECT count(*) FROM i",
	"WITH i AS (INSERT INTO {t} (id, parent, v) VALUES ({new}, {id}, {v}) ON CONFLICT DO NOTHING RETURNING id) UPDATE {f} SET v = {v} WHERE id IN (SELECT id FROM i)",
	"UPDATE app.counters SET n = {v} WHERE name = 't1'", "UPDATE app.loose SET v = {v} %% 100000 WHERE id = {id}", "DELETE FROM app.loose WHERE id = {new}",
	"INSERT INTO app.loose VALUES ({new}, {v} %% 100000) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v", "UPDATE app.junk SET v = {v} WHERE id = {id}",
	"UPDATE alt.t1 SET v = {v} WHERE id = {id}", "UPDATE {t} SET v = {v} WHERE id = {id} RETURNING *", "INSERT INTO app.audit (tbl, op, v) VALUES ('direct', 'x', {v})",
	"DELETE FROM app.audit WHERE id < (SELECT max(id) - 20 FROM app.audit)",
	// Views.
	"UPDATE app.simple SET v = {v} WHERE id = {id}", "UPDATE app.nested SET v = {v} WHERE id = {id}", "DELETE FROM app.simple WHERE id = {new}", "UPDATE app.checked SET v = {v} WHERE id = {id}",
	"INSERT INTO app.simple (id, tenant, v, name) VALUES ({new}, 1, {v}, 'view') ON CONFLICT DO NOTHING", "UPDATE app.diverted SET v = {v} WHERE id = {id}", "INSERT INTO app.diverted VALUES ({id}, {v})",
	"UPDATE app.replaced SET v = {v} WHERE id = {id}", "UPDATE app.rewritten SET v = {v} WHERE id = {id}", "UPDATE app.zoned SET v = {v} WHERE id = {id}",
	// Partitions and children.
	"UPDATE app.events SET v = {v} WHERE id = {id}", "UPDATE app.events SET id = {new} WHERE id = {id}", "UPDATE app.events SET tenant = {id} %% 3, v = {v} WHERE id = {new}",
	"INSERT INTO app.events VALUES ({new}, {id} %% 3, {v}, 'inserted')", "DELETE FROM app.events WHERE id = {new}", "UPDATE far.events_mid SET v = {v} WHERE id = {new}",
	"UPDATE alt.events_mid_1 SET v = {v} WHERE id = {new}", "DELETE FROM far.events_mid_0 WHERE id = {new}", "INSERT INTO app.events_low VALUES (3, 1, {v}, 'low')",
	"UPDATE app.events_rest SET v = {v} WHERE id = {new}", "INSERT INTO app.hashed VALUES ({new}, {v}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v", "UPDATE far.hashed_1 SET v = {v}",
	"UPDATE app.hashed SET id = {new} WHERE id = {id}", "DELETE FROM app.hashed WHERE id = {new}", "UPDATE app.part_child SET v = {v} WHERE id = {id}",
	"INSERT INTO app.part_child VALUES ({new}, {id}, {v}) ON CONFLICT DO NOTHING", "UPDATE app.animal SET v = {v} WHERE id = {id}", "UPDATE ONLY app.animal SET v = {v} WHERE id = {id}",
	"UPDATE alt.cat SET v = {v} WHERE id = {id}", "INSERT INTO app.kitten (id, v, name) VALUES ({new}, {v}, 'born')", "DELETE FROM app.kitten WHERE id = {new}", "UPDATE app.stray SET v = {v}",
	"UPDATE app.events_spare SET v = {v} WHERE id > 100",
	// Rules and row security.
	"UPDATE app.ruled SET v = {v} WHERE id = {id}", "DELETE FROM app.ruled WHERE id = {id}", "UPDATE app.secured SET v = {v} WHERE id = {id}", "UPDATE app.owned SET v = {v} WHERE id = {id}",
	"UPDATE app.mixed SET v = {v}, tenant = {id} %% 3 WHERE id = {id}", "UPDATE app.mixed SET owner = 'soak_tenant_1' WHERE id = {id}", "DELETE FROM app.mixed WHERE id = {new}",
	"INSERT INTO app.mixed VALUES ({new}, 1, 'soak_tenant_2', {v}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v", "UPDATE app.tenants SET v = {v} WHERE id = {id}", "UPDATE app.mine SET v = {v}",
}

// routineWrites call functions that write, some of them by what seems to be something else. {f} is one of these functions.
var routineWrites = []string{
	"SELECT app.{f}({id})", "SELECT app.{f}({id})", "SELECT id, app.{f}(id) FROM app.junk WHERE id < 3", "SELECT app.{f}(x) FROM (VALUES ({id})) v(x)", "SELECT * FROM app.{f}({id})", "DO $$ BEGIN PERFORM app.{f}({id}); END $$",
	"INSERT INTO app.checking VALUES ({new}, {v}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v", "INSERT INTO app.defaulting (id) VALUES ({new}) ON CONFLICT (id) DO UPDATE SET v = DEFAULT", "UPDATE app.through SET v = {v} WHERE id = {id}",
	"UPDATE app.junk SET v = app.{f}({id}) WHERE id = {id}", "SELECT count(*) FROM app.junk WHERE app.{f}(id) > 0", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT app.{f}({id})", "VALUES (app.{f}({id}))",
	"CREATE TEMP TABLE made AS SELECT app.{f}({id}); DROP TABLE made", "SELECT CASE WHEN {id} > 3 THEN app.{f}({id}) END", "WITH w AS (SELECT app.{f}({id}) AS x) SELECT * FROM w",
	"BEGIN; DECLARE c CURSOR FOR SELECT app.{f}({id}); FETCH ALL FROM c; COMMIT", "COPY (SELECT app.{f}({id})) TO STDOUT", "PREPARE p AS SELECT app.{f}($1); EXECUTE p({id}); DEALLOCATE p",
}

// mergeWrites need version 15.
var mergeWrites = []string{
	"MERGE INTO {t} USING (VALUES ({id}, {v}), ({new}, {v})) s(i, w) ON id = i WHEN MATCHED AND w > 0 THEN UPDATE SET v = w WHEN NOT MATCHED THEN INSERT (id, parent, v) VALUES (i, 1, w)",
	"MERGE INTO {t} USING {f} s ON {t}.id = s.id AND s.id = {new} WHEN MATCHED THEN DELETE", "MERGE INTO app.events USING (VALUES ({id}, {v})) s(i, w) ON id = i WHEN MATCHED THEN UPDATE SET v = w",
}

// otherWrites change rows in other ways.
var otherWrites = []string{
	"UPDATE {t} SET v = {v} WHERE id = {id}; UPDATE {f} SET v = {v} WHERE id = {id}", "UPDATE {t} SET v = {v} WHERE id = {id}; SELECT 1 / 0", "BEGIN; UPDATE {t} SET v = {v} WHERE id = {id}; COMMIT; SELECT 1",
	"EXPLAIN (ANALYZE, COSTS OFF) UPDATE {t} SET v = {v} WHERE id = {id}", "TRUNCATE {t} CASCADE; {stock}", "TRUNCATE app.junk; INSERT INTO app.junk SELECT i, {v} + i FROM generate_series(1, 5) i",
	"TRUNCATE app.events_low", "TRUNCATE far.hashed_1 CASCADE", "TRUNCATE alt.cat",
	"REFRESH MATERIALIZED VIEW app.stored", "REFRESH MATERIALIZED VIEW app.keyed", "REFRESH MATERIALIZED VIEW CONCURRENTLY app.keyed", "REFRESH MATERIALIZED VIEW app.stored WITH DATA",
	"SELECT nextval('app.numbers')", "SELECT setval('app.numbers', {v})", "LOCK {t} IN SHARE ROW EXCLUSIVE MODE", "SELECT lo_create(0)", "VACUUM {t}", "ANALYZE {t}", "NOTIFY soak, 'x'",
	"SET session_replication_role = replica; UPDATE {t} SET v = {v} WHERE id = {id}; DELETE FROM {f} WHERE id = {new}; RESET session_replication_role", "{stock}", "{stock}",
	"SELECT set_config('app.tenant', '1', false); UPDATE app.secured SET v = {v} WHERE id = {id}", "SET ROLE soak_writer; UPDATE {t} SET v = {v} WHERE id = {id}; RESET ROLE",
	"SET ROLE soak_tenant_1; UPDATE app.owned SET v = {v} WHERE id = {id}; RESET ROLE", "SET search_path = alt, app; UPDATE {bare} SET v = {v} WHERE id = {id}; RESET search_path",
}

// opaqueWrites are those of which nobody sees what they do: pgrecall may have to take them for definitions, so that they are rare in calm rounds.
var opaqueWrites = []string{
	"CREATE TEMP TABLE {bare} AS SELECT 1 AS id, 2 AS v; UPDATE {bare} SET v = {v}; UPDATE app.{bare} SET v = {v} WHERE id = {id}; DROP TABLE pg_temp.{bare}",
	"CALL app.sweep({id})", "CALL app.in_steps({id})", "SELECT app.bump({id})", "SELECT app.bump2({id})", "SELECT app.blind('{bare}', {id})", "SELECT id, app.bump(id) FROM app.junk",
	"DO $$ BEGIN UPDATE {t} SET v = {v} WHERE id = {id}; END $$", "DO $$ BEGIN EXECUTE 'UPDATE {t} SET v = {v} WHERE id = {id}'; END $$",
	"DO $$ BEGIN UPDATE {t} SET v = {v} WHERE id = {id}; COMMIT; UPDATE {f} SET v = {v}; ROLLBACK; END $$",
	"PREPARE w AS UPDATE {t} SET v = {v} WHERE id = $1; EXECUTE w({id}); DEALLOCATE w",
}

// restock fills the tables that lose rows.
const restock = `INSERT INTO app.hashed SELECT i, i FROM generate_series(1, 10) i ON CONFLICT DO NOTHING;
INSERT INTO app.part_child SELECT i, i, i FROM generate_series(1, 10) i ON CONFLICT DO NOTHING;
INSERT INTO app.loose SELECT i, i FROM generate_series(1, 6) i ON CONFLICT DO NOTHING;
INSERT INTO app.mixed SELECT i, i % 3, 'soak_tenant_1', i FROM generate_series(1, 12) i ON CONFLICT DO NOTHING;
DELETE FROM app.events WHERE v < (SELECT max(v) FROM app.events) AND id < 40;
INSERT INTO app.events SELECT i, i % 3, {v} + i, 'restocked' FROM generate_series(1, 24) i;
TRUNCATE app.animal; INSERT INTO app.animal SELECT i, {v} + i, 'animal' FROM generate_series(1, 3) i;
INSERT INTO alt.cat SELECT i, {v} + i, 'cat' FROM generate_series(4, 6) i; INSERT INTO app.kitten SELECT i, {v} + i, 'kitten' FROM generate_series(7, 8) i;
DELETE FROM app.audit; DELETE FROM app.counters WHERE name LIKE 'x%'`
