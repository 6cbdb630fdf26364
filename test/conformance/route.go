package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// route is a way from a suite's clients to the cluster.
type route struct {
	name string
	// serial runs one test at a time, since every statement waits for the catalog after another one's definition.
	serial bool
	// start puts something in front of the cluster; nil leads straight to it.
	start func(ctx context.Context, s *pgtest.Server, directory string) (*process, error)
}

// programs are the binaries built from this tree.
type programs struct{ pgrecall, relay string }

func buildPrograms(ctx context.Context, directory string) (programs, error) {
	p := programs{pgrecall: filepath.Join(directory, "pgrecall"), relay: filepath.Join(directory, "relay")}
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return p, err
	}
	for path, source := range map[string]string{p.pgrecall: "./cmd/pgrecall", p.relay: "./bench/relay"} {
		if _, err := output(ctx, string(root[:len(root)-1]), "go", "build", "-o", path, source); err != nil {
			return p, err
		}
	}
	return p, nil
}

// routes are the ways that are compared, the direct one first.
func routes(p programs) []route {
	return []route{
		{name: "direct"},
		{name: "relay", start: func(ctx context.Context, s *pgtest.Server, directory string) (*process, error) {
			return startProcess(ctx, directory, p.relay, "--upstream", s.Address())
		}},
		pgrecallRoute("pgrecall", p),
		serial(pgrecallRoute("verified", p, "--verify", "100%", "--catalog-wait", "2s")),
		serial(pgrecallRoute("shadow", p, "--cache", "shadow", "--verify", "100%", "--catalog-wait", "2s")),
		pgrecallRoute("patient", p, "--catalog-wait", "2s"),
	}
}

// serialFactor is how many times longer a suite may take by a serial way.
const serialFactor = 6

func serial(r route) route {
	r.serial = true
	return r
}

// pgrecallRoute is pgrecall with its default configuration and an account of its own, so that it caches.
func pgrecallRoute(name string, p programs, flags ...string) route {
	return route{name: name, start: func(ctx context.Context, s *pgtest.Server, directory string) (*process, error) {
		admin, err := freeAddress()
		if err != nil {
			return nil, err
		}
		arguments := append([]string{"--upstream", s.DSN("postgres"), "--listen", "127.0.0.1:0", "--admin", admin}, flags...)
		proc, err := startProcess(ctx, directory, p.pgrecall, arguments...)
		if err != nil {
			return nil, err
		}
		proc.metrics = "http://" + admin + "/metrics"
		return proc, nil
	}}
}

// freeAddress returns an address of 127.0.0.1 that nobody listened on a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// run runs a suite on a fresh cluster by one way. directory gets all output.
func (r route) run(ctx context.Context, pg *postgres, s *suite, directory string) (rep report) {
	rep = report{suite: s, route: r.name, results: results{}}
	bound := s.bound
	if r.serial {
		bound *= serialFactor
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	server, err := pg.start(ctx, s.settings...)
	if err != nil {
		rep.err = err
		return rep
	}
	defer func() { rep.err = errors.Join(rep.err, server.Close()) }()
	if s.prepare != nil {
		if err := s.prepare(ctx, server); err != nil {
			rep.err = err
			return rep
		}
	}
	at := place{serial: r.serial, server: server, host: server.Host(), port: fmt.Sprint(server.Port())}
	var proc *process
	if r.start != nil {
		if proc, rep.err = r.start(ctx, server, directory); rep.err != nil {
			return rep
		}
		defer func() { rep.err = errors.Join(rep.err, proc.stop()) }()
		if at.host, at.port, rep.err = net.SplitHostPort(proc.address); rep.err != nil {
			return rep
		}
	}
	passes := s.passes
	if r.serial { // each read is executed again already
		passes = 1
	}
	for pass := range passes {
		at.directory = filepath.Join(directory, fmt.Sprintf("pass-%d", pass+1))
		began := now()
		found, err := s.run(ctx, at)
		rep.took = append(rep.took, now().Sub(began))
		rep.err = errors.Join(rep.err, err)
		rep.add(found, pass)
		if proc != nil && proc.metrics != "" {
			figures, err := readFigures(ctx, proc.metrics)
			rep.err = errors.Join(rep.err, err)
			rep.figures = append(rep.figures, figures)
			if s.explain {
				rep.uncached, err = readUncached(ctx, strings.TrimSuffix(proc.metrics, "/metrics"))
				rep.err = errors.Join(rep.err, err)
			}
		}
	}
	return rep
}
