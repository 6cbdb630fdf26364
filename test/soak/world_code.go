package soak

import (
	"fmt"
	"strings"
)

// addFunctions makes functions of all volatilities, and procedures.
func (w *world) addFunctions(d dice) {
	a, b := w.tables[d.IntN(len(w.tables))].name, w.tables[d.IntN(len(w.tables))].name
	w.setup = append(w.setup,
		"CREATE FUNCTION app.plus(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1000'",
		fmt.Sprintf("CREATE FUNCTION app.sum_of(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) FROM app.%s WHERE id >= $1'", a),
		fmt.Sprintf("CREATE FUNCTION app.rows_of(int) RETURNS SETOF app.%s LANGUAGE sql STABLE AS 'SELECT * FROM app.%s WHERE tenant = $1 ORDER BY id'", a, a),
		fmt.Sprintf("CREATE FUNCTION app.bare(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM %s WHERE id > $1'", b), // follows search_path
		fmt.Sprintf("CREATE FUNCTION app.pinned(int) RETURNS bigint LANGUAGE sql STABLE SET search_path = alt, app AS 'SELECT max(v) FROM %s WHERE id > $1'", b),
		fmt.Sprintf(`CREATE FUNCTION app.look(int) RETURNS text LANGUAGE plpgsql STABLE AS $$
			DECLARE r text; BEGIN SELECT name || v INTO r FROM app.%s WHERE id = $1; RETURN coalesce(r, 'none'); END $$`, b),
		fmt.Sprintf(`CREATE FUNCTION app.dynamic(int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
			DECLARE r bigint; BEGIN EXECUTE 'SELECT sum(v) FROM app.%s WHERE id < $1' INTO r USING $1; RETURN r; END $$`, a),
		"CREATE FUNCTION app.as_owner(int) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM app.owned WHERE id > $1'",
		"ALTER FUNCTION app.as_owner(int) OWNER TO soak_owner",
		"CREATE FUNCTION app.zone() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '2026-07-01 12:00+00'::timestamptz::text || current_setting('TimeZone') $$",
		fmt.Sprintf("CREATE FUNCTION app.bump(int) RETURNS int LANGUAGE sql AS 'UPDATE app.%s SET v = v + 100000 WHERE id = $1 RETURNING v'", a),
		fmt.Sprintf(`CREATE FUNCTION app.bump2(int) RETURNS int LANGUAGE plpgsql AS $$
			BEGIN UPDATE app.%s SET v = v + 100000 WHERE id = $1; PERFORM app.bump($1); INSERT INTO app.audit (tbl, op, row_id) VALUES ('bump2', 'x', $1); RETURN 1; END $$`, b),
		fmt.Sprintf(`CREATE FUNCTION app.blind(tbl text, number int) RETURNS int LANGUAGE plpgsql AS $$
			BEGIN EXECUTE format('UPDATE app.%%I SET v = v + 100000 WHERE id = $1', tbl) USING number; RETURN 1; END $$`),
		fmt.Sprintf("CREATE PROCEDURE app.sweep(int) LANGUAGE sql AS 'UPDATE app.%s SET v = v + 100000 WHERE id < $1'", a),
		fmt.Sprintf(`CREATE PROCEDURE app.in_steps(int) LANGUAGE plpgsql AS $$
			BEGIN UPDATE app.%s SET v = v + 100000 WHERE id = $1; COMMIT; UPDATE app.%s SET v = v + 100000 WHERE id = $1; ROLLBACK;
			UPDATE app.counters SET n = n + 1; COMMIT; END $$`, a, b),
		"CREATE FUNCTION app.become(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', $1::text, false); RETURN $1; END $$",
		"CREATE FUNCTION app.become_locally(int) RETURNS int LANGUAGE sql AS $$ SELECT set_config('app.tenant', $1::text, true); SELECT $1 $$",
		"CREATE PROCEDURE app.become_p(int) LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET app.tenant = ' || $1; END $$",
		"CREATE OPERATOR app.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
		"CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
	)
}

