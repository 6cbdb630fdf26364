package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// Sizes of the measurements of L2.
const (
	l2Keys      = 50_000 // results in Redis for the rounds: far more than smallL1 holds
	l2FleetSize = 3
)

// smallL1 is the smallest L1 that pgrecall takes.
const smallL1 = `cache:
  l1_size: 1MiB
  default_ttl: 1h
`

// consistency goes behind large or smallL1.
func consistency(level string) string { return "  consistency: " + level + "\n" }

// l2Report is everything that was measured of what pgrecalls share.
type l2Report struct {
	Redis   string       `json:"redis"`
	Loads   string       `json:"load_averages"` // of the machine, before and after
	Rounds  int          `json:"rounds"`
	Lookups []comparison `json:"lookups"`
	Answers []comparison `json:"answers"`
	Hits    []*cell      `json:"hits"`
	Writes  []comparison `json:"writes"`
	Deaths  []death      `json:"deaths"`
	Memory  l2Memory     `json:"memory"`
	Targets []target     `json:"targets"`
	Errors  []string     `json:"errors,omitempty"`
}

// l2Stage is what the parts are measured on.
type l2Stage struct {
	*stage
	options  options
	binary   binary
	load     *pgbench
	redis    *pgtest.Redis
	bare     *goredis.Client // as a program without pgrecall would have it
	progress io.Writer
	seats    []*peer // all that were started
}

// measureL2 measures what pgrecalls share through Redis. What fails is in the report.
func measureL2(ctx context.Context, o options, s *stage, load *pgbench, b binary, progress io.Writer) *l2Report {
	r := &l2Report{Rounds: o.l2Rounds, Loads: loadAverage()}
	if err := r.measure(ctx, &l2Stage{stage: s, options: o, binary: b, load: load, progress: progress}); err != nil {
		r.failed("", err)
	}
	r.Loads += ", " + loadAverage()
	r.judge()
	return r
}

// failed notes what could not be measured.
func (r *l2Report) failed(part string, err error) {
	if err != nil {
		r.Errors = append(r.Errors, strings.TrimPrefix(part+": "+err.Error(), ": "))
	}
}

func (r *l2Report) measure(ctx context.Context, s *l2Stage) (err error) {
	if s.redis, err = pgtest.StartRedisServer(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.redis.Close()) }()
	s.bare = goredis.NewClient(&goredis.Options{Addr: s.redis.Address()})
	defer s.bare.Close()
	defer s.close()
	if r.Redis, err = s.redisVersion(ctx); err != nil {
		return err
	}
	fmt.Fprintln(s.progress, "L2: lookups")
	r.Lookups, err = s.lookups(ctx)
	r.failed("lookups", err)
	if err := s.documents(ctx); err != nil {
		return err
	}
	fmt.Fprintln(s.progress, "L2: memory and hits")
	r.failed("hits", r.measureHits(ctx, s))
	s.close()
	fmt.Fprintln(s.progress, "L2: writes")
	r.Writes, err = s.writes(ctx)
	r.failed("writes", err)
	s.close()
	fmt.Fprintln(s.progress, "L2: Redis dies")
	r.Deaths, err = s.deaths(ctx)
	r.failed("deaths", err)
	return ctx.Err()
}

// measureHits fills L2 through one pgrecall, weighs it, and measures hits through another that has next to no L1.
func (r *l2Report) measureHits(ctx context.Context, s *l2Stage) error {
	if err := s.bare.FlushAll(ctx).Err(); err != nil {
		return err
	}
	two, err := s.fleet(ctx, "hits", large, smallL1)
	if err != nil {
		return err
	}
	one, other := two[0], two[1]
	if r.Memory, err = s.weigh(ctx, one); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	if err := s.fill(ctx, one, l2Results, l2Keys); err != nil {
		return err
	}
	if r.Answers, err = s.answers(ctx, one, other); err != nil {
		return err
	}
	r.Hits, err = s.throughput(ctx, one, other)
	return err
}

