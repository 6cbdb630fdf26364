package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestRulesOfPrometheus has promtool check the files and run the unit tests of the rules.
func TestRulesOfPrometheus(t *testing.T) {
	folder := filepath.Join(root, "deploy/prometheus")
	for _, arguments := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
		c := exec.CommandContext(t.Context(), "promtool", arguments...)
		c.Dir = folder
		if output, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
}

// rules are what the test reads of a file of rules.
type rules struct {
	Groups []struct {
		Rules []struct{ Record, Alert string }
	}
}

func readRules(t *testing.T) rules {
	t.Helper()
	var r rules
	if err := yaml.Unmarshal(read(t, "deploy/prometheus/rules.yml"), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryAlertIsTestedAndDocumented compares the names.
func TestEveryAlertIsTestedAndDocumented(t *testing.T) {
	tests, docs := string(read(t, "deploy/prometheus/rules_test.yml")), string(read(t, "docs/monitoring.md"))
	alerts := 0
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			switch {
			case rule.Record != "" && !strings.Contains(tests, rule.Record):
				t.Errorf("%s has no unit test", rule.Record)
			case rule.Alert != "":
				alerts++
				if !regexp.MustCompile(`alertname: ` + rule.Alert + `\n\s+exp_alerts:`).MatchString(tests) {
					t.Errorf("no unit test in which %s fires", rule.Alert)
				}
				if !strings.Contains(docs, "### "+rule.Alert+"\n") {
					t.Errorf("docs/monitoring.md does not tell of %s", rule.Alert)
				}
			}
		}
	}
	if alerts == 0 || strings.Count(docs, "\n### Pgrecall") != alerts {
		t.Errorf("%d alerts, docs/monitoring.md tells of %d", alerts, strings.Count(docs, "\n### Pgrecall"))
	}
}

// board is what the test reads of a board.
type board struct {
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Panels []struct {
		Title   string
		Targets []struct {
			Expr  string
			Range bool
		}
	}
}

// query is what Prometheus is asked, and where it stands.
type query struct {
	where, expression string
	curve             bool // asked for over time
}

