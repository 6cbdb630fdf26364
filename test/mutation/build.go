package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How long a test may run. One that a break makes wait for ever has noticed it, too.
const (
	testTimeout = 120 * time.Second
	leaveTime   = 10 * time.Second // for a test that has run out of time to print where it was
)

// workshop builds test programs and runs them.
type workshop struct {
	root      string // of the repository
	directory string // for files of its own
}

// build makes the test program of a package, with the changed texts of files (by their paths from the root) in place of what is on disk.
func (w *workshop) build(ctx context.Context, pkg string, changed map[string]string) (program string, err error) {
	replace := map[string]string{}
	for file, text := range changed {
		path := filepath.Join(w.directory, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(w.root, filepath.FromSlash(file))] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(w.directory, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(w.directory, "tests")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-overlay", list, "-o", program, "./"+pkg)
	cmd.Dir = w.root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s does not compile: %w\n%s", errBreaks, pkg, err, output)
	}
	return program, nil
}

// verdict is what a test said.
type verdict uint8

const (
	passed verdict = iota
	failed
)

// errNoTest is a test that was not run.
var errNoTest = errors.New("no such test was run")

// test runs one test of a program that was built for its package.
func (w *workshop) test(ctx context.Context, program string, t Test) (verdict, string, error) {
	limited, cancel := context.WithTimeout(ctx, testTimeout+leaveTime)
	defer cancel()
	name := "^" + strings.ReplaceAll(t.Name, "/", "$/^") + "$"
	cmd := exec.CommandContext(limited, program, "-test.run", name, "-test.count", "1", "-test.v", "-test.timeout", testTimeout.String())
	cmd.Dir = filepath.Join(w.root, filepath.FromSlash(t.Package))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = leaveTime
	err := cmd.Run()
	said := output.String()
	function, _, _ := strings.Cut(t.Name, "/")
	switch {
	case ctx.Err() != nil:
		return passed, said, ctx.Err()
	case !strings.Contains(said, "=== RUN   "+t.Name):
		return passed, said, fmt.Errorf("%s: %w: %w\n%s", t, errNoTest, errors.Join(err), said)
	case err == nil && strings.Contains(said, "--- PASS: "+function+" "):
		return passed, said, nil
	case strings.Contains(said, "--- FAIL: "+function+" "), strings.Contains(said, "\npanic: "), strings.Contains(said, "\nfatal error: "), limited.Err() != nil:
		return failed, said, nil
	}
	return passed, said, fmt.Errorf("%s: neither passed nor failed: %w\n%s", t, errors.Join(err), said)
}
