package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// profileVariable names the file for a CPU profile of the whole run, for `go run ./bench -profile`.
const profileVariable = "PGRECALL_CPUPROFILE"

// profile starts a CPU profile where the environment asks for one. The caller calls stop before the process ends.
func (p *process) profile() (stop func(), err error) {
	name := p.env(profileVariable)
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profileVariable, err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", profileVariable, err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			fmt.Fprintf(p.stderr, "pgrecall: %s: %v\n", profileVariable, err)
		}
	}, nil
}