// fleet starts one pgrecall for each configuration, all on the Redis. They know of each other.
func (s *l2Stage) fleet(ctx context.Context, namespace string, configurations ...string) ([]*peer, error) {
	peers := make([]*peer, len(configurations))
	var starting errgroup.Group
	for i, configuration := range configurations {
		peers[i] = &peer{name: "pgrecall", build: s.binary.name, role: roleHit}
		starting.Go(func() error {
			return startPgrecall(ctx, s.stage, peers[i], s.binary, configuration, nil, "--redis", s.redis.URL(), "--l2-namespace", namespace)
		})
	}
	s.seats = append(s.seats, peers...)
	if err := starting.Wait(); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if err := p.awaitCatalog(ctx, s.upstream); err != nil {
			return nil, err
		}
	}
	return peers, nil
}

// awaitCatalog waits until the peer answers a repeated read from its cache.
func (p *peer) awaitCatalog(ctx context.Context, u *upstream) error {
	const patience, pause = 20 * time.Second, 10 * time.Millisecond
	conn, err := u.connect(ctx, p.at)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(pause) {
		if _, err := conn.Exec(ctx, "SELECT bbalance FROM pgbench_branches WHERE bid = 1").ReadAll(); err != nil {
			return err
		}
		if _, hits, err := p.counts(ctx); err != nil || hits > 0 {
			return err
		}
	}
	return fmt.Errorf("no hit within %s", patience)
}

// close ends all pgrecalls that were started.
func (s *l2Stage) close() {
	for _, p := range s.seats {
		p.close()
	}
	s.seats = nil
}

func (s *l2Stage) redisVersion(ctx context.Context) (string, error) {
	return s.info(ctx, "server", "redis_version")
}

// info returns one of the fields that INFO tells.
func (s *l2Stage) info(ctx context.Context, section, field string) (string, error) {
	text, err := s.bare.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), field+":"); found {
			return value, nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, field)
}

// loadAverage is the number of processes that wanted a processor in the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// Targets of L2.
const (
	maxLookup       = 1.3 // x GET
	maxL2Bytes      = 2_000_000
	maxDeathSeconds = 0.1
)

func (r *l2Report) judge() {
	for _, c := range r.Lookups {
		get, lookup := c.find(nameGet), c.find(nameLookup)
		if get == nil || lookup == nil {
			continue
		}
		r.Targets = append(r.Targets,
			target{What: "lookup x GET, p50, " + c.Name, Limit: maxLookup}.ofRounds(lookup.P50, get.P50),
			target{What: "lookup x GET, p99, " + c.Name, Limit: maxLookup}.ofRounds(lookup.P99, get.P99))
	}
	for i := range r.Memory.Kinds {
		m := &r.Memory.Kinds[i]
		if m.Small {
			r.Targets = append(r.Targets, target{What: "bytes of 10,000 results, " + m.Name, Limit: maxL2Bytes, bound: below}.once(l2Results*m.each()))
		}
	}
	for _, d := range r.Deaths {
		r.Targets = append(r.Targets, target{What: "seconds until reads are back, " + d.Name, Limit: maxDeathSeconds}.once(d.Back))
	}
}

// ofRounds compares values that were measured in the same rounds, and judges.
func (t target) ofRounds(of, to []number) target {
	ratios := roundRatios(floats(of), floats(to))
	lowest, highest := extremes(ratios)
	t = t.once(number(median(ratios)))
	t.Lowest, t.Highest = number(lowest), number(highest)
	return t
}

// throughput is pgbench on all keys, in rounds: PostgreSQL, hits in L1, and hits in L2.
func (s *l2Stage) throughput(ctx context.Context, one, other *peer) ([]*cell, error) {
	script := filepath.Join(s.directory, "select-l2.sql")
	text := fmt.Sprintf("\\set aid random(1, %d)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n", l2Keys)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return nil, err
	}
	load := *s.load
	load.script = script
	direct := &peer{name: nameDirect, role: roleDirect, at: s.upstream.at}
	l1, l2 := *one, *other
	l1.name, l2.name = "pgrecall, all in L1", "pgrecall, L2"
	l2.counts = func(ctx context.Context) (answered, hits float64, err error) {
		samples, err := other.metrics.read(ctx)
		const name = "pgrecall_statements_total"
		return sum(samples, name, ""), sum(samples, name, `outcome="hit_l2"`), err
	}
	o := s.options
	o.rounds, o.seconds, o.warmSeconds, o.modes = s.options.l2Rounds, 2, 1, []string{"prepared"}
	return measureRounds(ctx, o, &load, []*peer{direct, &l1, &l2}, s.progress), ctx.Err()
}
