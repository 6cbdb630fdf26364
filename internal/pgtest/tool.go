package pgtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Cached returns the directory of that name among what is worth keeping between runs, outside of any tree. The first
// caller on the machine fills it; a directory that fill made with an error is removed again. The servers' user can
// read it.
func Cached(name string, fill func(directory string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	directory := filepath.Join(cache, name)
	return directory, once(directory, fill)
}

// Command returns a command that runs as the server's user, since PostgreSQL's own tools exchange files with the
// server and refuse root, in directory, which is made if need be and belongs to that user. All its
// processes end with the context.
func (s *Server) Command(ctx context.Context, directory, name string, arguments ...string) (*exec.Cmd, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	if err := s.account.chown(directory); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = directory
	command.SysProcAttr = s.account.attributes()
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 10 * time.Second
	return command, nil
}

// Directory returns the directory that holds all of the server's files and goes with it; others can read it.
func (s *Server) Directory() string { return s.directory }
