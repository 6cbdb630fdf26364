package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Memcached is a memcached server.
type Memcached struct {
	directory string
	port      string
	arguments []string
	guard     *guard
	process   *process // nil while stopped
}

// StartMemcached starts a memcached for one test; it is closed when the test has ended. The arguments are those of
// memcached, as "-m", "64". Its methods may not be called at the same time.
func StartMemcached(tb testing.TB, arguments ...string) *Memcached {
	tb.Helper()
	m, err := StartMemcachedServer(tb.Context(), arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, "memcached", m)
	return m
}

// StartMemcachedServer starts the memcached of this machine. The context bounds the start only. The
// caller owns the server and closes it.
func StartMemcachedServer(ctx context.Context, arguments ...string) (*Memcached, error) {
	if _, err := exec.LookPath("memcached"); err != nil {
		return nil, fmt.Errorf("pgtest: %w (Debian's package memcached has it; .ci/deps installs it)", err)
	}
	m := &Memcached{arguments: arguments}
	var err error
	if m.directory, err = (account{}).temporaryDirectory(); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	if m.guard, err = newGuard(m.pidFile(), m.directory); err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: %w", err), os.RemoveAll(m.directory))
	}
	if m.port, err = freePort(); err == nil {
		err = m.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: start memcached: %w", err), m.Close())
	}
	return m, nil
}

// Start starts a server that [Memcached.Kill] ended, on the same port and empty, and returns when it answers.
func (m *Memcached) Start(ctx context.Context) error {
	if m.process != nil {
		return errors.New("memcached is running")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	log, err := os.OpenFile(filepath.Join(m.directory, "memcached.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own copy
	arguments := append([]string{"-l", "127.0.0.1", "-p", m.port, "-U", "0", "-P", m.pidFile()}, m.arguments...)
	if os.Geteuid() == 0 {
		arguments = append(arguments, "-u", "root") // it wants to be told
	}
	command := exec.Command("memcached", arguments...)
	command.Dir = m.directory
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = account{}.attributes()
	p, err := start(command, syscall.SIGKILL)
	if err != nil {
		return err
	}
	for {
		if err = m.ping(ctx); err == nil {
			m.process = p
			return nil
		}
		select {
		case <-p.done:
			output, readErr := os.ReadFile(log.Name())
			return errors.Join(fmt.Errorf("memcached ended: %s", output), readErr)
		case <-ctx.Done():
			return errors.Join(err, p.signal(syscall.SIGKILL))
		case <-time.After(5 * time.Millisecond): // memcached tells nobody that it is ready
		}
	}
}

// ping succeeds when the server tells its version.
func (m *Memcached) ping(ctx context.Context) (err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Address())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("version\r\n")); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}

// Kill ends the server with SIGKILL.
func (m *Memcached) Kill(ctx context.Context) error {
	if m.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := m.process.signal(syscall.SIGKILL); err != nil {
		return err
	}
	select {
	case <-m.process.done:
		m.process = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("memcached did not end: %w", ctx.Err())
	}
}

// Pause stops the server's process without ending it, as [Redis.Pause].
func (m *Memcached) Pause() error { return m.process.pause() }

// Resume ends a pause.
func (m *Memcached) Resume() error { return m.process.signal(syscall.SIGCONT) }

// Close ends the server at once and removes all that it had. A second Close does nothing.
func (m *Memcached) Close() error {
	if m.guard == nil {
		return nil
	}
	err := m.Kill(context.Background())
	err = errors.Join(err, os.RemoveAll(m.directory), m.guard.dismiss())
	m.guard = nil
	return err
}

// Address returns host:port.
func (m *Memcached) Address() string { return net.JoinHostPort("127.0.0.1", m.port) }

func (m *Memcached) pidFile() string { return filepath.Join(m.directory, "memcached.pid") }
