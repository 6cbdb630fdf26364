package main

import (
	"context"
	"os"
	"path/filepath"
)

// Configuration files of the measured processes.
const (
	// neverRule caches everything but what is asked for.
	neverRule = `rules:
  - name: never
    match:
      tables: [pgbench_accounts]
    cache: never
`
	// roomy lets more clients in than the default does.
	roomy = `limits:
  max_connections: 10000
`
	// large keeps all entries for the whole run.
	large = `cache:
  l1_size: 1GiB
  default_ttl: 1h
`
)

// scrapedSuffix makes the name of the row with scrapes out of that without.
const scrapedSuffix = "/scraped"

// pgrecallStarters are the four ways in which one binary is measured: everything from the cache, the same with a scrape each second,
// the cache off, and the cache on with a rule that excludes the table.
func pgrecallStarters(b binary) []starter {
	start := func(configuration string, arguments ...string) func(context.Context, *stage, *peer) error {
		return func(ctx context.Context, s *stage, p *peer) error {
			return startPgrecall(ctx, s, p, b, configuration, nil, arguments...)
		}
	}
	return []starter{
		{name: b.name, build: b.name, role: roleHit, start: start("")},
		{name: b.name + scrapedSuffix, build: b.name, role: roleScraped, start: start("")},
		{name: b.name + "/off", build: b.name, role: rolePassThrough, start: start("", "--cache", "off")},
		{name: b.name + "/never", build: b.name, role: rolePassThrough, start: start(neverRule)},
	}
}

// startPgrecall starts a binary in front of the upstream, with its metrics as the peer's counts.
// Without a configuration it has no file.
func startPgrecall(ctx context.Context, s *stage, p *peer, b binary, configuration string, environment []string, arguments ...string) error {
	if b.err != nil {
		return b.err
	}
	var err error
	if p.at, err = freeAddress(); err != nil {
		return err
	}
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp(s.directory, "pgrecall-")
	if err != nil {
		return err
	}
	if configuration != "" {
		file := filepath.Join(directory, "pgrecall.yaml")
		if err := os.WriteFile(file, []byte(configuration), 0o644); err != nil {
			return err
		}
		arguments = append(arguments, "--config", file)
	}
	m := metrics{url: "http://" + admin.String() + "/metrics"}
	p.metrics = &m
	if p.role == roleHit || p.role == roleScraped {
		p.counts = m.statements
	}
	return p.run(ctx, s, launch{
		name: "pgrecall", directory: directory, environment: environment,
		arguments: append([]string{b.path, "--upstream", s.upstream.dsn(s.upstream.at),
			"--listen", p.at.String(), "--admin", admin.String()}, arguments...),
	})
}
