package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// regressionSuite is src/test/regress with its parallel schedule, as `make installcheck-parallel` runs it.
func regressionSuite(pg *postgres) *suite {
	return &suite{
		name: "PostgreSQL regression", bound: 10 * time.Minute, passes: 2, verified: true,
		run: func(ctx context.Context, p place) (results, error) {
			parallel := "--max-concurrent-tests=20"
			if p.serial {
				parallel = "--max-connections=1"
			}
			return pgRegress(ctx, pg, p, "regress", "pg_regress", "parallel_schedule", parallel)
		},
	}
}

// isolationSuite is src/test/isolation, as `make installcheck` runs it.
func isolationSuite(pg *postgres) *suite {
	return &suite{
		name: "PostgreSQL isolation", bound: 10 * time.Minute, passes: 1, verified: true,
		run: func(ctx context.Context, p place) (results, error) {
			return pgRegress(ctx, pg, p, "isolation", "pg_isolation_regress", "isolation_schedule")
		},
	}
}

// pgRegress runs a schedule with one of PostgreSQL's two drivers. It creates its database through the given address.
func pgRegress(ctx context.Context, pg *postgres, p place, suite, driver, schedule string, options ...string) (results, error) {
	sources := pg.suite(suite)
	arguments := append([]string{
		"--bindir=" + pg.bin(), "--inputdir=" + sources, "--outputdir=" + p.directory, "--dlpath=" + pg.modules(),
		"--schedule=" + filepath.Join(sources, schedule), "--host=" + p.host, "--port=" + p.port, "--user=postgres",
		"--no-locale", "--encoding=UTF8",
	}, options...)
	command, err := p.server.Command(ctx, p.directory, pg.driver(suite, driver), arguments...)
	if err != nil {
		return nil, err
	}
	command.Env = append(clean(os.Environ()), pg.environment()...)
	log, err := os.Create(filepath.Join(p.directory, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	runErr := command.Run() // it fails when a test fails, too
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	found, err := parseRegress(log)
	if err != nil {
		return nil, err
	}
	scheduled, err := scheduledTests(filepath.Join(sources, schedule))
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		runErr = errors.Join(errors.New("hangs"), ctx.Err())
	} else if len(found) == len(scheduled) {
		runErr = nil
	}
	for _, test := range scheduled {
		if _, ok := found[test]; !ok {
			found[test] = failed
		}
	}
	if runErr != nil {
		return found, fmt.Errorf("%s: %w, see %s", driver, runErr, log.Name())
	}
	return found, nil
}

// testLine is a line of the drivers: "test x ... ok", "     x    ... FAILED   12 ms", "x ... failed (ignored)".
var testLine = regexp.MustCompile(`^(?:test)?\s+(\S+)\s+\.\.\. (ok|FAILED|failed \(ignored\))`)

// parseRegress reads the outcomes from a driver's output.
func parseRegress(log io.Reader) (results, error) {
	found := results{}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if m := testLine.FindStringSubmatch(lines.Text()); m != nil {
			switch m[2] {
			case "ok":
				found[m[1]] = passed
			case "FAILED":
				found[m[1]] = failed
			default: // the schedule says that it may fail
				found[m[1]] = skipped
			}
		}
	}
	return found, lines.Err()
}

// scheduledTests reads the names from a schedule.
func scheduledTests(schedule string) ([]string, error) {
	content, err := os.ReadFile(schedule)
	if err != nil {
		return nil, err
	}
	var tests []string
	for _, m := range regexp.MustCompile(`(?m)^test:(.*)$`).FindAllSubmatch(content, -1) {
		for _, name := range regexp.MustCompile(`\S+`).FindAll(m[1], -1) {
			tests = append(tests, string(name))
		}
	}
	return tests, nil
}
