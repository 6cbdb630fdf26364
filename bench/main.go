package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func main() {
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o, os.Stdout, os.Stderr)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does everything and cleans up after itself.
func run(ctx context.Context, o options, output, progress io.Writer) (err error) {
	directory, err := os.MkdirTemp("", "pgrecall-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	// Servers that refuse root have their files below it.
	if err := os.Chmod(directory, 0o755); err != nil {
		return err
	}
	fmt.Fprintln(progress, "building")
	programs := buildBinaries(ctx, directory, o.builds)

	dsn := o.dsn
	if dsn == "" {
		server, err := pgtest.StartServer(ctx, pgtest.WithVersion(o.postgres), pgtest.WithConfig(
			fmt.Sprintf("max_connections = %d", o.idleClients+300), "shared_buffers = 128MB"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		dsn = server.DSN("postgres")
	}
	u, err := openUpstream(ctx, dsn)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	// The signal that ends the run must not keep the database from being dropped.
	defer func() { err = errors.Join(err, u.drop(context.WithoutCancel(ctx))) }()
	load, err := newPgbench(directory, u, o)
	if err != nil {
		return err
	}
	if err := load.initialize(ctx, u.at); err != nil {
		return err
	}
	s := &stage{directory: directory, upstream: u}
	if o.profileDir != "" {
		return profile(ctx, o, s, load, programs.pgrecall, output)
	}
	r := newReport(o, u)
	if !o.l2Only {
		r.measure(ctx, o, s, load, programs, progress)
	}
	if o.l2Rounds > 0 && ctx.Err() == nil {
		r.L2 = measureL2(ctx, o, s, load, programs.pgrecall[0], progress)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.deliver(o, output)
}

// deliver prints the report and stores it wherever it was asked for.
func (r *report) deliver(o options, output io.Writer) error {
	var table, l2 bytes.Buffer
	var failures []error
	publishing := func(begin, end []byte, figures *bytes.Buffer) {
		if o.page != "" {
			failures = append(failures, publish(o.page, begin, end, figures.Bytes()))
		}
	}
	if !o.l2Only {
		failures = append(failures, r.print(&table))
		publishing(figuresBegin, figuresEnd, &table)
	}
	if r.L2 != nil {
		failures = append(failures, r.L2.print(&l2))
		publishing(l2FiguresBegin, l2FiguresEnd, &l2)
	}
	if o.jsonFile != "" {
		failures = append(failures, r.write(o.jsonFile))
	}
	_, err := output.Write(append(append(table.Bytes(), '\n'), l2.Bytes()...))
	return errors.Join(append(failures, err)...)
}

func newReport(o options, u *upstream) *report {
	return &report{
		PostgreSQL: u.version, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Rounds: o.rounds, Seconds: o.seconds, Clients: o.clients, Threads: o.threads, Keys: o.keys, Modes: o.modes,
	}
}

// measure fills the report. What fails is in it.
func (r *report) measure(ctx context.Context, o options, s *stage, load *pgbench, programs binaries, progress io.Writer) {
	known := starters(programs)
	for _, name := range o.peers {
		if !slices.ContainsFunc(known, func(st starter) bool { return st.name == name }) {
			r.Missing = append(r.Missing, missing{Peer: name, Reason: "no such peer"})
		}
	}
	wanted := slices.DeleteFunc(known, func(st starter) bool { return !o.wants(st.name) })
	peers := s.open(ctx, wanted)
	for _, p := range peers {
		if p.absent != nil {
			r.Missing = append(r.Missing, missing{Peer: p.name, Reason: p.absent.Error()})
			fmt.Fprintf(progress, "missing: %s: %v\n", p.name, p.absent)
		}
	}
	running := present(peers)
	r.Cells = measureRounds(ctx, o, load, running, progress)
	if o.staleSeconds > 0 {
		for _, p := range running {
			if p.role != roleFloor && ctx.Err() == nil {
				fmt.Fprintln(progress, "stale reads,", p.name)
				r.Stale = append(r.Stale, race(ctx, s.upstream, p, o.staleSeconds, progress))
			}
		}
	}
	for _, p := range peers {
		p.close()
	}
	r.measureMemory(ctx, o, s, wanted, programs, progress)
	for _, build := range r.builds() {
		r.Targets = append(r.Targets, r.judge(build)...)
	}
}

// measureMemory measures entries and clients of every pgrecall, and the clients of its peers that
// have one process.
func (r *report) measureMemory(ctx context.Context, o options, s *stage, wanted []starter, programs binaries, progress io.Writer) {
	for _, st := range wanted {
		if ctx.Err() != nil || r.isMissing(st.name) {
			continue
		}
		switch {
		case st.role == roleHit && o.entries+o.idleClients > 0:
			fmt.Fprintln(progress, "memory,", st.name)
			i := slices.IndexFunc(programs.pgrecall, func(b binary) bool { return b.name == st.build })
			r.Memory = append(r.Memory, measureMemory(ctx, o, s, programs.pgrecall[i]))
		case (st.role == roleRelay || st.name == "pgbouncer") && o.idleClients > 0:
			fmt.Fprintln(progress, "memory,", st.name)
			r.Memory = append(r.Memory, measureIdle(ctx, o, s, st))
		}
	}
}

func (r *report) isMissing(peer string) bool {
	return slices.ContainsFunc(r.Missing, func(m missing) bool { return m.Peer == peer })
}