// valuesOf is a variable's query: the values of a label of what matches.
var valuesOf = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// boardQueries returns every query of every board, with what Grafana puts in place of its variables.
func boardQueries(t *testing.T) (all []query) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/grafana/dashboards/*.json"))
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		var b board
		if err := json.Unmarshal(read(t, "deploy/grafana/dashboards/"+filepath.Base(file)), &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		replaced := []string{"$__rate_interval", "4s", "$__range", "5s"}
		add := func(where, expression string, curve bool) {
			expression = strings.NewReplacer(replaced...).Replace(expression)
			if strings.Contains(expression, "$") {
				t.Errorf("%s: unknown variable in %s", where, expression)
			}
			all = append(all, query{filepath.Base(file) + ": " + where, expression, curve})
		}
		for _, v := range b.Templating.List {
			if v.Type == "query" {
				replaced = append(replaced, "$"+v.Name, ".*") // allValue
			}
		}
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			text, _ := v.Query.(map[string]any)["query"].(string)
			parts := valuesOf.FindStringSubmatch(text)
			if parts == nil {
				t.Errorf("%s: query of variable %s: %q", file, v.Name, text)
				continue
			}
			add("variable "+v.Name, fmt.Sprintf(`count by (%s) (%s)`, parts[2], parts[1]), false)
		}
		for _, p := range b.Panels {
			for _, target := range p.Targets {
				add(p.Title, target.Expr, target.Range)
			}
		}
	}
	return all
}

// TestBoardsShowALoadedFleet has a real Prometheus scrape two pgrecalls with a Redis under load: each query of each board and each rule
// has to work and to show something.
func TestBoardsShowALoadedFleet(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	direct, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"CREATE TABLE item AS SELECT g AS id, g * 2 AS price FROM generate_series(1, 1000) g", "CREATE TABLE visit (item int)"} {
		if _, err := direct.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := direct.Close(t.Context()); err != nil {
		t.Error(err)
	}
	redis := pgtest.StartRedis(t)
	var instances []*instance
	var targets []string
	var log lines
	for range 2 {
		i, err := startInstance(t, &log, "--upstream", dsn, "--redis="+redis.URL(), "--admin=127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		instances, targets = append(instances, i), append(targets, i.adminAddr.String())
	}
	loadBoards(t, instances)
	prometheus := startPrometheus(t, targets)

	// That all boards show something means little where the load does not do it all.
	queries := []query{
		{where: "load", expression: `rate(pgrecall_statements_total{outcome="hit_l1"}[4s]) > 0`}, {where: "load", expression: `rate(pgrecall_statements_total{outcome="hit_l2"}[4s]) > 0`},
		{where: "load", expression: `rate(pgrecall_bypass_total{reason="volatile_function"}[4s]) > 0`}, {where: "load", expression: `rate(pgrecall_invalidations_total{source="bus"}[4s]) > 0`},
		{where: "load", expression: `rate(pgrecall_upstream_errors_total{kind="statement"}[4s]) > 0`}, {where: "load", expression: "instance_database_table:pgrecall_hit_rate:ratio_5m > 0"},
	}
	queries = append(queries, boardQueries(t)...)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				queries = append(queries, query{where: "rules.yml", expression: rule.Record})
			}
		}
	}
	deadline := time.Now().Add(40 * time.Second)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for len(queries) > 0 {
		var empty []query
		for _, q := range queries {
			samples, err := prometheus.ask(t.Context(), q)
			if err != nil {
				t.Errorf("%s: %v\n%s", q.where, err, q.expression)
			} else if samples == 0 {
				empty = append(empty, q)
			}
		}
		if queries = empty; time.Now().After(deadline) {
			break
		}
		<-tick.C
	}
	for _, q := range queries {
		t.Errorf("%s: shows nothing\n%s", q.where, q.expression)
	}
	prometheus.checkRules(t)
}

// loadBoards keeps clients of all kinds busy until the test ends.
func loadBoards(t *testing.T, instances []*instance) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	t.Cleanup(func() { stop(); clients.Wait() })
	for n, i := range instances {
		if err := awaitCatalog(ctx, i, throughProxy(i.upstream.config, i)); err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			config := throughProxy(i.upstream.config, i)
			config.DefaultQueryExecMode = pgx.QueryExecModeExec
			c, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close(context.Background()) }()
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			for turn := 0; ctx.Err() == nil; turn++ {
				statement := "SELECT price FROM item WHERE id = " + strconv.Itoa(1+turn%50)
				switch turn % 100 {
				case 10 + n:
					statement = "UPDATE item SET price = price + 1 WHERE id = 7"
				case 20:
					statement = "INSERT INTO visit VALUES (1)"
				case 30, 31:
					statement = "SELECT count(*) FROM visit"
				case 40:
					statement = "SELECT random() FROM visit LIMIT 1"
				case 50:
					statement = "SELECT 1/0"
				}
				_, err := c.Exec(ctx, statement)
				if err != nil && ctx.Err() == nil && turn%100 != 50 {
					t.Errorf("%s: %v", statement, err)
					return
				}
				select {
				case <-pace.C:
				case <-ctx.Done():
				}
			}
		})
	}
}

// prometheusServer is a Prometheus of this machine.
type prometheusServer struct{ address string }

// startPrometheus starts one with the rules that scrapes the addresses; it ends with the test.
func startPrometheus(t *testing.T, targets []string) prometheusServer {
	t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Fatalf("%v (Debian's package prometheus has it; .ci/deps installs it)", err)
	}
	folder := t.TempDir()
	address, err := freeAddress(0)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\nrule_files: [rules.yml]\n"+
		"scrape_configs:\n  - {job_name: pgrecall, static_configs: [{targets: [%s]}]}\n", strings.Join(targets, ", "))
	for name, content := range map[string][]byte{"prometheus.yml": []byte(config), "rules.yml": read(t, "deploy/prometheus/rules.yml")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log lines
	ctx, stop := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	c.Stdout, c.Stderr, c.Cancel = &log, &log, func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			log.mu.Lock()
			defer log.mu.Unlock()
			t.Logf("Prometheus said:\n%s", log.String())
		}
	})
	p := prometheusServer{address}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startBound); ; <-tick.C {
		var ready any
		err := p.get(t.Context(), "/api/v1/status/runtimeinfo", nil, &ready)
		if err == nil {
			return p
		}
		select {
		case <-ended:
			t.Fatalf("Prometheus ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus does not answer: %v", err)
		}
	}
}

// get asks the interface for data.
func (p prometheusServer) get(ctx context.Context, path string, parameters url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", response.Status, answer.Error)
	}
	return nil
}

// ask returns how many samples a query has now, or had in the last seconds, that are numbers.
func (p prometheusServer) ask(ctx context.Context, q query) (samples int, err error) {
	var data struct {
		Result []struct {
			Value  [2]any
			Values [][2]any
		}
	}
	path, parameters := "/api/v1/query", url.Values{"query": {q.expression}}
	if q.curve {
		path = "/api/v1/query_range"
		now := time.Now().Unix()
		parameters["start"], parameters["end"], parameters["step"] = []string{strconv.FormatInt(now-5, 10)}, []string{strconv.FormatInt(now, 10)}, []string{"1"}
	}
	if err := p.get(ctx, path, parameters, &data); err != nil {
		return 0, err
	}
	for _, r := range data.Result {
		for _, value := range append(r.Values, r.Value) {
			text, _ := value[1].(string)
			if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				samples++
			}
		}
	}
	return samples, nil
}

// checkRules reports rules that could not be evaluated, and alerts that fire though nothing is wrong.
func (p prometheusServer) checkRules(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	if err := p.get(t.Context(), "/api/v1/rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			n++
			if rule.Health != "ok" || rule.State == "firing" {
				t.Errorf("%s: %s %s %s", rule.Name, rule.Health, rule.State, rule.LastError)
			}
		}
	}
	if n == 0 {
		t.Error("no rules")
	}
}