// triggers are what a table's trigger may be; %[1]s is the table, %[2]s another one.
var triggers = []string{
	"CREATE TRIGGER touch BEFORE UPDATE ON app.%[1]s FOR EACH ROW EXECUTE FUNCTION app.touch()",
	"CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON app.%[1]s FOR EACH ROW EXECUTE FUNCTION app.touch()",
	"CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON app.%[1]s FOR EACH ROW EXECUTE FUNCTION app.audit_row()",
	"CREATE TRIGGER count AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON app.%[1]s FOR EACH STATEMENT EXECUTE FUNCTION app.count_statement()",
	"CREATE TRIGGER other AFTER UPDATE OF v ON app.%[1]s FOR EACH ROW WHEN (NEW.v > OLD.v) EXECUTE FUNCTION app.other_%[2]s()",
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON app.%[1]s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.other_%[2]s()",
	"CREATE TRIGGER moved AFTER UPDATE ON app.%[1]s REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION app.sum_fresh()",
	"CREATE TRIGGER dynamic AFTER DELETE ON app.%[1]s FOR EACH ROW EXECUTE FUNCTION app.dynamic_log('%[2]s')",
}

// addTriggers makes triggers for about half of the tables, and rules.
func (w *world) addTriggers(d dice) {
	w.setup = append(w.setup,
		"INSERT INTO app.counters SELECT 't' || i, 0 FROM generate_series(0, 7) i",
		"CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := now(); RETURN NEW; END $$",
		`CREATE FUNCTION app.audit_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF TG_OP = 'DELETE' THEN INSERT INTO app.audit (tbl, op, row_id, v) VALUES (TG_TABLE_NAME, TG_OP, OLD.id, OLD.v); RETURN OLD; END IF;
			INSERT INTO app.audit (tbl, op, row_id, v) VALUES (TG_TABLE_NAME, TG_OP, NEW.id, NEW.v); RETURN NEW; END $$`,
		"CREATE FUNCTION app.count_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE app.counters SET n = n + 1 WHERE name = TG_TABLE_NAME; RETURN NULL; END $$",
		"CREATE FUNCTION app.sum_fresh() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE app.counters SET n = n + (SELECT count(*) FROM fresh) WHERE name = TG_TABLE_NAME; RETURN NULL; END $$",
		"CREATE FUNCTION app.dynamic_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('UPDATE app.%I SET name = $1 WHERE id = $2', TG_ARGV[0]) USING 'deleted ' || OLD.v, OLD.id; RETURN OLD; END $$")
	for _, t := range w.tables {
		w.setup = append(w.setup, fmt.Sprintf(`CREATE FUNCTION app.other_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			UPDATE app.%[1]s SET tenant = NEW.v %% 3 WHERE id = NEW.id AND tenant IS DISTINCT FROM NEW.v %% 3; RETURN NULL; END $$`, t.name))
	}
	for i, t := range w.tables {
		if !d.oneIn(2) {
			continue
		}
		other := w.tables[(i+1+d.IntN(len(w.tables)-1))%len(w.tables)].name
		for _, at := range d.Perm(len(triggers))[:1+d.IntN(2)] {
			if strings.Contains(triggers[at], "dynamic") && !w.murky {
				continue
			}
			w.setup = append(w.setup, fmt.Sprintf(triggers[at], t.name, other))
		}
	}
	target := w.tables[d.IntN(len(w.tables))].name
	w.setup = append(w.setup,
		"CREATE TABLE app.ruled (id int PRIMARY KEY, v int)", "INSERT INTO app.ruled SELECT i, i FROM generate_series(1, 6) i",
		fmt.Sprintf("CREATE RULE also AS ON UPDATE TO app.ruled DO ALSO UPDATE app.%s SET v = NEW.v WHERE id = NEW.id", target),
		fmt.Sprintf("CREATE RULE gone AS ON DELETE TO app.ruled DO INSTEAD UPDATE app.%s SET name = 'ruled' WHERE id = OLD.id", target),
		"CREATE FUNCTION app.count_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE app.counters SET n = n + 1 WHERE name = 't0'; RETURN NULL; END $$")
	if d.oneIn(2) {
		w.setup = append(w.setup, "CREATE TRIGGER counted AFTER INSERT ON app.events FOR EACH ROW EXECUTE FUNCTION app.count_event()")
	}
}

