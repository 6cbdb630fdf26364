package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of a program's start and of its end in order.
const (
	startBound = 30 * time.Second
	stopBound  = 20 * time.Second
)

// process is a running program in front of a cluster.
type process struct {
	address string // for clients
	metrics string // URL of its figures, "" where it has none
	command *exec.Cmd
	logFile string
	exited  chan struct{}
	err     error // of Wait, once exited is closed
}

// startProcess starts a program that prints "listening on ADDRESS", and waits for that. Its messages go to a file
// in the directory.
func startProcess(ctx context.Context, directory, path string, arguments ...string) (*process, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	p := &process{logFile: filepath.Join(directory, filepath.Base(path)+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	p.command = exec.Command(path, arguments...)
	p.command.Env = clean(os.Environ())
	p.command.Stderr = log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if at, found := strings.CutPrefix(lines.Text(), "listening on "); found {
				select {
				case address <- at:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, stdout) // after a line that was too long
		p.err = p.command.Wait()
		close(p.exited)
	}()
	timer := time.NewTimer(startBound)
	defer timer.Stop()
	select {
	case p.address = <-address:
		return p, nil
	case <-p.exited:
		err = errors.New("it ended")
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = errors.New("not ready in time")
	}
	return nil, errors.Join(fmt.Errorf("start %s, see %s: %w", filepath.Base(path), p.logFile, err), p.stop())
}

// stop ends the program with SIGTERM, or tells that it did not end in time or had ended before.
func (p *process) stop() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s had ended before it was told to, see %s: %w", filepath.Base(p.command.Path), p.logFile, p.err)
	default:
	}
	_ = p.command.Process.Signal(syscall.SIGTERM) // fails only if it has just ended
	timer := time.NewTimer(stopBound)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		_ = p.command.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not end within %s of SIGTERM", filepath.Base(p.command.Path), stopBound)
	}
}

// clean removes what would lead PostgreSQL's clients or pgrecall elsewhere.
func clean(environment []string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		return strings.HasPrefix(variable, "PG") || strings.HasPrefix(variable, "DATABASE_URL=")
	})
}
