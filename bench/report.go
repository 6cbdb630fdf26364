package main

import (
	"encoding/json"
	"os"
	"slices"
)

// report is everything that a run measured.
type report struct {
	PostgreSQL string   `json:"postgresql"`
	CPUs       int      `json:"cpus"`
	Go         string   `json:"go"`
	Rounds     int      `json:"rounds"`
	Seconds    int      `json:"seconds"`
	Clients    int      `json:"clients"`
	Threads    int      `json:"pgbench_threads"`
	Keys       int      `json:"keys"`
	Modes      []string `json:"modes"`

	Missing []missing `json:"missing"`
	Cells   []*cell   `json:"cells"`
	Memory  []memory  `json:"memory"`
	Stale   []stale   `json:"stale"`
	Targets []target  `json:"targets"`
	L2      *l2Report `json:"l2,omitempty"` // nil: not measured
}

// missing is a peer that was wanted and not measured.
type missing struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

func (r *report) cell(peer, mode string) *cell {
	i := slices.IndexFunc(r.Cells, func(c *cell) bool { return c.Peer == peer && c.Mode == mode })
	if i < 0 {
		return nil
	}
	return r.Cells[i]
}

// builds are the pgrecall binaries that were measured, in order.
func (r *report) builds() []string {
	var builds []string
	for _, c := range r.Cells {
		if c.Build != "" && !slices.Contains(builds, c.Build) {
			builds = append(builds, c.Build)
		}
	}
	for _, m := range r.Memory {
		if m.build && !slices.Contains(builds, m.Peer) {
			builds = append(builds, m.Peer)
		}
	}
	return builds
}

// write stores the report as JSON.
func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
