package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// profileVariable names the file that pgrecall writes a CPU profile of its whole life to, when it
// ends in order.
const profileVariable = "PGRECALL_CPUPROFILE"

// profile takes one CPU profile of the hit path per build and mode. The process is warm for all but
// its first second.
func profile(ctx context.Context, o options, s *stage, load *pgbench, builds []binary, output io.Writer) error {
	directory, err := filepath.Abs(o.profileDir) // pgrecall runs in a directory of its own
	if err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	var failures []error
	for _, b := range builds {
		for _, mode := range o.modes {
			if err := profileMode(ctx, o, s, load, b, mode, directory, output); err != nil {
				failures = append(failures, fmt.Errorf("%s, %s: %w", b.name, mode, err))
			}
		}
	}
	return errors.Join(failures...)
}

func profileMode(ctx context.Context, o options, s *stage, load *pgbench, b binary, mode, directory string, output io.Writer) error {
	file := filepath.Join(directory, b.name+"-"+mode+".pprof")
	p := &peer{name: b.name, role: roleHit}
	err := startPgrecall(ctx, s, p, b, "", []string{profileVariable + "=" + file})
	var result pgbenchResult
	if err == nil {
		result, err = load.run(ctx, p.at, mode, o.seconds)
	}
	p.close() // pgrecall writes the file when it ends
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("no profile, as %s asks for: %w", profileVariable, err)
	}
	fmt.Fprintf(output, "%s, %s: %.0f statements per second; go tool pprof -top %s\n", b.name, mode, result.perSecond, file)
	return nil
}
