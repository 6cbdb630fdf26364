package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// binary is a program built from this tree, or the reason why there is none.
type binary struct {
	name string
	path string
	err  error
}

// binaries are the programs in the middle that come from this tree, and other builds of pgrecall.
type binaries struct {
	floor, relay binary
	pgrecall     []binary
}

// buildBinaries compiles this tree's programs into the directory and adds the given builds.
func buildBinaries(ctx context.Context, directory string, others []build) binaries {
	b := binaries{
		floor: compile(ctx, directory, "floor", "./bench/floor"),
		relay: compile(ctx, directory, "relay", "./bench/relay"),
	}
	b.pgrecall = append(b.pgrecall, compile(ctx, directory, "pgrecall", "./cmd/pgrecall"))
	for _, other := range others {
		path, err := filepath.Abs(other.path) // servers run in a directory of their own
		if err == nil {
			_, err = exec.LookPath(path)
		}
		b.pgrecall = append(b.pgrecall, binary{name: other.name, path: path, err: err})
	}
	return b
}

func compile(ctx context.Context, directory, name, source string) binary {
	b := binary{name: name, path: filepath.Join(directory, name)}
	root, err := moduleRoot(ctx)
	if err != nil {
		b.err = err
		return b
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", b.path, source)
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		b.err = fmt.Errorf("not built: %w: %s", err, firstComplaint(output))
	}
	return b
}

func moduleRoot(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(output))), nil
}

// firstComplaint is the compiler's first line that is not the name of a package.
func firstComplaint(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
