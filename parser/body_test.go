package parser

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// told writes the facts of a body: what it reads, writes with +, calls with (), converts to with ::.
func told(b *Body) string {
	if b.Err != nil {
		return "error: " + b.Err.Error()
	}
	var facts []string
	note := func(fact string) {
		if !slices.Contains(facts, fact) {
			facts = append(facts, fact)
		}
	}
	for _, c := range b.Commands {
		if c.Kind != KindSelect && c.Kind != KindWrite {
			note("<" + c.Tag + ">")
		}
		for _, r := range c.Reads {
			note(strings.TrimPrefix(r.Schema+"."+r.Name, "."))
		}
		for _, w := range c.Writes {
			note(fmt.Sprintf("+%s%d", strings.TrimPrefix(w.Schema+"."+w.Name, "."), w.Op))
		}
		for _, f := range c.Functions {
			note(f.Name + "()")
		}
		for _, o := range c.Operators {
			note("op" + o.Name)
		}
		for _, t := range c.Casts {
			note("::" + t.Type)
		}
	}
	for _, t := range b.Types {
		note("type " + t.Type)
	}
	for _, r := range b.Rows {
		note("row " + strings.TrimPrefix(r.Schema+"."+r.Name, "."))
	}
	if b.Ends {
		note("ends")
	}
	if b.Cursor {
		note("cursor")
	}
	if b.Opens {
		note("opens")
	}
	if b.Notices {
		note("notices")
	}
	slices.Sort(facts)
	return strings.Join(facts, " ")
}

