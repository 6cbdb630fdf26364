package soak

import (
	"fmt"
	"strings"
)

// routine is a function app.fN(int) that writes, or what it calls does.
type routine struct {
	name   string
	opaque bool // runs what no analysis can tell
}

// routines are how many writing functions, and reading ones, a world has.
const routines = 8

// addRoutines makes functions that write, with bodies of random statements that may call each other, functions that read, and triggers that call
// such.
func (w *world) addRoutines(d dice) {
	for i := range routines {
		r := routine{name: fmt.Sprintf("f%d", i)}
		var body string
		head := fmt.Sprintf("CREATE FUNCTION app.%s(int) RETURNS int LANGUAGE ", r.name)
		switch {
		case d.oneIn(3):
			var statements []string
			for range 1 + d.IntN(3) {
				statements = append(statements, w.write(d, &r, "$1", false))
			}
			body = head + "sql AS $$ " + strings.Join(statements, "; ") + "; SELECT $1 $$"
			if w.version >= 14 && d.oneIn(3) {
				body = head + "sql BEGIN ATOMIC " + strings.Join(statements, "; ") + "; SELECT $1; END"
			}
		default:
			body = head + "plpgsql AS $$ DECLARE _n int; _r record; BEGIN " + w.block(d, &r, "$1", 2) + " RETURN $1; END $$"
		}
		body += d.pick([]string{"", "", "", " SECURITY DEFINER", " SET search_path = app, alt", " SET search_path = alt, app"})
		if strings.Contains(body, "ATOMIC") {
			body = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(body, " SECURITY DEFINER"), " SET search_path = app, alt"), " SET search_path = alt, app")
		}
		w.setup = append(w.setup, body)
		w.routines = append(w.routines, r)
	}
	for i := range routines {
		w.addReading(d, i)
	}
	for i, t := range w.tables {
		if !d.oneIn(3) {
			continue
		}
		r := routine{opaque: true}
		var body string
		for r.opaque {
			r = routine{}
			body = w.block(d, &r, "NEW.id", 1)
			r.opaque = r.opaque && !w.murky
		}
		w.setup = append(w.setup,
			fmt.Sprintf("CREATE FUNCTION app.g%d() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE _n int; _r record; BEGIN IF pg_trigger_depth() > 2 THEN RETURN NULL; END IF; %s RETURN NULL; END $$", i, body),
			fmt.Sprintf("CREATE TRIGGER random AFTER %s ON app.%s FOR EACH ROW EXECUTE FUNCTION app.g%d()", d.pick([]string{"UPDATE", "INSERT OR UPDATE", "UPDATE OF v", "INSERT"}), t.name, i))
	}
	// What runs when a row is checked, or given a default.
	called := w.routines[d.IntN(len(w.routines))].name
	w.setup = append(w.setup,
		fmt.Sprintf("CREATE TABLE app.checking (id int PRIMARY KEY, v int CHECK (app.%s(v %% 10) IS NOT NULL))", called),
		fmt.Sprintf("CREATE TABLE app.defaulting (id int PRIMARY KEY, v int DEFAULT app.%s(3))", called),
		fmt.Sprintf("CREATE VIEW app.through AS SELECT id, v FROM app.%s", w.tables[d.IntN(len(w.tables))].name),
		fmt.Sprintf("CREATE RULE called AS ON UPDATE TO app.through DO INSTEAD SELECT app.%s(NEW.id)", called))
}

// block returns statements of PL/pgSQL, nested so deep at most.
func (w *world) block(d dice, r *routine, id string, depth int) string {
	var b strings.Builder
	for range 1 + d.IntN(2) {
		inner := func() string {
			if depth == 0 {
				return w.write(d, r, id, true) + "; "
			}
			return w.block(d, r, id, depth-1)
		}
		switch d.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "IF %s > 4 THEN %s ELSE %s END IF; ", id, inner(), inner())
		case 1:
			fmt.Fprintf(&b, "FOR _r IN SELECT id FROM %s WHERE id < 3 LOOP %s END LOOP; ", w.anyName(d), inner())
		case 2:
			fmt.Fprintf(&b, "BEGIN %s EXCEPTION WHEN OTHERS THEN %s END; ", inner(), inner())
		case 3:
			fmt.Fprintf(&b, "SELECT count(*) INTO _n FROM %s WHERE id > %s; ", w.anyName(d), id)
		case 4:
			fmt.Fprintf(&b, "_n := (SELECT max(v) FROM %s); ", w.anyName(d))
		case 5:
			fmt.Fprintf(&b, "CASE WHEN %s = 1 THEN %s ELSE NULL; END CASE; ", id, inner())
		case 6:
			if d.oneIn(2) {
				fmt.Fprintf(&b, "EXECUTE 'UPDATE %s SET v = v + 100000 WHERE id = $1' USING %s; ", w.anyName(d), id)
			} else {
				fmt.Fprintf(&b, "EXECUTE format('UPDATE app.%%I SET v = v + 100000 WHERE id = %%s', 't' || (%s %% 8), %s); ", id, id)
			}
			r.opaque = true
		case 7:
			if called := w.call(d, r); called != "" {
				fmt.Fprintf(&b, "_n := app.%s(%s); ", called, id)
			}
		case 8:
			fmt.Fprintf(&b, "FOR i IN 1..2 LOOP %s END LOOP; ", inner())
		default:
			b.WriteString(w.write(d, r, id, true) + "; ")
		}
	}
	return b.String()
}

