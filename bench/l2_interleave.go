package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// comparison is what was measured of things that took turns.
type comparison struct {
	Name   string   `json:"name"`
	Series []series `json:"series"`
}

// series are the latencies of one of them; element i belongs to round i.
type series struct {
	Name string   `json:"name"`
	P50  []number `json:"p50_us"`
	P99  []number `json:"p99_us"`
}

func (c *comparison) find(name string) *series {
	for i := range c.Series {
		if c.Series[i].Name == name {
			return &c.Series[i]
		}
	}
	return nil
}

// contender does one thing for the n-th time. Each worker has contenders of its own.
type contender struct {
	name string
	ask  func(ctx context.Context, n int) error
}

// interleave lets the contenders of each worker take turns, one request each, beginning with the next each time: whatever disturbs the
// machine disturbs all of them. The workers run at the same time.
func interleave(ctx context.Context, name string, rounds int, length time.Duration, workers [][]contender) (comparison, error) {
	c := comparison{Name: name}
	for _, one := range workers[0] {
		c.Series = append(c.Series, series{Name: one.name})
	}
	for round := range rounds {
		latencies := make([][]time.Duration, len(c.Series))
		var mu sync.Mutex
		var group errgroup.Group
		end := time.Now().Add(length)
		for _, contenders := range workers {
			group.Go(func() error {
				own := make([][]time.Duration, len(contenders))
				for n := 0; time.Now().Before(end); n++ {
					for i := range contenders {
						which := (n + i) % len(contenders)
						began := time.Now()
						if err := contenders[which].ask(ctx, n); err != nil {
							return err
						}
						own[which] = append(own[which], time.Since(began))
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for i := range own {
					latencies[i] = append(latencies[i], own[i]...)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return c, err
		}
		if round == 0 && rounds > 1 {
			continue // connections, caches and schedulers get warm
		}
		for i := range c.Series {
			slices.Sort(latencies[i])
			c.Series[i].P50 = append(c.Series[i].P50, micros(percentile(latencies[i], 50)))
			c.Series[i].P99 = append(c.Series[i].P99, micros(percentile(latencies[i], 99)))
		}
	}
	return c, ctx.Err()
}

func micros(d time.Duration) number { return number(float64(d) / float64(time.Microsecond)) }

// percentile returns the value that so many of a hundred don't exceed, 0 of none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(p/100*float64(len(sorted))))-1, 0)]
}

// floats are the numbers as the functions of statistics take them.
func floats(numbers []number) []float64 {
	list := make([]float64, len(numbers))
	for i, n := range numbers {
		list[i] = float64(n)
	}
	return list
}
