package parser

import (
	"encoding/json"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// oracleBodies are bodies whose variables are all declared, as libpg_query demands it.
var oracleBodies = []string{
	"DECLARE a int := f(1); c CURSOR (x int) FOR SELECT * FROM t WHERE id = x; r record; BEGIN OPEN c(g(2)); FETCH c INTO r; CLOSE c; FOR r IN c(h(1)) LOOP a := i(a); END LOOP; END",
	"DECLARE a int; b int[]; r record; BEGIN IF f(1) THEN a := g(2); ELSIF h(3) THEN b[i(4)] := 5; ELSE DELETE FROM t; END IF; CASE a WHEN j(1), 2 THEN PERFORM k(); ELSE NULL; END CASE; CASE WHEN l(1) THEN NULL; END CASE; END",
	"DECLARE a int; r record; BEGIN FOR i IN f(1)..g(2) BY h(3) LOOP EXIT WHEN i(4); END LOOP; FOR r IN SELECT j(1) FROM t LOOP UPDATE u SET x = 1; END LOOP; WHILE k(1) LOOP CONTINUE; END LOOP; FOREACH a IN ARRAY l(1) LOOP NULL; END LOOP; END",
	"DECLARE a int; BEGIN SELECT f(x) INTO STRICT a FROM t; INSERT INTO u VALUES (1) RETURNING y INTO a; RAISE NOTICE '%', g(1) USING HINT = h(2); ASSERT i(1), j(2); CALL p(k(1)); RETURN l(3); END",
	"BEGIN BEGIN INSERT INTO t VALUES (f(1)); EXCEPTION WHEN unique_violation THEN DELETE FROM u WHERE x = g(2); WHEN OTHERS THEN PERFORM h(3); END; END",
	"DECLARE c refcursor; BEGIN OPEN c FOR SELECT f(1) FROM t; MOVE NEXT FROM c; RETURN; END",
	"<<o>> DECLARE x int DEFAULT f(1); BEGIN <<l>> LOOP EXIT l WHEN g(2); END LOOP l; DECLARE y int := h(3); BEGIN y := o.x + i(4); END; END o",
}

// TestAgainstLibpgquery: every expression that libpg_query's parser finds in a body, this one finds, too. That parser takes the standard error
// away while it reads, so nothing may run beside it.
func TestAgainstLibpgquery(t *testing.T) {
	for _, text := range oracleBodies {
		encoded, err := pg.ParsePlPgSqlToJSON("CREATE FUNCTION o() RETURNS int LANGUAGE plpgsql AS $oracle$" + text + "$oracle$")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var tree any
		if err := json.Unmarshal([]byte(encoded), &tree); err != nil {
			t.Fatal(err)
		}
		facts := " " + told(AnalyzeBody("plpgsql", text)) + " "
		found := 0
		for _, expression := range oracleExpressions(tree) {
			if _, value, assigned := strings.Cut(expression, ":="); assigned {
				expression = value
			}
			b := &Body{}
			if b.add(expression); b.Err != nil {
				b = &Body{}
				b.addExpression(expression)
			}
			if b.Err != nil {
				t.Errorf("%q of %s: %v", expression, text, b.Err)
			}
			for _, fact := range strings.Fields(told(b)) {
				found++
				if !strings.Contains(facts, " "+fact+" ") {
					t.Errorf("%s of %q isn't among%sof\n\t%s", fact, expression, facts, text)
				}
			}
		}
		if found < 2 {
			t.Errorf("only %d facts in %s", found, text)
		}
	}
}

func oracleExpressions(tree any) (expressions []string) {
	switch tree := tree.(type) {
	case map[string]any:
		if e, ok := tree["PLpgSQL_expr"].(map[string]any); ok {
			query, _ := e["query"].(string)
			expressions = append(expressions, query)
		}
		for _, inner := range tree {
			expressions = append(expressions, oracleExpressions(inner)...)
		}
	case []any:
		for _, inner := range tree {
			expressions = append(expressions, oracleExpressions(inner)...)
		}
	}
	return expressions
}
