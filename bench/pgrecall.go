package main

import (
	"context"
	"os"
	"path/filepath"
)

// neverRule is the configuration of a pgrecall that caches everything but what is asked for.
const neverRule = `rules:
  - tables: [public.pgbench_accounts]
    cache: never
`

// pgrecallStarters are the three ways in which one binary is measured: everything from the cache,
// the cache off, and the cache on with a rule that excludes the table.
func pgrecallStarters(b binary) []starter {
	return []starter{
		{name: b.name, build: b.name, role: roleHit, start: func(ctx context.Context, s *stage, p *peer) error {
			return startPgrecall(ctx, s, p, b, nil)
		}},
		{name: b.name + "/off", build: b.name, role: rolePassThrough, start: func(ctx context.Context, s *stage, p *peer) error {
			return startPgrecall(ctx, s, p, b, nil, "--cache", "off")
		}},
		{name: b.name + "/never", build: b.name, role: rolePassThrough, start: func(ctx context.Context, s *stage, p *peer) error {
			config := filepath.Join(s.directory, b.name+"-never.yaml")
			if err := os.WriteFile(config, []byte(neverRule), 0o644); err != nil {
				return err
			}
			return startPgrecall(ctx, s, p, b, nil, "--config", config)
		}},
	}
}

// startPgrecall starts a binary in front of the upstream, with its metrics as the peer's counts.
func startPgrecall(ctx context.Context, s *stage, p *peer, b binary, environment []string, arguments ...string) error {
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
	m := metrics{url: "http://" + admin.String() + "/metrics"}
	p.metrics = &m
	if p.role == roleHit {
		p.counts = m.statements
	}
	return p.run(ctx, s, launch{
		name: "pgrecall", directory: directory, environment: environment,
		arguments: append([]string{b.path, "--upstream", s.upstream.dsn(s.upstream.at),
			"--listen", p.at.String(), "--admin", admin.String()}, arguments...),
	})
}
