package main

import (
	"bytes"
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
		b.err = fmt.Errorf("not built: %w: %s", err, firstLine(output))
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

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte{'\n'})
	return line
}
