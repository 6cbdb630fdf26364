package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// death is what reads were like when Redis died. Cold reads are of rows that nobody has read, hot ones of one row.
type death struct {
	Name    string `json:"name"`
	Back    number `json:"back_s"`     // from the death until no read was slow for the length of calm
	Slow    int    `json:"slow_reads"` // since the death
	Longest number `json:"longest_ms"` // of them, or of all where none was slow
	// Medians in microseconds: while Redis lives, and in the last second, when it has been dead for long.
	ColdBefore, ColdAfter number
	HotBefore, HotAfter   number
	// Direct is the median of PostgreSQL itself, in microseconds.
	Direct number `json:"direct_us"`
}

// Lengths of the parts of a death.
const (
	lifeBefore = 1500 * time.Millisecond
	lifeAfter  = 3 * time.Second
	// leastSlow is how long a read takes at least to count as slow: hundreds of times what it should.
	leastSlow = 10 * time.Millisecond
	// calm is how long no read is slow once it is over. A busy machine has some later.
	calm = 500 * time.Millisecond
)

// deaths lets Redis end and hang under each level.
func (s *l2Stage) deaths(ctx context.Context) (all []death, err error) {
	next := 1 // account that nobody has asked for
	for _, level := range []string{"strict", "session"} {
		for _, way := range []struct {
			name string
			die  func(context.Context, *pgtest.Redis) error
		}{
			{"SIGKILL", func(ctx context.Context, r *pgtest.Redis) error { return r.Kill(ctx) }},
			{"SIGSTOP", func(_ context.Context, r *pgtest.Redis) error { return r.Pause() }},
		} {
			d, err := s.death(ctx, level, way.die, &next)
			if err != nil {
				return all, fmt.Errorf("%s, %s: %w", way.name, level, err)
			}
			d.Name = way.name + ", " + level
			all = append(all, d)
		}
	}
	return all, nil
}

// timed is one read.
type timed struct {
	hot        bool
	began, end time.Time
}

func (s *l2Stage) death(ctx context.Context, level string, die func(context.Context, *pgtest.Redis) error, next *int) (d death, err error) {
	redis, err := pgtest.StartRedisServer(ctx)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	mortal := *s
	mortal.redis = redis
	mortal.seats = nil
	defer mortal.close()
	fleet, err := mortal.fleet(ctx, "deaths", large+consistency(level))
	if err != nil {
		return d, err
	}
	conn, err := s.prepared(ctx, fleet[0].at, accountText)
	if err != nil {
		return d, err
	}
	defer conn.Close(ctx)
	straight, err := s.prepared(ctx, s.upstream.at, accountText)
	if err != nil {
		return d, err
	}
	defer straight.Close(ctx)
	var reads []timed
	var direct []time.Duration
	const hotAccount = 99_999
	until := func(end time.Time) error {
		for time.Now().Before(end) {
			*next++
			for _, account := range []int{hotAccount, *next} {
				began := time.Now()
				if err := execute(ctx, conn, account).Err; err != nil {
					return err
				}
				reads = append(reads, timed{account == hotAccount, began, time.Now()})
			}
			began := time.Now()
			if err := execute(ctx, straight, *next).Err; err != nil {
				return err
			}
			direct = append(direct, time.Since(began))
		}
		return nil
	}
	if err := until(time.Now().Add(lifeBefore)); err != nil {
		return d, err
	}
	// The death comes in the middle of the reads.
	died := make(chan error, 1)
	var at time.Time
	go func() {
		at = time.Now()
		died <- die(ctx, redis)
	}()
	if err := errors.Join(until(time.Now().Add(lifeAfter)), <-died); err != nil {
		return d, err
	}
	slices.Sort(direct)
	d.judge(reads, at, direct[len(direct)-1])
	d.Direct = micros(percentile(direct, 50))
	return d, nil
}

// judge takes the figures out of the reads; Redis died at a moment among them. Undisturbed is how long PostgreSQL itself took at most, which knows
// of no Redis.
func (d *death) judge(reads []timed, died time.Time, undisturbed time.Duration) {
	slow := max(leastSlow, 2*undisturbed)
	for _, r := range reads {
		if r.end.Before(died) {
			slow = max(slow, 2*r.end.Sub(r.began)) // a busy machine has such reads without any death
		}
	}
	end := reads[len(reads)-1].end
	var longest time.Duration
	back := died
	medians := map[string][]time.Duration{}
	for _, r := range reads {
		took, kind := r.end.Sub(r.began), "cold"
		if r.hot {
			kind = "hot"
		}
		switch {
		case r.end.Before(died):
			medians[kind+" before"] = append(medians[kind+" before"], took)
			continue
		case end.Sub(r.end) < time.Second:
			medians[kind+" after"] = append(medians[kind+" after"], took)
		}
		longest = max(longest, took)
		if took > slow {
			d.Slow++
			if r.began.Sub(back) < calm {
				back = r.end
			}
		}
	}
	d.Back = number(back.Sub(died).Seconds())
	d.Longest = micros(longest) / 1000
	middle := func(kind string) number {
		slices.Sort(medians[kind])
		return micros(percentile(medians[kind], 50))
	}
	d.ColdBefore, d.ColdAfter, d.HotBefore, d.HotAfter = middle("cold before"), middle("cold after"), middle("hot before"), middle("hot after")
}
