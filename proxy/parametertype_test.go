package proxy_test

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestParametersOfOddTypes: a driver that declares a parameter's type may bring in values that mean something else each time.
func TestParametersOfOddTypes(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), nil, `
CREATE SEQUENCE ran; CREATE TABLE plain (id int, class oid); INSERT INTO plain VALUES (1, 1);
CREATE TYPE thing AS ENUM ('a'); CREATE TYPE mood AS ENUM ('low');
CREATE FUNCTION number(thing) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT nextval('ran')::int$$;
CREATE CAST (thing AS int) WITH FUNCTION number(thing) AS IMPLICIT`)
	oid := func(typ string) int32 {
		n, err := strconv.ParseInt(value(t, r.direct(), "SELECT '"+typ+"'::regtype::oid::text"), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return int32(n)
	}
	for _, tc := range []struct {
		sql   string
		typ   int32
		value string
		hits  bool
	}{
		{"SELECT abs($1), id FROM plain", oid("thing"), "a", false},
		{"SELECT $1::text, id FROM plain WHERE class <> $1", pgtype.OIDOID, "1259", true},
		{"SELECT id FROM plain WHERE class <> $1", oid("regclass"), "plain", false},
		{"SELECT $1, id FROM plain", pgtype.TimetzOID, "10:00", false},
		{"SELECT $1, id FROM plain", oid("mood"), "low", true},
		{"SELECT $1, id FROM plain", pgtype.TextArrayOID, "{low}", true},
		{"SELECT id FROM plain WHERE id = $1", pgtype.UnknownOID, "1", true},
		{"SELECT id FROM plain WHERE id = $1", 0, "1", true},
	} {
		c := r.session()
		var rows [2]string
		hits := r.Status().Outcomes["hit_l1"]
		for i := range rows {
			c.send(join(frame('P', "", tc.sql, int16(1), tc.typ), frame('B', "", "", int16(0), int16(1), int32(len(tc.value)), []byte(tc.value), int16(0)),
				frame('E', "", int32(0)), frame('S')))
			for _, m := range c.untilReady() {
				if m.typ == 'D' {
					rows[i] = string(m.body)
				}
			}
		}
		if got := r.Status().Outcomes["hit_l1"] != hits; got != tc.hits || rows[0] == "" {
			t.Errorf("%s with type %d: hit %v, rows %q", tc.sql, tc.typ, got, rows)
		}
		if tc.sql == "SELECT abs($1), id FROM plain" && rows[0] == rows[1] {
			t.Errorf("%s: the cast ran once: %q", tc.sql, rows)
		}
		_ = c.Close()
	}
}