// call returns an earlier function's name, "" when there is none.
func (w *world) call(d dice, r *routine) string {
	if len(w.routines) == 0 {
		return ""
	}
	called := w.routines[d.IntN(len(w.routines))]
	r.opaque = r.opaque || called.opaque
	return called.name
}

// anyName returns the name of an ordinary table, with its schema or without.
func (w *world) anyName(d dice) string {
	t := w.tables[d.IntN(len(w.tables))]
	switch {
	case d.oneIn(3):
		return t.name
	case t.twin && d.oneIn(4):
		return "alt." + t.name
	}
	return "app." + t.name
}

// write returns a statement that writes, without a semicolon.
func (w *world) write(d dice, r *routine, id string, plpgsql bool) string {
	t := w.anyName(d)
	switch d.IntN(9) {
	case 0:
		return fmt.Sprintf("INSERT INTO app.audit (tbl, op, row_id) VALUES ('routine', 'x', %s)", id)
	case 1:
		return "UPDATE app.counters SET n = n + 1 WHERE name = 't5'"
	case 2:
		return fmt.Sprintf("WITH x AS (UPDATE %s SET v = v + 100000 WHERE id = %s RETURNING id, v) INSERT INTO app.audit (tbl, row_id, v) SELECT 'with', id, v FROM x", t, id)
	case 3:
		if called := w.call(d, r); called != "" {
			return fmt.Sprintf("%s app.%s(%s)", map[bool]string{true: "PERFORM", false: "SELECT"}[plpgsql], called, id)
		}
	case 4:
		return fmt.Sprintf("UPDATE app.simple SET v = v + 100000 WHERE id = %s", id)
	case 5:
		return fmt.Sprintf("UPDATE app.events SET v = v + 100000 WHERE id = %s", id)
	case 6:
		return fmt.Sprintf("DELETE FROM %s WHERE id = %s + 12", t, id)
	}
	return fmt.Sprintf("UPDATE %s SET v = v + 100000 WHERE id = %s", t, id)
}

// addReading makes a function app.rN(int) that reads, and asks for it.
func (w *world) addReading(d dice, i int) {
	var read []string
	for range 1 + d.IntN(3) {
		switch t := w.anyName(d); d.IntN(6) {
		case 0:
			read = append(read, "(SELECT count(*) FROM "+t+" WHERE tenant = $1)")
		case 1:
			read = append(read, "(SELECT coalesce(max(v), 0) FROM app.simple WHERE id <= $1)")
		case 2:
			read = append(read, "(SELECT count(*) FROM app.mixed WHERE id > $1)")
		case 3:
			read = append(read, "coalesce(nullif(current_setting('app.tenant', true), '')::int, -1)")
		case 4:
			if i > 0 {
				read = append(read, fmt.Sprintf("app.r%d($1)", d.IntN(i)))
				continue
			}
			fallthrough
		default:
			read = append(read, "(SELECT coalesce(sum(v), 0) FROM "+t+" WHERE id = $1)")
		}
	}
	sum := strings.Join(read, " + ")
	head := fmt.Sprintf("CREATE FUNCTION app.r%d(int) RETURNS bigint ", i)
	tail := d.pick([]string{"", "", "", " SECURITY DEFINER", " SET search_path = alt, app", " SET TimeZone = 'UTC'"})
	volatility := d.pick([]string{"STABLE", "STABLE", "STABLE", "VOLATILE"})
	if d.oneIn(2) {
		w.setup = append(w.setup, head+"LANGUAGE sql "+volatility+" AS $$ SELECT ("+sum+")::bigint $$"+tail)
	} else {
		w.setup = append(w.setup, head+"LANGUAGE plpgsql "+volatility+" AS $$ DECLARE n bigint; BEGIN IF $1 > 5 THEN RETURN -1; END IF; n := "+sum+"; RETURN n; END $$"+tail)
	}
	name := fmt.Sprintf("app.r%d", i)
	w.reading = append(w.reading, "SELECT "+name+"(?)", "SELECT id, "+name+"(id) FROM app.junk ORDER BY id")
	if d.oneIn(2) {
		w.setup = append(w.setup, fmt.Sprintf("CREATE VIEW app.reading%d AS SELECT id, %s(id) AS v FROM app.loose", i, name))
		w.reading = append(w.reading, fmt.Sprintf("SELECT * FROM app.reading%d ORDER BY id", i))
	}
}
