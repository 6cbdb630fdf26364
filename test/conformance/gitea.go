package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// giteaVersion is the web application whose integration tests are run: a version whose dependencies the Go module proxy
// serves, all of them.
const (
	giteaModule  = "code.gitea.io/gitea"
	giteaVersion = "v1.25.0"
)

// giteaTests are the tests that are run: pages and API calls of users, repositories, issues and organizations, which need
// nothing but PostgreSQL and git. giteaSkipped would clone from elsewhere, or need the hooks of the fixtures' repositories,
// which are not executable in a module's archive; the last one gives
// a background worker one second, which fails straight at the server, too, on a busy machine.
const (
	giteaTests = `^Test(API(Admin|Comment|EditIssue|Issue|List|Get|Org|Notification|Search|Team|User)|View|User|Nodeinfo|Org|` +
		`Explore|Sign|PrivateActivity)`
	giteaSkipped = `^TestAPIRepo(Migrate|Branches)|^TestViewIssuesKeyword$`
)

// giteaSuite is Gitea's integration tests, the real application with its HTTP handlers and its ORM, on PostgreSQL.
func giteaSuite() *suite {
	var directory string
	return &suite{
		name: "Gitea", bound: 20 * time.Minute, passes: 1, explain: true,
		fetch: func(ctx context.Context) (err error) {
			directory, err = pgtest.Cached("conformance-gitea-"+giteaVersion, func(target string) error { return buildGitea(ctx, target) })
			return err
		},
		prepare: func(ctx context.Context, s *pgtest.Server) error {
			return s.Exec(ctx, "postgres", "CREATE DATABASE testgitea")
		},
		run: func(ctx context.Context, p place) (results, error) { return runGitea(ctx, directory, p) },
	}
}

// buildGitea copies the module and compiles its integration tests and the
// program that git's hooks call. It takes many minutes.
func buildGitea(ctx context.Context, target string) error {
	if err := copyModule(ctx, giteaModule+"@"+giteaVersion, target); err != nil {
		return err
	}
	if _, err := output(ctx, target, "go", "test", "-vet=off", "-ldflags=-s -w", "-c", "-o", "integration.test", "./tests/integration"); err != nil {
		return err
	}
	_, err := output(ctx, target, "go", "build", "-ldflags=-s -w", "-o", "gitea", ".")
	return err
}

// runGitea runs the tests. All files that they write are below the place's directory.
func runGitea(ctx context.Context, source string, p place) (results, error) {
	if err := os.MkdirAll(p.directory, 0o755); err != nil {
		return nil, err
	}
	configuration, err := giteaConfiguration(source, p)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, filepath.Join(source, "integration.test"), "-test.v",
		"-test.run", giteaTests, "-test.skip", giteaSkipped, "-test.timeout", "18m")
	command.Dir = filepath.Join(source, "tests", "integration")
	command.Env = append(clean(os.Environ()), "GITEA_ROOT="+source, "GITEA_CONF="+configuration, "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true")
	return runGroup(command, filepath.Join(p.directory, "log"), parseGitea)
}

// giteaConfiguration writes the configuration that Gitea's Makefile makes for PostgreSQL, with files instead of an
// object store and everything below the place's directory. It returns its path relative to the sources, as the hooks of the
// fixtures want it.
func giteaConfiguration(source string, p place) (string, error) {
	template, err := os.ReadFile(filepath.Join(source, "tests", "pgsql.ini.tmpl"))
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer(
		"tests/{{TEST_TYPE}}/gitea-{{TEST_TYPE}}-pgsql", filepath.Join(p.directory, "data"),
		"{{REPO_TEST_DIR}}tests/{{TEST_TYPE}}/gitea-{{TEST_TYPE}}-pgsql", filepath.Join(p.directory, "data"),
		"{{REPO_TEST_DIR}}", p.directory+"/", "{{TEST_TYPE}}", "integration", "{{TEST_LOGGER}}", "test,file",
		"{{TEST_PGSQL_HOST}}", net.JoinHostPort(p.host, p.port), "{{TEST_PGSQL_DBNAME}}", "testgitea", "{{TEST_PGSQL_SCHEMA}}", "gtestschema",
		"{{TEST_PGSQL_USERNAME}}", "postgres", "{{TEST_PGSQL_PASSWORD}}", "postgres",
		"STORAGE_TYPE = minio", "STORAGE_TYPE = local",
	).Replace(string(template))
	path := filepath.Join(p.directory, "app.ini")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", err
	}
	return filepath.Rel(source, path)
}

// goTestLine ends a test in the output of go test -v. Gitea prints to the same lines.
var goTestLine = regexp.MustCompile(`--- (PASS|FAIL|SKIP): (\S+) \(`)

// giteaEnd stands among the tests for the end of the run: it failed where a panic cut the run short.
const giteaEnd = "the end of the run"

// parseGitea reads the outcomes of tests and subtests. What had begun and did not end counts as failed.
func parseGitea(log io.Reader) (results, error) {
	found := results{giteaEnd: failed}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if name, begins := strings.CutPrefix(line, "=== RUN   "); begins {
			found[strings.TrimSpace(name)] = failed
		} else if line == "PASS\n" || line == "FAIL\n" {
			found[giteaEnd] = passed
		}
		for _, m := range goTestLine.FindAllStringSubmatch(line, -1) {
			found[m[2]] = map[string]outcome{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[1]]
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
