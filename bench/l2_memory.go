package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// l2Results is how many small results are weighed.
const l2Results = 10_000

// l2Documents is how many large ones are.
const l2Documents = 100

// l2Memory is what results take in Redis.
type l2Memory struct {
	Kinds []l2Kind `json:"kinds"`
}

// l2Kind is one sort of results.
type l2Kind struct {
	Name    string `json:"name"`
	Small   bool   `json:"small"` // 10,000 of them are promised to take little
	Results int    `json:"results"`
	Bytes   number `json:"bytes"`           // growth of Redis's used_memory
	Names   number `json:"bytes_of_names"`  // of them
	Values  number `json:"bytes_of_values"` // of them
	Raw     number `json:"raw_bytes"`       // of the rows as text
}

// each is what one result takes.
func (k *l2Kind) each() number { return k.Bytes / number(max(k.Results, 1)) }

// documents makes the table of large results.
func (s *l2Stage) documents(ctx context.Context) error {
	conn, err := s.upstream.connect(ctx, s.upstream.at)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	text := strings.ReplaceAll(orders(100_000), "'", "''")
	for _, statement := range []string{
		"DROP TABLE IF EXISTS documents",
		"CREATE TABLE documents (id int PRIMARY KEY, document text NOT NULL)",
		// Another first element in each.
		fmt.Sprintf("INSERT INTO documents SELECT i, overlay('%s' placing i::text from 2 for 0) FROM generate_series(1, %d) i", text, l2Documents),
		"ANALYZE documents",
	} {
		if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// weigh fills Redis with results of each kind and measures how it grows.
func (s *l2Stage) weigh(ctx context.Context, p *peer) (l2Memory, error) {
	var m l2Memory
	for _, kind := range []struct {
		name, text string
		small      bool
		results    int
	}{
		{"a number", accountText, true, l2Results},
		{"a row of four columns", "SELECT * FROM pgbench_accounts WHERE aid = $1", true, l2Results},
		{"100 kB of JSON", "SELECT document FROM documents WHERE id = $1", false, l2Documents},
	} {
		k, err := s.weighKind(ctx, p, kind.text, kind.results)
		if err != nil {
			return m, fmt.Errorf("%s: %w", kind.name, err)
		}
		k.Name, k.Small = kind.name, kind.small
		m.Kinds = append(m.Kinds, k)
	}
	return m, nil
}

func (s *l2Stage) weighKind(ctx context.Context, p *peer, text string, results int) (k l2Kind, err error) {
	before, err := s.names(ctx)
	if err != nil {
		return k, err
	}
	usedBefore, err := s.used(ctx)
	if err != nil {
		return k, err
	}
	raw, err := s.read(ctx, p, text, 1, results)
	if err != nil {
		return k, err
	}
	after, err := s.settled(ctx, len(before)+results)
	if err != nil {
		return k, err
	}
	usedAfter, err := s.used(ctx)
	if err != nil {
		return k, err
	}
	k.Results, k.Bytes, k.Raw = len(after)-len(before), usedAfter-usedBefore, number(raw)
	for name := range after {
		if before[name] {
			continue
		}
		length, err := s.bare.StrLen(ctx, name).Result()
		if err != nil {
			return k, err
		}
		k.Names += number(len(name))
		k.Values += number(length)
	}
	// On a busy machine some are dropped: a write that Redis does not take at once is not waited for.
	if k.Results < results/2 {
		return k, fmt.Errorf("%d of %d results are in Redis", k.Results, results)
	}
	return k, nil
}

func (s *l2Stage) used(ctx context.Context) (number, error) {
	text, err := s.info(ctx, "memory", "used_memory")
	if err != nil {
		return 0, err
	}
	bytes, err := strconv.ParseFloat(text, 64)
	return number(bytes), err
}

// names returns the names of all results in Redis.
func (s *l2Stage) names(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	each := s.bare.Scan(ctx, 0, "*", 5000).Iterator()
	for each.Next(ctx) {
		if name := each.Val(); strings.Contains(name, ":v1:") {
			found[name] = true
		}
	}
	return found, each.Err()
}

// settled waits until so many results are in Redis, or no more come, and returns their names.
func (s *l2Stage) settled(ctx context.Context, wanted int) (map[string]bool, error) {
	const looks, pause = 20, 100 * time.Millisecond
	for last, same := -1, 0; ; {
		found, err := s.names(ctx)
		if err != nil || len(found) >= wanted || same == looks {
			return found, err
		}
		if len(found) == last {
			same++
		} else {
			last, same = len(found), 0
		}
		time.Sleep(pause)
	}
}

// fill reads accounts through a pgrecall, which puts them into L2.
func (s *l2Stage) fill(ctx context.Context, p *peer, after, last int) error {
	if _, err := s.read(ctx, p, accountText, after+1, last); err != nil {
		return err
	}
	_, err := s.settled(ctx, last)
	return err
}

// accountText is what pgbench sends, so that both ask for the same results.
const accountText = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"

// read asks a statement with each number from first to last, a bit slower than L2 is filled, and returns how many bytes the rows had.
func (s *l2Stage) read(ctx context.Context, p *peer, text string, first, last int) (int, error) {
	const atOnce = 2
	var bytes [atOnce]int
	var group errgroup.Group
	for i := range atOnce {
		group.Go(func() error {
			conn, err := s.prepared(ctx, p.at, text)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			for id := first + i; id <= last; id += atOnce {
				result := execute(ctx, conn, id)
				if result.Err != nil {
					return result.Err
				}
				for _, row := range result.Rows {
					for _, value := range row {
						bytes[i] += len(value)
					}
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return bytes[0] + bytes[1], err
}

// execute runs the statement s with the same messages as pgbench.
func execute(ctx context.Context, conn *pgconn.PgConn, id int) *pgconn.Result {
	return conn.ExecPrepared(ctx, "s", [][]byte{fmt.Append(nil, id)}, nil, []int16{0}).Read()
}

// prepared returns a connection with a statement s.
func (s *l2Stage) prepared(ctx context.Context, at address, text string) (*pgconn.PgConn, error) {
	conn, err := s.upstream.connect(ctx, at)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Prepare(ctx, "s", text, nil); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}
