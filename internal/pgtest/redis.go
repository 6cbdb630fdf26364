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

// Redis is a Redis server in a temporary directory. It saves nothing: what it held is gone
// after a stop.
type Redis struct {
	directory string
	port      string
	tlsPort   string // "" without TLS
	sentinel  bool
	arguments []string
	guard     *guard
	process   *process // nil while stopped
}

// StartRedis starts a Redis server for one test; it is closed when the test has ended. The
// arguments are those of redis-server, as "--requirepass", "secret". Its methods may not be
// called at the same time.
func StartRedis(tb testing.TB, arguments ...string) *Redis {
	tb.Helper()
	r, err := StartRedisServer(tb.Context(), arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, "Redis", r)
	return r
}

// StartRedisServer starts the redis-server of this machine. The context bounds the start only. The
// caller owns the server and closes it.
func StartRedisServer(ctx context.Context, arguments ...string) (*Redis, error) {
	return startRedis(ctx, &Redis{arguments: arguments}, func(*Redis) error { return nil })
}

// startRedis starts a server that has no directory, guard and port yet; prepare runs between these and the start.
func startRedis(ctx context.Context, r *Redis, prepare func(*Redis) error) (*Redis, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("pgtest: %w (Debian's package redis-server has it; .ci/deps installs it)", err)
	}
	var err error
	if r.directory, err = (account{}).temporaryDirectory(); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	if r.guard, err = newGuard(filepath.Join(r.directory, "redis.pid"), r.directory); err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: %w", err), os.RemoveAll(r.directory))
	}
	if r.port, err = freePort(); err == nil {
		err = prepare(r)
	}
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: start Redis: %w", err), r.Close())
	}
	return r, nil
}

// Start starts a server that [Redis.Stop] or [Redis.Kill] ended, on the same port, and returns
// when it answers.
func (r *Redis) Start(ctx context.Context) error {
	if r.process != nil {
		return errors.New("redis is running")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	log, err := os.OpenFile(r.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own copy
	command := exec.Command("redis-server", r.commandLine()...)
	command.Dir = r.directory
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = account{}.attributes()
	p, err := start(command, syscall.SIGKILL)
	if err != nil {
		return err
	}
	for {
		if err = r.ping(ctx); err == nil {
			r.process = p
			return nil
		}
		select {
		case <-p.done:
			output, readErr := os.ReadFile(r.Log())
			return errors.Join(fmt.Errorf("redis-server ended: %s", output), readErr)
		case <-ctx.Done():
			return errors.Join(err, p.signal(syscall.SIGKILL))
		case <-time.After(5 * time.Millisecond): // Redis tells nobody that it is ready
		}
	}
}

// commandLine returns all arguments of redis-server. A Sentinel writes to its file and takes little else.
func (r *Redis) commandLine() []string {
	common := []string{"--port", r.port, "--bind", "127.0.0.1", "--dir", r.directory, "--pidfile", filepath.Join(r.directory, "redis.pid")}
	if r.sentinel {
		return append([]string{filepath.Join(r.directory, sentinelFile), "--sentinel"}, common...)
	}
	return append(append(common, "--save", "", "--appendonly", "no"), r.arguments...)
}

// ping succeeds when the server answers anything but that it is loading.
func (r *Redis) ping(ctx context.Context) (err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && len(line) > 8 && line[:8] == "-LOADING" {
		err = errors.New(line)
	}
	return err
}

// Stop ends the server in order.
func (r *Redis) Stop(ctx context.Context) error { return r.end(ctx, syscall.SIGTERM) }

// Kill ends the server with SIGKILL.
func (r *Redis) Kill(ctx context.Context) error { return r.end(ctx, syscall.SIGKILL) }

// Pause stops the server's process without ending it: it accepts connections and answers
// nothing, as a server behind a broken network.
func (r *Redis) Pause() error { return r.process.pause() }

// Resume ends a pause.
func (r *Redis) Resume() error { return r.process.signal(syscall.SIGCONT) }

func (r *Redis) end(ctx context.Context, sig syscall.Signal) error {
	if r.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.process.signal(sig); err != nil {
		return err
	}
	select {
	case <-r.process.done:
		r.process = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("redis did not end: %w", ctx.Err())
	}
}

// Close ends the server at once and removes all that it had. A second Close does nothing.
func (r *Redis) Close() error {
	if r.guard == nil {
		return nil
	}
	err := r.Kill(context.Background())
	err = errors.Join(err, os.RemoveAll(r.directory), r.guard.dismiss())
	r.guard = nil
	return err
}

// Address returns host:port.
func (r *Redis) Address() string { return net.JoinHostPort("127.0.0.1", r.port) }

// URL returns the server's address as --redis takes it.
func (r *Redis) URL() string { return "redis://" + r.Address() + "/0" }

// Log returns the path of the server's log.
func (r *Redis) Log() string { return filepath.Join(r.directory, "redis.log") }
