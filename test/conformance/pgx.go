package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// pgxModule is the driver whose tests are run, in the version of go.mod.
const pgxModule = "github.com/jackc/pgx/v5"

// pgxSuite is pgx's own test suite.
func pgxSuite(directory string) *suite {
	source := filepath.Join(directory, "pgx")
	return &suite{
		name: "pgx", bound: 14 * time.Minute, passes: 1,
		fetch: func(ctx context.Context) error { return copyModule(ctx, pgxModule, source) },
		prepare: func(ctx context.Context, s *pgtest.Server) error {
			if err := s.Exec(ctx, "postgres", "CREATE DATABASE pgx_test"); err != nil {
				return err
			}
			return s.Exec(ctx, "pgx_test", pgxSetup)
		},
		run: func(ctx context.Context, p place) (results, error) { return runPgx(ctx, source, p) },
	}
}

// pgxSetup is pgx's testsetup/postgresql_setup.sql as far as the tests need it without TLS.
const pgxSetup = `
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE DOMAIN uint64 AS numeric(20,0);
CREATE USER pgx_md5 SUPERUSER PASSWORD 'secret';
CREATE USER " tricky, ' } "" \ test user " SUPERUSER PASSWORD 'secret'`

// copyModule copies a module, as PATH or PATH@VERSION, out of Go's cache, which is read-only.
func copyModule(ctx context.Context, path, target string) error {
	out, err := output(ctx, "", "go", "mod", "download", "-json", path)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("go mod download: %w", err)
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(module.Dir))
}

// pgxPackages are those that talk to a server.
var pgxPackages = []string{".", "./pgconn/...", "./pgtype/...", "./pgxpool/...", "./stdlib/...", "./tracelog/...", "./multitracer/..."} //nolint:gochecknoglobals // constant

// runPgx runs the tests. Many of them measure time; what fails on a busy machine is run once more, one test at a time, and then counts.
func runPgx(ctx context.Context, source string, p place) (results, error) {
	if err := os.MkdirAll(p.directory, 0o755); err != nil {
		return nil, err
	}
	found, err := goTest(ctx, source, p, "log")
	var names []string
	for test, o := range found {
		if o == failed {
			_, name, _ := strings.Cut(test, " ")
			name, _, _ = strings.Cut(name, "/")
			names = append(names, "^"+name+"$")
		}
	}
	if err != nil || len(names) == 0 {
		return found, err
	}
	again, err := goTest(ctx, source, p, "log-again", "-p=1", "-parallel=1", "-run="+strings.Join(names, "|"))
	maps.Copy(found, again)
	return found, err
}

// goTest runs go test with the server at hand and its output in a file.
func goTest(ctx context.Context, source string, p place, log string, flags ...string) (results, error) {
	dsn := fmt.Sprintf("host=%s port=%s user=pgx_md5 password=secret dbname=pgx_test", p.host, p.port)
	arguments := append([]string{"test", "-json", "-count=1", "-timeout=10m"}, flags...)
	command := exec.CommandContext(ctx, "go", append(arguments, pgxPackages...)...)
	command.Dir = source
	command.Env = append(clean(os.Environ()), "PGX_TEST_DATABASE="+dsn, "PGX_TEST_TCP_CONN_STRING="+dsn, "GOFLAGS=-mod=mod", "GOWORK=off")
	return runGroup(command, filepath.Join(p.directory, log), parseGoTest)
}

// runGroup runs a command with its children in a process group, all of which end with its context, and reads the outcomes from
// its output. A command that fails is an error only where no test did.
func runGroup(command *exec.Cmd, logFile string, parse func(io.Reader) (results, error)) (results, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var stderr bytes.Buffer
	command.Stdout, command.Stderr = log, &stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = stopBound
	runErr := command.Run()
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	found, err := parse(log)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	if runErr != nil && found.count(failed) == 0 {
		return found, fmt.Errorf("%s: %w: %s, see %s", filepath.Base(command.Path), runErr, firstLines(stderr.String()), logFile)
	}
	return found, nil
}

func firstLines(text string) string {
	lines := strings.SplitN(strings.TrimSpace(text), "\n", 6)
	return strings.Join(lines[:min(len(lines), 5)], "; ")
}

// temporary is what differs from run to run in a test's name.
var temporary = regexp.MustCompile(`/tmp/\w+/\d+/`)

// parseGoTest reads the events of go test -json. A package that ended without one of its tests having failed, by a panic or its time limit,
// counts as a failed test.
func parseGoTest(log io.Reader) (results, error) {
	found := results{}
	failures := map[string]bool{} // packages in which a test failed
	var ended []string            // packages that failed
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		var event struct{ Action, Package, Test string }
		if json.Unmarshal(line, &event) == nil {
			name := strings.TrimPrefix(event.Package, pgxModule) + " " + temporary.ReplaceAllString(event.Test, "")
			switch {
			case event.Test == "" && event.Action == "fail":
				ended = append(ended, event.Package)
			case event.Test == "":
			case event.Action == "pass":
				found[name] = passed
			case event.Action == "skip":
				found[name] = skipped
			case event.Action == "fail":
				found[name] = failed
				failures[event.Package] = true
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range ended {
		if !failures[name] {
			found[strings.TrimPrefix(name, pgxModule)+" the package"] = failed
		}
	}
	return found, nil
}
