package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

const root = "../.."

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFilesOfDeployParse holds every YAML and JSON file to its syntax. What they mean to Docker, Helm, Kubernetes and GoReleaser is tested in
// deploy/check.
func TestFilesOfDeployParse(t *testing.T) {
	names := []string{"docker-compose.yml"}
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "templates" { // of a chart: YAML when they are rendered
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var v any
		switch filepath.Ext(name) {
		case ".yml", ".yaml":
			err = yaml.UnmarshalWithOptions(read(t, name), &v, yaml.Strict())
		case ".json":
			err = json.Unmarshal(read(t, name), &v)
		default:
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestComposeConfiguresPgrecall loads what the composition gives to pgrecall.
func TestComposeConfiguresPgrecall(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(read(t, "docker-compose.yml"), &compose); err != nil {
		t.Fatal(err)
	}
	variables := compose.Services["pgrecall"].Environment
	for _, m := range regexp.MustCompile(`(PGRECALL_[A-Z_]+)=(\S+)`).FindAllStringSubmatch(string(read(t, "Dockerfile")), -1) {
		variables[m[1]] = m[2]
	}
	c := configured(t, variables)
	if c.Upstream == "" || c.Redis == "" {
		t.Errorf("%+v", c)
	}
}

// configured loads what a deployment gives to pgrecall, as serve does. A variable of pgrecall that nothing asks for is an error.
func configured(t *testing.T, variables map[string]string) *config.Config {
	t.Helper()
	asked := map[string]bool{}
	c, err := config.Load(nil, func(name string) string {
		asked[name] = true
		return variables[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := supported(c); err != nil {
		t.Error(err)
	}
	for name := range variables {
		if strings.HasPrefix(name, "PGRECALL_") && !asked[name] {
			t.Errorf("%s is no variable of pgrecall", name)
		}
	}
	return c
}

// TestBoardsNameRealMetrics compares the names on the board and in the rules with what a running
// instance shows.
func TestBoardsNameRealMetrics(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	none := func(string) string { return "" }
	c, err := config.Load([]string{"--upstream", dsn, "--listen=127.0.0.1:0", "--admin=", "--redis=" + pgtest.StartRedis(t).URL(),
		"--audit-file=" + filepath.Join(t.TempDir(), "audit"), "--tracing-endpoint=http://127.0.0.1:1", "--tracing-sample=0"}, none)
	if err != nil {
		t.Fatal(err)
	}
	up, err := parseUpstream(c, none)
	if err != nil {
		t.Fatal(err)
	}
	i, err := start(t.Context(), c, up, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err := awaitCatalog(t.Context(), i, throughProxy(up.config, i)); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), throughProxy(up.config, i))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil { // so that something has been counted
		t.Error(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	families, err := i.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	real := map[string]bool{}
	for _, f := range families {
		real[f.GetName()] = true
	}
	metric := regexp.MustCompile(`\b(pgrecall_[a-z0-9_]+|process_[a-z_]+)`)
	recorded := regexp.MustCompile(`\b[a-z_]+:pgrecall_[a-z_]+:[a-z0-9_]+`)
	for _, name := range []string{
		"deploy/grafana/dashboards/overview.json", "deploy/grafana/dashboards/tables.json", "deploy/grafana/dashboards/statements.json",
		"deploy/grafana/dashboards/fleet.json", "deploy/prometheus/rules.yml", "docs/operating.md", "docs/monitoring.md",
	} {
		text := recorded.ReplaceAllString(string(read(t, name)), "")
		for _, m := range metric.FindAllString(text, -1) {
			if !real[strings.TrimSuffix(m, "_bucket")] && !real[strings.TrimSuffix(m, "_sum")] && !real[strings.TrimSuffix(m, "_count")] {
				t.Errorf("%s: no metric %s", name, m)
			}
		}
	}
}

// TestDocumentedReasons holds the table of reasons to the code.
func TestDocumentedReasons(t *testing.T) {
	text := read(t, "docs/explain.md")
	for _, r := range cachepolicy.Reasons {
		what, change := r.Meaning()
		if row := "| `" + string(r) + "` | " + what + " | " + change + " |\n"; !bytes.Contains(text, []byte(row)) {
			t.Errorf("docs/explain.md lacks\n%s", row)
		}
	}
}