// addViews makes views of all kinds, and materialized ones.
func (w *world) addViews(d dice) {
	any := func() *table { return w.tables[d.IntN(len(w.tables))] }
	a, b, c, e := any(), any(), any(), any()
	options := func(list ...string) string { return d.pick(append(list, "")) }
	invoker := ""
	if w.version >= 15 {
		invoker = options("WITH (security_invoker) ")
	}
	w.setup = append(w.setup,
		fmt.Sprintf("CREATE VIEW app.simple AS SELECT id, tenant, v, name FROM app.%s", a.name),
		fmt.Sprintf("CREATE VIEW app.checked %sAS SELECT id, tenant, v FROM app.%s WHERE v > 0 WITH CHECK OPTION", options("WITH (security_barrier) "), b.name),
		"CREATE VIEW app.nested AS SELECT id, v FROM app.simple WHERE id < 9",
		fmt.Sprintf("CREATE VIEW app.joined AS SELECT a.id, b.id AS other, a.v + b.v AS v FROM app.%s a JOIN app.%s b ON b.parent = a.id", c.name, e.name),
		"CREATE VIEW app.over AS SELECT n.id, j.v FROM app.nested n LEFT JOIN app.joined j USING (id)",
		fmt.Sprintf("CREATE VIEW app.unioned AS SELECT id, v FROM app.%s UNION ALL SELECT id, v FROM app.events", e.name),
		"CREATE VIEW app.calling AS SELECT i AS id, app.sum_of(i) AS v FROM generate_series(1, 3) i",
		fmt.Sprintf("CREATE VIEW app.tenants %sAS SELECT id, owner, v FROM app.mixed", invoker),
		"ALTER VIEW app.tenants OWNER TO soak_owner",
		fmt.Sprintf("CREATE VIEW app.mine %sAS SELECT id, v FROM app.owned WHERE owner = current_user", invoker),
		"CREATE VIEW app.zoned AS SELECT id, v FROM app.events WHERE v < 1000000 AND current_setting('TimeZone') <> ''",
		fmt.Sprintf("CREATE MATERIALIZED VIEW app.stored AS SELECT tenant, count(*) AS n, sum(v) AS v FROM app.%s GROUP BY tenant", a.name),
		fmt.Sprintf("CREATE MATERIALIZED VIEW app.keyed AS SELECT id, v FROM app.%s", b.name), "CREATE UNIQUE INDEX ON app.keyed (id)",
		"CREATE VIEW app.on_stored AS SELECT s.tenant, s.v, k.id FROM app.stored s, app.keyed k WHERE k.id < 4",
		fmt.Sprintf("CREATE VIEW app.diverted AS SELECT id, v FROM app.%s", c.name),
		fmt.Sprintf("CREATE FUNCTION app.divert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE app.%s SET v = NEW.v WHERE id = NEW.id; RETURN NEW; END $$", e.name),
		"CREATE TRIGGER divert INSTEAD OF INSERT OR UPDATE ON app.diverted FOR EACH ROW EXECUTE FUNCTION app.divert()",
		fmt.Sprintf("CREATE VIEW app.replaced AS SELECT id, v FROM app.%s", a.name),
		fmt.Sprintf("CREATE VIEW app.rewritten AS SELECT id, v FROM app.%s", b.name),
		fmt.Sprintf("CREATE RULE divert AS ON UPDATE TO app.rewritten DO INSTEAD UPDATE app.%s SET v = NEW.v WHERE id = NEW.id", c.name),
	)
}
