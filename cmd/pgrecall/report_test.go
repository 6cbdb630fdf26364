package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	reports "github.com/pgrecall/pgrecall/admin/report"
)

// report runs `pgrecall report --json` with more flags.
func (s *served) report(args ...string) (r reports.Report) {
	s.t.Helper()
	status, told, complaint := runCommand(s.t, nil, append([]string{"report", "--json", "--admin", strings.TrimPrefix(s.admin, "http://")}, args...)...)
	if status != 0 {
		s.t.Fatalf("%d: %s", status, complaint)
	}
	if err := json.Unmarshal([]byte(told), &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// TestReportAfterShadow: a day of shadow mode, in short: what would have been hits, what they would have saved, the rules that were in force, a
// proposal that pgrecall starts with.
func TestReportAfterShadow(t *testing.T) {
	s := serve(t, "--config", writeFile(t, `
cache: {mode: shadow, max_result: 2MiB}
rules:
  - {name: "the \"ledger\": never", match: {tables: [ledger]}, cache: never}
  - name: all of it
    match: {tables: [a, "b_*"], schema: s, database: d, user: u, fingerprint: 00ff, query: "select *"}
    ttl: 5s
    max_result: 3MiB
    consistency: session
    stale_while_revalidate: 30s
    stale_if_error: 1m30s
  - {match: {tables: x}, cache: auto}
functions:
  - {name: "rate", reads: [r], cache: true}
  - {name: "log", effects: none}
triggers:
  - {name: g, table: s.t, writes: [w, x]}
`))
	conn := s.connect(false)
	run(t, conn, "CREATE TABLE t AS SELECT generate_series(1, 300) AS a")
	run(t, conn, "CREATE TABLE w (n int)")
	awaitReady(t, s.admin+"/readyz")
	const query, n = "SELECT count(*) FROM t x, t y, t z WHERE x.a < 40 AND x.a + y.a + z.a = 100", 20
	var each []time.Duration
	for range n {
		began := time.Now()
		readInt(t, conn, query)
		each = append(each, time.Since(began))
	}
	run(t, conn, "INSERT INTO w VALUES (1)")

	r := s.report()
	const shape = "select count(*) from t x, t y, t z where x.a < $1 and x.a + y.a + z.a = $2"
	i := slices.IndexFunc(r.Statements, func(s reports.Statement) bool { return s.Query == shape })
	if i < 0 {
		t.Fatalf("%+v", r.Statements)
	}
	var took float64
	for _, d := range each[1:] {
		took += d.Seconds()
	}
	got := r.Statements[i]
	if got.Reads != n || got.Hits != n-1 || got.Misses != 1 || got.Bypass+got.Differed+got.Inconclusive != 0 || got.Compared != n-1 || got.Verdict != reports.Pays {
		t.Errorf("%d reads: %+v", n, got)
	}
	if got.SecondsSaved > took || got.SecondsSaved < took/2 {
		t.Errorf("%v s saved, and the client waited for %v s", got.SecondsSaved, took)
	}
	i = slices.IndexFunc(r.Tables, func(t reports.Table) bool { return t.Name == "public.t" })
	if i < 0 || r.Tables[i].Hits != n-1 || r.Tables[i].SecondsSaved != got.SecondsSaved || r.Tables[i].Writes != 0 {
		t.Errorf("%+v", r.Tables)
	}
	i = slices.IndexFunc(r.Tables, func(t reports.Table) bool { return t.Name == "public.w" })
	if i < 0 || r.Tables[i].Writes != 1 || r.Tables[i].Reads != 0 {
		t.Errorf("%+v", r.Tables)
	}
	if r.Cache != "shadow" || r.Summary.Hits != n-1 || r.Summary.SavedShare <= 0 || r.Summary.SavedShare > 1 || r.Proposal.Mode != "on" || r.Risks[len(r.Risks)-1].Kind != "writes_past" {
		t.Errorf("%+v", r)
	}

	folder := t.TempDir()
	page, proposal := filepath.Join(folder, "report.html"), filepath.Join(folder, "proposed.yaml")
	args := []string{"report", "--admin", strings.TrimPrefix(s.admin, "http://"), "--html", page, "--propose", proposal}
	status, text, complaint := runCommand(t, nil, args...)
	if status != 0 || !strings.Contains(text, "What would be saved") || !strings.Contains(text, shape) {
		t.Fatalf("%d: %s %s", status, text, complaint)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<svg ") || !strings.HasSuffix(string(b), "</html>\n") {
		t.Errorf("%v %s", err, b)
	}
	if status, _, complaint := runCommand(t, nil, args...); status != 1 || !strings.Contains(complaint, "is there already") {
		t.Errorf("over a file that is there: %d %s", status, complaint)
	}
	if status, told, _ := runCommand(t, nil, "check", proposal); status != 0 || told != "ok\n" {
		t.Errorf("check: %d %s", status, told)
	}
	started := serve(t, "--config", proposal)
	if status := started.status(); status.Cache != "on" {
		t.Errorf("%+v", status)
	}
	policy := func(s *served) string {
		var traffic struct{ Policy json.RawMessage }
		if err := json.Unmarshal([]byte(s.get("/api/traffic")), &traffic); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, traffic.Policy); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const want = `{"default_ttl":"60s","max_result":"2MiB","consistency":"strict","rules":[{"name":"the \"ledger\": never","match":{"tables":["ledger"]},"cache":"never"},` +
		`{"name":"all of it","match":{"tables":["a","b_*"],"schema":"s","database":"d","user":"u","fingerprint":"00ff","query":"select *"},"ttl":"5s","max_result":"3MiB",` +
		`"consistency":"session","stale_while_revalidate":"30s","stale_if_error":"90s"},{"match":{"tables":["x"]}}],` +
		`"functions":[{"name":"rate","reads":["r"],"cache":true},{"name":"log","effects":"none"}],"triggers":[{"name":"g","table":"s.t","writes":["w","x"]}]}`
	if was := policy(s); was != want {
		t.Errorf("in force are:\n%s\nwant:\n%s", was, want)
	}
	if is := policy(started); is != want {
		t.Errorf("in force with the proposal are:\n%s\nwant:\n%s", is, want)
	}
}

// TestReportFindsADifference: somebody writes past pgrecall, and the report says so before all else, and proposes not to cache it.
func TestReportFindsADifference(t *testing.T) {
	s := serve(t, "--cache", "shadow")
	conn, direct := s.connect(false), s.connect(true)
	run(t, conn, "CREATE TABLE t (a int)")
	run(t, conn, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	const query = "SELECT a FROM t"
	readInt(t, conn, query)
	run(t, direct, "UPDATE t SET a = 2")
	readInt(t, conn, query)
	r := s.report()
	if r.Risks[0].Severity != reports.Wrong || r.Risks[0].Kind != "differed" || !strings.Contains(r.Risks[0].On[0], "select a from t") || r.Summary.Differed != 1 {
		t.Errorf("%+v", r.Risks)
	}
	if p := r.Proposal; p.Mode != "shadow" || len(p.Rules) == 0 || p.Rules[0].Cache != "never" || p.Rules[0].Tables[0].Name != "public.t" {
		t.Errorf("%+v", p)
	}
}

// TestReportOfWhatIsServed: with the cache on the figures are of what it did.
func TestReportOfWhatIsServed(t *testing.T) {
	s := serve(t)
	conn := s.connect(false)
	run(t, conn, "CREATE TABLE t (a int)")
	run(t, conn, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	for range 10 {
		readInt(t, conn, "SELECT a FROM t")
	}
	r := s.report("--token", "none is needed")
	if r.Summary.Hits != 9 || r.Summary.Misses != 1 || r.Summary.Compared != 0 || r.Summary.SecondsSaved <= 0 || r.Tables[0].Name != "public.t" || r.Tables[0].Hits != 9 {
		t.Errorf("%+v %+v", r.Summary, r.Tables)
	}
	for name, args := range map[string][]string{
		"no argument":           {"report", "x"},
		"nowhere":               {"report", "--admin", "127.0.0.1:1"},
		"two things for stdout": {"report", "--json", "--html", "-"},
		"no folder":             {"report", "--admin", strings.TrimPrefix(s.admin, "http://"), "--html", filepath.Join(t.TempDir(), "a", "b")},
	} {
		if status, _, complaint := runCommand(t, nil, args...); status != 1 || !strings.HasPrefix(complaint, "pgrecall: ") {
			t.Errorf("%s: %d %s", name, status, complaint)
		}
	}
	if status, told, _ := runCommand(t, nil, "report", "--admin", strings.TrimPrefix(s.admin, "http://"), "--propose", "-"); status != 0 || !strings.HasPrefix(told, "# Proposed by ") {
		t.Errorf("%d %s", status, told)
	}
	if status, told, _ := runCommand(t, nil, "report", "--help"); status != 0 || told != reportHelp {
		t.Errorf("%d %s", status, told)
	}
}
