package main

import "math"

// The targets. They are part of pgrecall's promise, not of the machine's speed: ratios, and bytes.
const (
	maxHitCPU         = 1.5 // x floor
	maxPassThroughCPU = 1.0 // x relay
	maxScrapedCPU     = 1.0 // x without scrapes
	maxEntryBytes     = 600
	maxIdleBytes      = 40 << 10
)

// minHitPercent of what is measured as hits has to be hits.
const minHitPercent = 99

// minHitRate is how many times as many statements a warm pgrecall answers as PostgreSQL, by mode.
var minHitRate = map[string]float64{"simple": 3, "extended": 4, "prepared": 1.8}

// target is one promise and what was measured of it.
type target struct {
	Build    string  `json:"build"`
	What     string  `json:"what"`
	Measured number  `json:"measured"` // null: not measured
	Lowest   number  `json:"lowest"`   // of the rounds; null: measured once
	Highest  number  `json:"highest"`
	Limit    float64 `json:"limit"`
	Floor    *number `json:"floor,omitempty"` // the same of the floor: what this machine and load allow at most
	Verdict  string  `json:"verdict"`
	bound    bound
}

// bound says on which side of the limit a measured value has to be.
type bound int

const (
	atMost bound = iota
	below
	atLeast
)

func (b bound) String() string {
	return [...]string{atMost: "<=", below: "<", atLeast: ">="}[b]
}

// Verdicts.
const (
	reached     = "reached"
	notReached  = "NOT REACHED"
	notMeasured = "not measured"
)

// of compares a cell with its yardstick, round by round, and judges.
func (t target) of(c, yardstick *cell, value func(measurement) number) target {
	ratios := roundRatios(c.column(value), yardstick.column(value))
	lowest, highest := extremes(ratios)
	t = t.once(number(median(ratios)))
	t.Lowest, t.Highest = number(lowest), number(highest)
	return t
}

// once sets a value that was measured only once, and judges it.
func (t target) once(measured number) target {
	t.Measured, t.Lowest, t.Highest = measured, number(math.NaN()), number(math.NaN())
	value := float64(t.Measured)
	switch {
	case math.IsNaN(value):
		t.Verdict = notMeasured
	case t.bound == atMost && value <= t.Limit,
		t.bound == below && value < t.Limit,
		t.bound == atLeast && value >= t.Limit:
		t.Verdict = reached
	default:
		t.Verdict = notReached
	}
	return t
}

// judge compares what was measured of one build of pgrecall with what it promises.
func (r *report) judge(build string) []target {
	var all []target
	for _, mode := range r.Modes {
		floor, relay, direct := r.cell(nameFloor, mode), r.cell(nameRelay, mode), r.cell(nameDirect, mode)
		for _, c := range r.Cells {
			if c.Build != build || c.Mode != mode {
				continue
			}
			switch c.role {
			case roleHit:
				if !(median(c.column(hitPercent)) >= minHitPercent) { // nor unknown
					c = nil // something else was measured
				}
				ceiling := number(medianRatio(floor.column(perSecond), direct.column(perSecond)))
				all = append(all,
					target{Build: build, What: "hit CPU x floor, " + mode, Limit: maxHitCPU}.of(c, floor, cpuMicros),
					target{Build: build, What: "hits per second x direct, " + mode, Limit: minHitRate[mode], bound: atLeast,
						Floor: &ceiling}.of(c, direct, perSecond))
			case roleScraped:
				all = append(all, target{Build: build, What: "CPU with a scrape each second x without, " + mode, Limit: maxScrapedCPU}.of(c, r.cell(build, mode), cpuMicros))
			case rolePassThrough:
				all = append(all,
					target{Build: build, What: c.Peer + " CPU x relay, " + mode, Limit: maxPassThroughCPU}.of(c, relay, cpuMicros))
			}
		}
	}
	for _, m := range r.Memory {
		if m.Peer != build {
			continue
		}
		all = append(all,
			target{Build: build, What: "bytes of a one-row entry", Limit: maxEntryBytes, bound: below}.once(m.EntryBytes),
			target{Build: build, What: "bytes of an idle client", Limit: maxIdleBytes, bound: below}.once(m.IdleBytes))
	}
	for _, s := range r.Stale {
		if s.Peer == build {
			all = append(all, target{Build: build, What: "stale reads"}.once(s.measured()))
		}
	}
	return all
}
