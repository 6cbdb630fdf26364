package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// pgbenchResult is what pgbench says at the end of a run.
type pgbenchResult struct {
	transactions int64
	perSecond    float64 // without the time to connect
	latencyMs    float64 // average
}

var (
	pgbenchTransactions = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed       = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
	pgbenchLatency      = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
	// Before version 14 two such lines came, the one without connecting last.
	pgbenchPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+) `)
)

// parsePgbench reads pgbench's report.
func parsePgbench(report []byte) (pgbenchResult, error) {
	var r pgbenchResult
	last := func(what string, pattern *regexp.Regexp) (string, error) {
		matches := pattern.FindAllSubmatch(report, -1)
		if matches == nil {
			return "", fmt.Errorf("pgbench did not tell its %s: %q", what, report)
		}
		return string(matches[len(matches)-1][1]), nil
	}
	if failed := pgbenchFailed.FindSubmatch(report); failed != nil && string(failed[1]) != "0" {
		return r, fmt.Errorf("%s transactions failed", failed[1])
	}
	count, err := last("transactions", pgbenchTransactions)
	if err != nil {
		return r, err
	}
	if r.transactions, err = strconv.ParseInt(count, 10, 64); err != nil {
		return r, err
	}
	if r.transactions == 0 {
		return r, errors.New("not one transaction was finished")
	}
	latency, err := last("latency", pgbenchLatency)
	if err != nil {
		return r, err
	}
	if r.latencyMs, err = strconv.ParseFloat(latency, 64); err != nil {
		return r, err
	}
	rate, err := last("rate", pgbenchPerSecond)
	if err != nil {
		return r, err
	}
	r.perSecond, err = strconv.ParseFloat(rate, 64)
	return r, err
}

// pgbench is the load: one SELECT by primary key out of a few hot keys.
type pgbench struct {
	program  string
	script   string // file
	database string
	user     string
	clients  int
	threads  int
}

// newPgbench writes the script to the directory.
func newPgbench(directory string, u *upstream, o options) (*pgbench, error) {
	program, err := postgresProgram("pgbench")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(directory, "select.sql")
	text := fmt.Sprintf("\\set aid random(1, %d)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n", o.keys)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return &pgbench{program: program, script: script, database: u.database, user: u.user, clients: o.clients, threads: o.threads}, nil
}

// initialize fills the database with 100,000 accounts.
func (b *pgbench) initialize(ctx context.Context, at address) error {
	_, err := b.execute(ctx, at, "-i", "-q", "-s", "1")
	return err
}

// run puts load on the server for some seconds.
func (b *pgbench) run(ctx context.Context, at address, mode string, seconds int) (pgbenchResult, error) {
	report, err := b.execute(ctx, at, "-n", "-f", b.script, "-M", mode,
		"-c", strconv.Itoa(b.clients), "-j", strconv.Itoa(b.threads), "-T", strconv.Itoa(seconds))
	if err != nil {
		return pgbenchResult{}, err
	}
	return parsePgbench(report)
}

func (b *pgbench) execute(ctx context.Context, at address, arguments ...string) ([]byte, error) {
	arguments = append(arguments, "-h", at.host, "-p", strconv.Itoa(at.port), "-U", b.user, b.database)
	command := exec.CommandContext(ctx, b.program, arguments...)
	command.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	var report, complaints bytes.Buffer
	command.Stdout, command.Stderr = &report, &complaints
	if err := command.Run(); err != nil {
		const length = 300
		text := complaints.Bytes()
		return nil, fmt.Errorf("pgbench: %w: %s", err, bytes.TrimSpace(text[max(0, len(text)-length):]))
	}
	return report.Bytes(), nil
}

// postgresProgram finds a program of the PostgreSQL package: on the PATH, or where Debian keeps the
// newest version's.
func postgresProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	matches, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", err
	}
	best, bestVersion := "", -1.0
	for _, match := range matches {
		version, err := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(match))), 64)
		if err == nil && version > bestVersion {
			best, bestVersion = match, version
		}
	}
	if best == "" {
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	return best, nil
}
