package parser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// words writes the casts of a command to dates and times as source:what, sorted.
func words(c *Command) string {
	sources := []string{"other", "constant", "param", "column", "function", "passed", "operator", "typed"}
	var all []string
	for _, t := range c.Casts {
		if timeless(t.Type) {
			continue
		}
		word := sources[t.Source] + ":" + t.Function + t.FromType
		if t.Source == CastColumn {
			word += strings.TrimLeft(t.Relation.Schema+"."+t.Relation.Name, ".") + "." + t.Column
		}
		if t.Loose {
			word += "?"
		}
		if t.Optional {
			word += "?"
		}
		if t.Call {
			word += "()"
		}
		all = append(all, word)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestSourcesOfCasts(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT a.x::date FROM t a":                                                           "column:t.x",
		"SELECT x::date FROM t, s.u":                                                          "column:s.u.x? column:t.x?",
		"SELECT s.t.x::date FROM s.t":                                                         "column:s.t.x",
		"SELECT z.x::date FROM t":                                                             "other:",
		"SELECT t.*::date FROM t":                                                             "other:",
		"SELECT x::date":                                                                      "other:",
		"SELECT (SELECT t.x::date FROM u) FROM t":                                             "column:t.x",
		"SELECT (SELECT x::date FROM u) FROM t":                                               "column:t.x? column:u.x?",
		"SELECT 1 FROM t, (SELECT x::date FROM u) y":                                          "column:u.x?",
		"SELECT 1 FROM t, LATERAL (SELECT x::date FROM u) y":                                  "column:t.x? column:u.x?",
		"SELECT coalesce(a.x, $1, '1', NULL)::date FROM t a":                                  "column:t.x constant: param:",
		"SELECT (CASE WHEN b THEN t.x ELSE f(1) END)::date FROM t":                            "column:t.x function:f",
		"SELECT (x + 1)::date, (pg_catalog.max(t.y))::date, x::int::date FROM t":              "column:t.y operator:+ passed:max typed:int4",
		"SELECT s.max(x)::date FROM t":                                                        "other:",
		"SELECT lag(t.x, 1, t.y)::date FROM t":                                                "column:t.x column:t.y passed:lag",
		"SELECT (x || y)::date, (t.x COLLATE \"C\")::date FROM t":                             "other:",
		"SELECT (t.a).x::date, (t.a)[1]::date FROM t":                                         "column:t.a other:",
		"SELECT date(t.x), \"time\"('x'), pg_catalog.timestamptz($1), date(a => 1) FROM t":    "column:t.x() param:() constant:()",
		"SELECT s.date(t.x), date(t.x, t.y), birthday(t.x), date(VARIADIC t.x) FROM t":        "",
		"SELECT q.x::date FROM (SELECT a AS x, b FROM t) q":                                   "column:t.a?",
		"SELECT q.x::date FROM (SELECT * FROM t) q":                                           "column:t.x?",
		"SELECT q.x::date FROM (SELECT u.* FROM t, u) q":                                      "column:u.x",
		"SELECT q.x::date FROM (SELECT a, b FROM t) q (x)":                                    "column:t.a?",
		"SELECT x::date FROM (SELECT a AS x FROM t) q, u":                                     "column:t.a? column:u.x??",
		"SELECT q.x::date FROM (SELECT a + 1, x FROM t) q":                                    "column:t.x?",
		"SELECT q.x::date FROM (SELECT (a).x FROM t) q":                                       "other:",
		"SELECT q.x::date FROM (SELECT a AS x FROM t UNION SELECT b FROM u) q":                "column:t.a? column:u.b?",
		"SELECT q.x::date FROM (SELECT a AS x, * FROM t UNION SELECT b FROM u) q":             "other:",
		"SELECT q.column2::date FROM (VALUES (1, 'x'), (2, $1)) q":                            "constant: param:",
		"SELECT q.x::date FROM (VALUES (t1, '1')) q (w, x)":                                   "constant:",
		"WITH q AS (SELECT x FROM t) SELECT q.x::date FROM q":                                 "column:t.x?",
		"WITH q AS (SELECT x FROM t) SELECT q.x::date FROM s.q":                               "column:s.q.x",
		"WITH q (y) AS (SELECT x FROM t) SELECT y::date FROM q":                               "column:t.x?",
		"WITH q AS (DELETE FROM t RETURNING x) SELECT x::date FROM q":                         "other:",
		"WITH q AS (SELECT x FROM q) SELECT q.x::date FROM q":                                 "column:q.x?",
		"WITH RECURSIVE q AS (SELECT x FROM t UNION SELECT x FROM q) SELECT q.x::date FROM q": "column:t.x?",
		"WITH RECURSIVE q AS (SELECT x FROM q) SELECT q.x::date FROM q":                       "other:",
		"SELECT x::date FROM generate_series($1, $2, '1') x":                                  "function:generate_series",
		"SELECT q.x::date FROM unnest(t.a) q (x)":                                             "other:",
		"SELECT q.x::date FROM t, unnest(t.a) q (x)":                                          "column:t.a passed:unnest",
		"SELECT x::date FROM t, json_each(t.a) q":                                             "other:",
		"SELECT t.x::date FROM t, json_each(t.a) q":                                           "column:t.x",
		"SELECT j.x::date FROM (t JOIN u USING (id)) j":                                       "column:t.x? column:u.x?",
		"SELECT t.x::date FROM t TABLESAMPLE system (1)":                                      "other:",
		"UPDATE t SET a = x::date":                                                            "other:",
		"INSERT INTO u SELECT x::date FROM t":                                                 "column:t.x?",
	} {
		c := Analyze(text).Single()
		if c == nil {
			t.Errorf("%s: %v", text, Analyze(text).Err)
			continue
		}
		got := words(c)
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if got != strings.Join(wanted, " ") {
			t.Errorf("%s\n\t%s, want %s", text, got, want)
		}
	}
}

// TestSourcesAreBounded: subqueries that name each other over and over take no time to speak of.
func TestSourcesAreBounded(t *testing.T) {
	text := "SELECT x::date FROM t"
	for i := range 40 {
		text = fmt.Sprintf("SELECT x::date FROM (SELECT x FROM t UNION ALL SELECT x FROM t) q%d, (%s) r%d (x)", i, text, i)
	}
	if c := Analyze(text).Single(); c == nil || c.Unsupported {
		t.Error("not analysed")
	}
	ctes := "WITH c0 AS (SELECT x FROM t)"
	for i := range 60 {
		ctes += fmt.Sprintf(", c%d AS (SELECT a.x FROM c%d a, c%d b UNION ALL SELECT x FROM c%d)", i+1, i, i, i)
	}
	c := Analyze(ctes + " SELECT x::date FROM c60").Single()
	if got := words(c); got != "other:" {
		t.Errorf("%s", got)
	}
}