var bodyTests = []struct{ language, text, want string }{
	{"plpgsql", "BEGIN END", ""},
	{"plpgsql", "begin null; end;", ""},
	{"plpgsql", "BEGIN NEW.updated_at := now(); RETURN NEW; END;", "now()"},
	{"plpgsql", "BEGIN NEW.updated_at = clock_timestamp(); RETURN NEW; END", "clock_timestamp()"},
	{"plpgsql", "BEGIN INSERT INTO audit.log VALUES (tg_op, row_to_json(NEW)); RETURN NULL; END", "+audit.log1 row_to_json()"},
	{"plpgsql", "BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; IF NOT FOUND THEN INSERT INTO t VALUES (NEW.id, 1); END IF; RETURN NEW; END", "+t1 +t2 op+ op="},
	{"plpgsql", "BEGIN IF a > f(1) THEN b(); END IF; END", "error: parser: the text is not understood"},
	{"plpgsql", "BEGIN IF a > f(1) THEN PERFORM b(); ELSIF c(2) THEN d := e(3); ELSEIF g THEN NULL; ELSE DELETE FROM h; END IF; END", "+h3 b() c() e() f() op>"},
	{"plpgsql", "BEGIN CASE a(1) WHEN b(2), 3 THEN PERFORM c(); WHEN 4 THEN NULL; ELSE PERFORM d(); END CASE; END", "a() b() c() d() op="},
	{"plpgsql", "BEGIN CASE WHEN a(1) THEN PERFORM c(); END CASE; END", "a() c()"},
	{"plpgsql", "<<outer>> DECLARE a int := f(1); b CONSTANT text NOT NULL DEFAULT g(2); c t%ROWTYPE; d s.t.x%TYPE; e a%TYPE; h numeric(10,2)[] = '{}'; i text COLLATE \"C\" := 'x'; j ALIAS FOR $1; BEGIN END outer;", "f() g() row s.t row t type int4 type numeric type text"},
	{"plpgsql", "DECLARE c CURSOR (x int, y numeric(1,2)) FOR SELECT * FROM t WHERE a = x; r refcursor; BEGIN OPEN c(1, y := f(2)); FETCH NEXT FROM c INTO a, b.c; CLOSE c; OPEN r FOR SELECT g(1); MOVE 3 FROM r; FOR q IN c(h(1), 2) LOOP NULL; END LOOP; END", "cursor f() g() h() op= opens t type int4 type numeric type refcursor"},
	{"plpgsql", "DECLARE c NO SCROLL CURSOR IS SELECT f(); BEGIN FOR q IN c LOOP NULL; END LOOP; END", "f()"},
	{"plpgsql", "BEGIN FOR i IN a(1)..b(2) BY c(3) LOOP PERFORM d(); EXIT WHEN e(4); CONTINUE l WHEN g(5); END LOOP; END", "a() b() c() d() e() g()"},
	{"plpgsql", "BEGIN FOR i IN REVERSE 10..1 LOOP EXIT; END LOOP; FOR i IN 1..10 LOOP CONTINUE; END LOOP l; END", ""},
	{"plpgsql", "BEGIN FOR a, b.c IN SELECT x FROM t ORDER BY f(x) LOOP UPDATE u SET a = 1; END LOOP; FOR r IN DELETE FROM v RETURNING * LOOP NULL; END LOOP; END", "+u2 +v3 f() t"},
	{"plpgsql", "BEGIN FOREACH a SLICE 1 IN ARRAY f(1) LOOP PERFORM g(); END LOOP; WHILE h(1) LOOP NULL; END LOOP; <<l>> LOOP EXIT l; END LOOP l; END", "f() g() h()"},
	{"plpgsql", "BEGIN RETURN QUERY SELECT a FROM t; RETURN QUERY DELETE FROM u RETURNING *; RETURN NEXT f(1); RETURN NEXT; RETURN; END", "+u3 f() t"},
	{"plpgsql", "BEGIN RETURN QUERY SELECT 10 INTO x; END", "<SELECT INTO>"},
	{"plpgsql", "BEGIN RETURN (SELECT max(x) FROM t); END", "max() t"},
	{"plpgsql", "BEGIN RETURN count(*) FROM t; END", "count() t"},
	{"plpgsql", "BEGIN RAISE NOTICE 'a % b %', f(1), g(2) USING HINT = h(3), DETAIL := 'x'; RAISE; RAISE EXCEPTION 'x'; RAISE division_by_zero; RAISE SQLSTATE '22012' USING MESSAGE = i(4); RAISE USING MESSAGE = 'x'; END", "f() g() h() i() notices"},
	{"plpgsql", "BEGIN RAISE EXCEPTION 'a'; END", ""},
	{"plpgsql", "BEGIN ASSERT f(1) > 0, g(2); END", "f() g() op>"},
	{"plpgsql", "BEGIN GET DIAGNOSTICS a = ROW_COUNT, b := PG_CONTEXT; GET STACKED DIAGNOSTICS c = MESSAGE_TEXT; END", ""},
	{"plpgsql", "BEGIN INSERT INTO t VALUES (1); EXCEPTION WHEN unique_violation OR SQLSTATE '22012' THEN DELETE FROM u; WHEN OTHERS THEN PERFORM f(); END", "+t1 +u3 f()"},
	{"plpgsql", "BEGIN DECLARE x int; BEGIN INSERT INTO t VALUES (1); END; BEGIN NULL; EXCEPTION WHEN OTHERS THEN NULL; END inner; END", "+t1 type int4"},
	{"plpgsql", "BEGIN SELECT a, f(b) INTO STRICT x, y.z FROM t WHERE c = 1; SELECT INTO r * FROM u; INSERT INTO v VALUES (1) RETURNING id INTO x; END", "+v1 f() op= t u"},
	{"plpgsql", "BEGIN WITH d AS (INSERT INTO a SELECT 1 RETURNING *) SELECT count(*) INTO n FROM d JOIN e USING (x); END", "+a1 count() e op="},
	{"plpgsql", "BEGIN a[f(1)] := g(2); a.b[1].c := h(3); $1 := 5; \"Q\" := 'x'; END", "f() g() h()"},
	{"plpgsql", "DECLARE log int; query text; BEGIN log := 1; query := f(2); return := 3; log = 4; END", "f() type int4 type text"},
	{"plpgsql", "BEGIN x:=-1; y=-f(1); z := a<-1; END", "f() op- op<"},
	{"plpgsql", "BEGIN CALL p(1, f(2)); COMMIT; ROLLBACK AND CHAIN; DO $$BEGIN DELETE FROM t; END$$; END", "<CALL> <DO> ends f() p()"},
	{"plpgsql", "BEGIN SET LOCAL search_path = x; LOCK TABLE t; NOTIFY c; TRUNCATE u; END", "+u5 <LOCK TABLE> <NOTIFY> <SET>"},
	{"plpgsql", "#variable_conflict use_column\n#print_strict_params on\nBEGIN PERFORM f(); END", "f()"},
	{"plpgsql", "BEGIN MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1); END", "+t4 op= s"},
	{"plpgsql", "BEGIN IF CASE WHEN a THEN b END THEN NULL; END IF; END", "error: parser: the text is not understood"},
	{"plpgsql", "BEGIN x := CASE WHEN a(1) THEN b(2) ELSE c(3) END; END", "a() b() c()"},
	{"plpgsql", "BEGIN CREATE TABLE x (a int); END", "<CREATE TABLE>"},

	{"plpgsql", "BEGIN EXECUTE 'DELETE FROM t'; END", "error: " + ErrDynamic.Error()},
	{"plpgsql", "BEGIN FOR r IN EXECUTE x LOOP NULL; END LOOP; END", "error: " + ErrDynamic.Error()},
	{"plpgsql", "BEGIN RETURN QUERY EXECUTE x; END", "error: " + ErrDynamic.Error()},
	{"plpgsql", "BEGIN OPEN c FOR EXECUTE x; END", "error: " + ErrDynamic.Error()},
	{"plpgsql", "BEGIN OPEN c; END", "error: " + ErrBody.Error()},
	{"plpgsql", "BEGIN INSERT INTO t VALUES (1) END", "error: " + ErrBody.Error()},
	{"plpgsql", "BEGIN NULL; END; DELETE FROM t", "error: " + ErrBody.Error()},
	{"plpgsql", "BEGIN x := 1) + (2; END", "error: " + ErrBody.Error()},
	{"plpgsql", "BEGIN SELECT a INTO b INTO c FROM t; END", "<SELECT INTO> t"},
	{"plpgsql", "BEGIN FETCH f(1) FROM c INTO x; END", "error: " + ErrBody.Error()},
	{"plpgsql", "BEGIN", "error: " + ErrBody.Error()},
	{"plpgsql", "", "error: " + ErrBody.Error()},
	{"plpgsql", strings.Repeat("BEGIN ", 200) + strings.Repeat("END;", 200), "error: " + ErrTooDeep.Error()},
	{"plpgsql", strings.Repeat("x", MaxText+1), "error: " + ErrTooLong.Error()},

	{"sql", "SELECT 1", ""},
	{"sql", "INSERT INTO t VALUES ($1); SELECT f(x) FROM u WHERE id = $2;", "+t1 f() op= u"},
	{"sql", "", ""},
	{"sql", "SELEC", "error: parser: the text is not understood"},
	{"c", "f", "error: " + ErrLanguage.Error()},
	{"plpython3u", "pass", "error: " + ErrLanguage.Error()},
}

