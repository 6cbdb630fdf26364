package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// number is a measured value; NaN, which JSON does not know, is written as null.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// measurement is one cell of one round.
type measurement struct {
	PerSecond  number `json:"statements_per_second"`
	LatencyMs  number `json:"latency_ms"`
	CPUMicros  number `json:"cpu_us_per_statement"` // of the program in the middle; null of PostgreSQL itself
	HitPercent number `json:"hit_percent"`          // null where the peer does not tell
	Error      string `json:"error,omitempty"`      // then there are no values
}

// failure is a measurement without values.
func failure(err error) measurement {
	nan := number(math.NaN())
	return measurement{PerSecond: nan, LatencyMs: nan, CPUMicros: nan, HitPercent: nan, Error: err.Error()}
}

// cell is what was measured of a peer in a mode; element i of Rounds belongs to round i.
type cell struct {
	Peer   string        `json:"peer"`
	Build  string        `json:"build,omitempty"`
	Mode   string        `json:"mode"`
	Rounds []measurement `json:"rounds"`
	role   role
}

// column takes one value out of each round.
func (c *cell) column(value func(measurement) number) []float64 {
	if c == nil {
		return nil
	}
	column := make([]float64, len(c.Rounds))
	for i, m := range c.Rounds {
		column[i] = float64(value(m))
	}
	return column
}

func perSecond(m measurement) number  { return m.PerSecond }
func latencyMs(m measurement) number  { return m.LatencyMs }
func cpuMicros(m measurement) number  { return m.CPUMicros }
func hitPercent(m measurement) number { return m.HitPercent }

// measureRounds measures every peer in every mode once a round. Each round begins with the next
// peer, so that nobody always follows the same neighbour.
func measureRounds(ctx context.Context, o options, load *pgbench, peers []*peer, progress io.Writer) []*cell {
	cells := make([]*cell, 0, len(o.modes)*len(peers))
	for _, mode := range o.modes {
		for _, p := range peers {
			cells = append(cells, &cell{Peer: p.name, Build: p.build, Mode: mode, role: p.role})
		}
	}
	for round := range o.rounds {
		for m, mode := range o.modes {
			for i := range peers {
				index := (i + round) % len(peers)
				p := peers[index]
				result, err := measure(ctx, o, load, p, mode)
				if err != nil {
					result = failure(err)
					fmt.Fprintf(progress, "round %d, %s, %s: %v\n", round+1, p.name, mode, err)
				}
				c := cells[m*len(peers)+index]
				c.Rounds = append(c.Rounds, result)
				if ctx.Err() != nil {
					return cells
				}
			}
		}
		fmt.Fprintf(progress, "round %d of %d\n", round+1, o.rounds)
	}
	return cells
}

// measure runs the load on one peer, after a warm-up that is not counted.
func measure(ctx context.Context, o options, load *pgbench, p *peer, mode string) (measurement, error) {
	if o.warmSeconds > 0 {
		if _, err := load.run(ctx, p.at, mode, o.warmSeconds); err != nil {
			return measurement{}, fmt.Errorf("warm-up: %w", err)
		}
	}
	if p.role == roleScraped {
		defer p.metrics.scrape(ctx, time.Second)()
	}
	before, err := p.reading(ctx)
	if err != nil {
		return measurement{}, err
	}
	result, err := load.run(ctx, p.at, mode, o.seconds)
	if err != nil {
		return measurement{}, err
	}
	after, err := p.reading(ctx)
	if err != nil {
		return measurement{}, err
	}
	m := measurement{
		PerSecond: number(result.perSecond), LatencyMs: number(result.latencyMs),
		CPUMicros: number(math.NaN()), HitPercent: number(math.NaN()),
	}
	if p.process != nil {
		used := after.cpu - before.cpu
		m.CPUMicros = number(float64(used) / float64(time.Microsecond) / float64(result.transactions))
	}
	if answered := after.answered - before.answered; answered > 0 {
		m.HitPercent = number(100 * (after.hits - before.hits) / answered)
	}
	return m, nil
}

// reading is the state of a peer's counters.
type reading struct {
	cpu            time.Duration
	answered, hits float64
}

func (p *peer) reading(ctx context.Context) (reading, error) {
	var r reading
	var err error
	if p.counts != nil {
		if r.answered, r.hits, err = p.counts(ctx); err != nil {
			return r, fmt.Errorf("counters: %w", err)
		}
	}
	if p.process != nil {
		r.cpu, err = treeCPU(p.process.pid())
	}
	return r, err
}
