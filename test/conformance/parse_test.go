package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseRegress(t *testing.T) {
	found, err := parseRegress(strings.NewReader(`parallel group (3 tests):  a b c
     a                            ... ok           30 ms
     b                            ... FAILED (test process exited with exit code 2)       20 ms
test c                            ... ok           21 ms
test random                       ... failed (ignored)       19 ms
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (results{"a": passed, "b": failed, "c": passed, "random": skipped}); !reflect.DeepEqual(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}

func TestScheduledTests(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schedule")
	if err := os.WriteFile(file, []byte("# test: none\ntest: a\n\ntest: b c\nignore: d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := scheduledTests(file)
	if want := []string{"a", "b", "c"}; err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
}

func TestParseFigures(t *testing.T) {
	found, err := parseFigures(strings.NewReader("# HELP x\npgrecall_statements_total{outcome=\"miss\"} 3\npgrecall_up 1\ngo_info{version=\"x\"} 1\n"))
	want := figures{"pgrecall_statements_total": {"miss": 3}, "pgrecall_up": {"": 1}}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("%v %v, want %v", found, err, want)
	}
	later := figures{"pgrecall_statements_total": {"miss": 5, "bypass": 1}}
	if n := later.since(found)["pgrecall_statements_total"]; n["miss"] != 2 || n["bypass"] != 1 {
		t.Errorf("difference %v", n)
	}
}

func TestWithSources(t *testing.T) {
	got := string(withSources([]byte("deb [signed-by=/k] http://x/debian stable main\nTypes: deb\nURIs: http://x\n")))
	want := "deb [signed-by=/k] http://x/debian stable main\ndeb-src [signed-by=/k] http://x/debian stable main\nTypes: deb deb-src\nURIs: http://x\n"
	if got != want {
		t.Errorf("%q", got)
	}
}

func TestDifferences(t *testing.T) {
	direct := &report{results: results{"a": passed, "b": failed, "c": passed, "d": passed, "e": skipped}}
	through := &report{results: results{"a": passed, "b": failed, "c": failed, "e": failed}}
	if got, want := through.differences(direct), []string{"c", "d"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPublishReplacesTheMeasuredPart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(file, []byte("a\n"+measuredBegin+"old"+measuredEnd+"\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish(file, "new"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if want := "a\n" + measuredBegin + "\nnew\n" + measuredEnd + "\nb\n"; err != nil || string(content) != want {
		t.Errorf("%q %v", content, err)
	}
}

func TestParseGoTest(t *testing.T) {
	found, err := parseGoTest(strings.NewReader(`{"Action":"run","Package":"github.com/jackc/pgx/v5/pgconn","Test":"TestA"}
{"Action":"pass","Package":"github.com/jackc/pgx/v5/pgconn","Test":"TestA"}
no event
{"Action":"skip","Package":"github.com/jackc/pgx/v5","Test":"TestB"}
{"Action":"fail","Package":"github.com/jackc/pgx/v5/pgconn"}
{"Action":"pass","Package":"github.com/jackc/pgx/v5"}
{"Action":"fail","Package":"github.com/jackc/pgx/v5/stdlib","Test":"TestC/f='/tmp/TestC123/001/x'"}
{"Action":"fail","Package":"github.com/jackc/pgx/v5/stdlib"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (results{"/pgconn TestA": passed, " TestB": skipped, "/pgconn the package": failed, "/stdlib TestC/f='x'": failed}); !reflect.DeepEqual(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}

func TestParseJUnit(t *testing.T) {
	found, err := parseJUnit(strings.NewReader(`<testsuites><testsuite>
<testcase classname="test.test_suite.A" name="a"/>
<testcase classname="test.test_suite.A" name="b"><failure message="x"/></testcase>
<testcase classname="test.test_suite.A" name="c"><skipped/></testcase>
<testcase classname="test.test_suite.A" name="a"><error/></testcase>
</testsuite></testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (results{"A.a": failed, "A.b": failed, "A.c": skipped}); !reflect.DeepEqual(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}
