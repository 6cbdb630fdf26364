package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// stale is the outcome of the race between a writer and readers through one server.
type stale struct {
	Peer       string `json:"peer"`
	Writes     int64  `json:"writes"`
	Reads      int64  `json:"reads"`
	Stale      int64  `json:"stale"`       // older than a write that was acknowledged before the read began
	HitPercent number `json:"hit_percent"` // null where the peer does not tell
	Error      string `json:"error,omitempty"`
}

// measured is the number of stale reads. None without a race, or without a hit that could have been
// stale, says nothing: NaN.
func (s stale) measured() number {
	raced := s.Error == "" && s.HitPercent > 0
	if s.Stale == 0 && !raced {
		return number(math.NaN())
	}
	return number(s.Stale)
}

const (
	staleReaders = 4
	staleRow     = 77 // aid; abalance counts the writes
)

// race lets one connection write a row and others read it. A read that begins after the writer
// has its acknowledgement must not return less.
func race(ctx context.Context, u *upstream, p *peer, seconds int, progress io.Writer) stale {
	result := stale{Peer: p.name, HitPercent: number(math.NaN())}
	before, err := p.reading(ctx)
	if err == nil {
		err = result.run(ctx, u, p.at, time.Duration(seconds)*time.Second)
	}
	var after reading
	if err == nil {
		after, err = p.reading(ctx)
	}
	if err != nil {
		result.Error = err.Error()
		fmt.Fprintf(progress, "stale reads, %s: %v\n", p.name, err)
		return result
	}
	if answered := after.answered - before.answered; answered > 0 {
		result.HitPercent = number(100 * (after.hits - before.hits) / answered)
	}
	return result
}

func (s *stale) run(ctx context.Context, u *upstream, at address, duration time.Duration) error {
	writer, err := u.connect(ctx, at)
	if err != nil {
		return err
	}
	defer writer.Close(ctx)
	var acknowledged atomic.Int64
	write := func(value int64) error {
		if err := writeRow(ctx, writer, value); err != nil {
			return err
		}
		acknowledged.Store(value)
		return nil
	}
	if err := write(0); err != nil {
		return err
	}
	var readers [staleReaders]*pgconn.PgConn
	defer func() { closeAll(ctx, readers[:]) }()
	for i := range readers {
		if readers[i], err = u.connect(ctx, at); err != nil {
			return err
		}
	}

	var reads, old atomic.Int64
	deadline := time.Now().Add(duration)
	var group errgroup.Group
	group.Go(func() error {
		for value := int64(1); time.Now().Before(deadline); value++ {
			if err := write(value); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			s.Writes++ // read after Wait
			// Some reads between two writes, or nothing would ever be in the cache.
			for target := reads.Load() + value%16; reads.Load() < target && time.Now().Before(deadline); {
				time.Sleep(20 * time.Microsecond)
			}
		}
		return nil
	})
	for _, conn := range readers {
		group.Go(func() error {
			for time.Now().Before(deadline) {
				least := acknowledged.Load()
				value, err := readRow(ctx, conn)
				if err != nil {
					return fmt.Errorf("read: %w", err)
				}
				reads.Add(1)
				if value < least {
					old.Add(1)
				}
			}
			return nil
		})
	}
	err = group.Wait()
	s.Reads, s.Stale = reads.Load(), old.Load()
	return err
}

// writeRow sets the row in turn by a statement alone, in a transaction, and in one that changes
// its mind first.
func writeRow(ctx context.Context, conn *pgconn.PgConn, value int64) error {
	update := fmt.Sprintf("UPDATE pgbench_accounts SET abalance = %d WHERE aid = %d", value, staleRow)
	statements := []string{update}
	switch value % 3 {
	case 1:
		statements = []string{"BEGIN", update, "COMMIT"}
	case 2:
		statements = []string{
			"BEGIN", fmt.Sprintf("UPDATE pgbench_accounts SET abalance = -1 WHERE aid = %d", staleRow), "ROLLBACK", update,
		}
	}
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

var errRow = errors.New("not the one row that was asked for")

func readRow(ctx context.Context, conn *pgconn.PgConn) (int64, error) {
	results, err := conn.Exec(ctx, fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d", staleRow)).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, errRow
	}
	return strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
}
