package main

import (
	"context"
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
	for _, b := range builds {
		for _, mode := range o.modes {
			file := filepath.Join(directory, b.name+"-"+mode+".pprof")
			p := &peer{name: b.name, role: roleHit}
			err := startPgrecall(ctx, s, p, b, []string{profileVariable + "=" + file})
			var result pgbenchResult
			if err == nil {
				result, err = load.run(ctx, p.at, mode, o.seconds)
			}
			p.close()
			if err != nil {
				return fmt.Errorf("%s, %s: %w", b.name, mode, err)
			}
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("%s wrote no profile (%s): %w", b.name, profileVariable, err)
			}
			fmt.Fprintf(output, "%s: %.0f statements per second; go tool pprof -top %s %s\n", mode, result.perSecond, b.path, file)
		}
	}
	return nil
}
