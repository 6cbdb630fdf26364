package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// memory is what a server takes for what it holds.
type memory struct {
	Peer           string `json:"peer"`
	Entries        number `json:"entries"`
	EntryBytes     number `json:"entry_bytes"`      // resident
	EntryHeapBytes number `json:"entry_heap_bytes"` // of the Go heap
	IdleClients    int    `json:"idle_clients"`
	IdleBytes      number `json:"idle_client_bytes"` // resident
	Error          string `json:"error,omitempty"`
	build          bool   // a pgrecall: the targets are its
}

// smallGarbage keeps the collector's garbage below a tenth of the live heap, so that resident
// memory is about what is in use.
const smallGarbage = "GOGC=10"

// measureMemory measures a pgrecall, in processes of their own: what one held before, it would
// not ask the system for again.
func measureMemory(ctx context.Context, o options, s *stage, b binary) memory {
	m := newMemory(b.name)
	m.build = true
	var failures []error
	if o.idleClients > 0 {
		failures = append(failures, s.with(ctx, b, roomy, nil, func(p *peer) error {
			return m.idle(ctx, s.upstream, p, o.idleClients)
		}))
	}
	if o.entries > 0 {
		failures = append(failures, s.with(ctx, b, large, []string{smallGarbage}, func(p *peer) error {
			return m.entry(ctx, s.upstream, p, o.entries)
		}))
	}
	if err := errors.Join(failures...); err != nil {
		m.Error = err.Error()
	}
	return m
}

// newMemory has nothing measured yet.
func newMemory(peer string) memory {
	nan := number(math.NaN())
	return memory{Peer: peer, Entries: nan, EntryBytes: nan, EntryHeapBytes: nan, IdleBytes: nan}
}

// with starts a pgrecall, calls use and stops it.
func (s *stage) with(ctx context.Context, b binary, configuration string, environment []string, use func(*peer) error) error {
	p := &peer{name: b.name, role: roleHit}
	defer p.close()
	if err := startPgrecall(ctx, s, p, b, configuration, environment); err != nil {
		return err
	}
	return use(p)
}

// measureIdle measures the clients of a server that is no pgrecall, to compare with.
func measureIdle(ctx context.Context, o options, s *stage, st starter) memory {
	m := newMemory(st.name)
	// Its own directory: the rounds have used the name.
	directory, err := serviceDirectory(s.directory, "memory-"+st.name)
	if err == nil {
		p := &peer{name: st.name, role: st.role}
		defer p.close()
		if err = st.start(ctx, &stage{directory: directory, upstream: s.upstream}, p); err == nil {
			err = m.idle(ctx, s.upstream, p, o.idleClients)
		}
	}
	if err != nil {
		m.Error = err.Error()
	}
	return m
}

// idle opens clients, each of which asks one thing and stays.
func (m *memory) idle(ctx context.Context, u *upstream, p *peer, clients int) error {
	// The first client pays for what all share.
	if err := u.ping(ctx, p.at); err != nil {
		return err
	}
	before, err := residentBytes(p.process.pid())
	if err != nil {
		return err
	}
	conns := make([]*pgconn.PgConn, clients)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close(ctx) // nobody reads from it again
			}
		}
	}()
	const atOnce = 8
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range conns {
		group.Go(func() error {
			conn, err := u.connect(ctx, p.at)
			if err != nil {
				return fmt.Errorf("idle client %d: %w", i+1, err)
			}
			conns[i] = conn
			_, err = conn.Exec(ctx, fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d", i%100+1)).ReadAll()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	after, err := residentBytes(p.process.pid())
	if err != nil {
		return err
	}
	m.IdleClients = clients
	m.IdleBytes = number(float64(after-before) / float64(clients))
	return nil
}

// entry fills the cache with one-row results of one prepared statement, so that the analysis of
// the text is there once and does not count.
func (m *memory) entry(ctx context.Context, u *upstream, p *peer, entries int) error {
	const atOnce = 4
	conns := make([]*pgconn.PgConn, atOnce)
	defer closeAll(ctx, conns)
	for i := range conns {
		conn, err := u.connect(ctx, p.at)
		if err != nil {
			return err
		}
		conns[i] = conn
		if _, err := conn.Prepare(ctx, "s", "SELECT abalance FROM pgbench_accounts WHERE aid = $1", nil); err != nil {
			return err
		}
		if err := readAccount(ctx, conn, i+1); err != nil {
			return err
		}
	}
	before, err := p.settle(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for first, conn := range conns {
		group.Go(func() error {
			for aid := first + 1; aid <= entries; aid += atOnce {
				if err := readAccount(ctx, conn, aid); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	after, err := p.settle(ctx)
	if err != nil {
		return err
	}
	added := after.entries - before.entries
	if added < float64(entries)/2 {
		return fmt.Errorf("%d keys were read and %.0f entries made: the memory of an entry is not measured", entries, added)
	}
	if after.resident <= before.resident {
		return fmt.Errorf("%.0f entries were made and resident memory did not grow: the memory of an entry is not measured", added)
	}
	m.Entries = number(added)
	m.EntryBytes = number((after.resident - before.resident) / added)
	m.EntryHeapBytes = number((after.heap - before.heap) / added)
	return nil
}

// closeAll closes the connections that are open.
func closeAll(ctx context.Context, conns []*pgconn.PgConn) {
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close(ctx)
		}
	}
}

func readAccount(ctx context.Context, conn *pgconn.PgConn, aid int) error {
	return conn.ExecPrepared(ctx, "s", [][]byte{fmt.Append(nil, aid)}, nil, nil).Read().Err
}

// footprint is what pgrecall tells of its memory, in bytes, and how much it holds.
type footprint struct{ entries, heap, resident float64 }

// settle reads the footprint often enough to make the process collect its garbage in between, as
// every reading allocates, and keeps the lowest values.
func (p *peer) settle(ctx context.Context) (footprint, error) {
	const readings, pause = 300, 5 * time.Millisecond
	var lowest footprint
	for i := range readings {
		samples, err := p.metrics.read(ctx)
		if err != nil {
			return footprint{}, err
		}
		resident, err := residentBytes(p.process.pid())
		if err != nil {
			return footprint{}, err
		}
		heap := sum(samples, "go_memstats_heap_alloc_bytes", "")
		lowest.entries = sum(samples, "pgrecall_cache_entries", `tier="l1"`)
		if i == 0 || heap < lowest.heap {
			lowest.heap = heap
		}
		if i == 0 || float64(resident) < lowest.resident {
			lowest.resident = float64(resident)
		}
		time.Sleep(pause)
	}
	return lowest, nil
}
