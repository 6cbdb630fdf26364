package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Names of the servers that answer in turns.
const (
	nameL1 = "hit in L1"
	nameL2 = "hit in L2"
)

// answers compares what clients wait for: a program that asks Redis itself, hits in L2 and L1, and PostgreSQL.
func (s *l2Stage) answers(ctx context.Context, one, other *peer) (all []comparison, err error) {
	found, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	next := 0 // account that nobody has asked the other pgrecall for
	for _, clients := range []int{1, manyAtOnce} {
		before, err := other.shared(ctx)
		if err != nil {
			return all, err
		}
		share := (l2Keys - next) / 2 / clients
		if clients == manyAtOnce {
			share = (l2Keys - next) / clients
		}
		var workers [][]contender
		var conns []*pgconn.PgConn
		for range clients {
			w, opened, err := s.askers(ctx, one, other, names, next, share)
			conns = append(conns, opened...)
			if err != nil {
				closeAll(ctx, conns)
				return all, err
			}
			next += share
			workers = append(workers, w)
		}
		c, err := interleave(ctx, fmt.Sprintf("%d at once", clients), s.options.l2Rounds+1, 500*time.Millisecond, workers)
		closeAll(ctx, conns)
		if err != nil {
			return all, err
		}
		after, err := other.shared(ctx)
		if err != nil {
			return all, err
		}
		c.Name += fmt.Sprintf(" (%.1f%% of its reads were hits in L2)", 100*(after.hits-before.hits)/max(after.answered-before.answered, 1))
		all = append(all, c)
	}
	return all, nil
}

// askers returns one worker's contenders. The other pgrecall is asked for accounts of this worker only, each once while they last.
func (s *l2Stage) askers(ctx context.Context, one, other *peer, names []string, first, share int) (workers []contender, conns []*pgconn.PgConn, err error) {
	asked := 0
	ask := func(name string, p address, account func(n int) int) {
		if err != nil {
			return
		}
		var conn *pgconn.PgConn
		if conn, err = s.prepared(ctx, p, accountText); err != nil {
			return
		}
		conns = append(conns, conn)
		workers = append(workers, contender{name, func(ctx context.Context, n int) error { return execute(ctx, conn, account(n)).Err }})
	}
	workers = append(workers, contender{nameGet, func(ctx context.Context, n int) error {
		return s.bare.Get(ctx, names[(first+n)%len(names)]).Err()
	}})
	ask(nameL2, other.at, func(int) int { asked++; return first + asked%share + 1 })
	ask(nameL1, one.at, func(n int) int { return n%l2Keys + 1 })
	ask(nameDirect, s.upstream.at, func(n int) int { return n%l2Keys + 1 })
	return workers, conns, err
}

// shared returns how many reads a pgrecall has answered and how many of them out of L2.
func (p *peer) shared(ctx context.Context) (r reading, err error) {
	samples, err := p.metrics.read(ctx)
	for _, s := range samples {
		if s.name != "pgrecall_statements_total" || strings.Contains(s.labels, `"other"`) {
			continue
		}
		r.answered += s.value
		if strings.Contains(s.labels, `"hit_l2"`) {
			r.hits += s.value
		}
	}
	return r, err
}

// writes compares an UPDATE of one row: straight, through a pgrecall alone, and through fleets of three.
func (s *l2Stage) writes(ctx context.Context) (all []comparison, err error) {
	alone := &peer{name: "pgrecall", build: s.binary.name, role: roleHit}
	s.seats = append(s.seats, alone)
	if err := startPgrecall(ctx, s.stage, alone, s.binary, large, nil); err != nil {
		return nil, err
	}
	ways := []struct {
		name string
		at   address
	}{{nameDirect, s.upstream.at}, {"one pgrecall", alone.at}}
	for _, level := range []string{"strict", "session"} {
		fleet, err := s.fleet(ctx, "writes-"+level, slices.Repeat([]string{large + consistency(level)}, l2FleetSize)...)
		if err != nil {
			return nil, err
		}
		ways = append(ways, struct {
			name string
			at   address
		}{fmt.Sprintf("%d pgrecalls, %s", l2FleetSize, level), fleet[0].at})
	}
	var contenders []contender
	var conns []*pgconn.PgConn
	defer func() { closeAll(ctx, conns) }()
	for _, way := range ways {
		conn, err := s.prepared(ctx, way.at, "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1")
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
		contenders = append(contenders, contender{way.name, func(ctx context.Context, n int) error { return execute(ctx, conn, n%l2Keys+1).Err }})
	}
	c, err := interleave(ctx, "UPDATE of one row", s.options.l2Rounds+1, time.Second, [][]contender{contenders})
	return []comparison{c}, err
}
