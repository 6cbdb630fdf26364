package main

import (
	"context"
	"errors"
	"os/exec"
	"slices"
)

// role is what a peer is measured for.
type role int

const (
	roleDirect      role = iota // PostgreSQL itself
	roleFloor                   // the least that a hit can cost
	roleRelay                   // the least that passing through can cost
	roleHit                     // pgrecall, everything in its cache
	roleScraped                 // the same, while its metrics are read each second
	rolePassThrough             // pgrecall, nothing in its cache
	roleOther                   // somebody else's program
)

// Names of the peers that ratios refer to.
const (
	nameDirect = "direct"
	nameFloor  = "floor"
	nameRelay  = "relay"
)

// peer is a server to measure. One that could not be started says why in absent and has no more
// than its name.
type peer struct {
	name    string
	build   string // of pgrecall: which binary
	role    role
	at      address
	process *process // nil for PostgreSQL itself
	absent  error
	metrics *metrics // of pgrecall
	// counts returns how many statements the peer has answered and how many of those from its
	// cache, since it started; nil where the peer has no cache or does not tell.
	counts func(context.Context) (answered, hits float64, err error)
}

var errNotInstalled = errors.New("not installed")

// starter starts one peer in a directory of its own.
type starter struct {
	name  string
	build string
	role  role
	start func(ctx context.Context, s *stage, p *peer) error
}

// stage is what all peers are started on.
type stage struct {
	directory string
	upstream  *upstream
}

// starters lists every peer in the table's order.
func starters(binaries binaries) []starter {
	all := []starter{
		{name: nameDirect, role: roleDirect, start: startDirect},
		{name: nameFloor, role: roleFloor, start: startYardstick(binaries.floor)},
		{name: nameRelay, role: roleRelay, start: startYardstick(binaries.relay)},
	}
	for _, build := range binaries.pgrecall {
		all = append(all, pgrecallStarters(build)...)
	}
	return append(all,
		starter{name: "pgbouncer", role: roleOther, start: startPgbouncer},
		starter{name: "pgpool", role: roleOther, start: startPgpool},
	)
}

// open starts the wanted peers. Those that fail are in the list with their reason.
func (s *stage) open(ctx context.Context, wanted []starter) []*peer {
	peers := make([]*peer, 0, len(wanted))
	for _, starter := range wanted {
		p := &peer{name: starter.name, build: starter.build, role: starter.role}
		if p.absent = starter.start(ctx, s, p); p.absent != nil {
			p.close()
		}
		peers = append(peers, p)
	}
	return peers
}

// run starts the peer's server and waits until it answers.
func (p *peer) run(ctx context.Context, s *stage, l launch) error {
	var err error
	if p.process, err = l.start(); err != nil {
		return err
	}
	return s.upstream.ready(ctx, p.process, p.at)
}

func (p *peer) close() {
	if p.process != nil {
		p.process.stop()
	}
}

func present(peers []*peer) []*peer {
	return slices.DeleteFunc(slices.Clone(peers), func(p *peer) bool { return p.absent != nil })
}

func startDirect(_ context.Context, s *stage, p *peer) error {
	p.at = s.upstream.at
	return nil
}

// lookProgram finds a server's program, also in the directory that users' PATHs lack.
func lookProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return "", errNotInstalled
}