func TestAnalyzeBody(t *testing.T) {
	for _, test := range bodyTests {
		if got := told(AnalyzeBody(test.language, test.text)); got != test.want {
			t.Errorf("%.200s\n\ttells %s\n\twant  %s", test.text, got, test.want)
		}
	}
}

func TestAnalyzeStandardBody(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"CREATE OR REPLACE FUNCTION public.f(a integer) RETURNS integer LANGUAGE sql RETURN (a + public.g(a))", "g() op+"},
		{"CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC INSERT INTO public.t (a) VALUES (1); DELETE FROM public.u; SELECT u.a FROM public.v u; END", "+public.t1 +public.u3 public.v"},
		{"CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC END", "error: " + ErrBody.Error()},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t'", "error: " + ErrBody.Error()},
		{"SELECT 1", "error: " + ErrBody.Error()},
		{"", "error: " + ErrBody.Error()},
	} {
		if got := told(AnalyzeStandardBody(test.text)); got != test.want {
			t.Errorf("%s\n\ttells %s\n\twant  %s", test.text, got, test.want)
		}
	}
}

func TestAnalyzeTriggerCondition(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"CREATE TRIGGER g AFTER UPDATE ON public.t FOR EACH ROW WHEN ((old.a IS DISTINCT FROM public.f(new.a))) EXECUTE FUNCTION public.h()", "f() op="},
		{"CREATE CONSTRAINT TRIGGER g AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (set_config('a', 'b', false) > '') EXECUTE FUNCTION public.h('x')", "op> set_config()"},
		{"SELECT 1", "error: " + ErrBody.Error()},
	} {
		if got := told(AnalyzeTriggerCondition(test.text)); got != test.want {
			t.Errorf("%s\n\ttells %s\n\twant  %s", test.text, got, test.want)
		}
	}
}

func TestBlockOfDo(t *testing.T) {
	for _, test := range []struct{ text, language, body string }{
		{"DO $$BEGIN END$$", "plpgsql", "BEGIN END"},
		{"DO LANGUAGE plperl 'a''b'", "plperl", "a'b"},
		{"DO 'x' LANGUAGE SQL", "sql", "x"},
	} {
		if c := Analyze(test.text).Single(); c == nil || c.Language != test.language || c.Body != test.body {
			t.Errorf("%s: %+v", test.text, c)
		}
	}
}

func FuzzAnalyzeBody(f *testing.F) {
	for _, test := range bodyTests {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := AnalyzeBody("plpgsql", text)
		if b.Err != nil {
			if b.Commands != nil || b.Types != nil || b.Rows != nil {
				t.Fatal("facts beside an error")
			}
			return
		}
		// What is in a body in one form is in it in another.
		canonical, _, _ := Canonicalize(nil, text)
		if again := AnalyzeBody("plpgsql", "begin "+string(canonical)+"; end"); told(again) != told(b) && !errors.Is(again.Err, ErrTooDeep) && !strings.Contains(text, "#") {
			t.Fatalf("%q tells %s, in another block %s", text, told(b), told(again))
		}
	})
}
