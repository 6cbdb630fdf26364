package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// defaultPort names the Unix socket where no TCP address does.
const defaultPort = "6432"

// listen opens all addresses for clients or none.
func listen(addresses []string) ([]net.Listener, error) {
	port := defaultPort
	for _, a := range addresses {
		if _, p, err := net.SplitHostPort(a); err == nil && !strings.HasPrefix(a, "unix:") && p != "0" {
			port = p
			break
		}
	}
	var open []net.Listener
	for _, a := range addresses {
		l, err := listenOne(a, port)
		if err != nil {
			for _, l := range open {
				_ = l.Close()
			}
			return nil, fmt.Errorf("cannot listen on %s: %w", a, cause(err))
		}
		open = append(open, l)
	}
	return open, nil
}

func listenOne(address, port string) (net.Listener, error) {
	dir, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return net.Listen("tcp", address)
	}
	// libpq looks for this name in the directory that host= gives (manual, 34.1.2).
	path := filepath.Join(dir, ".s.PGSQL."+port)
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// As PostgreSQL's unix_socket_permissions: who may connect is decided by authentication.
	if err := os.Chmod(path, 0o777); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on: a killed process leaves one behind.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// cause strips what the caller says better, "listen tcp 127.0.0.1:6432: bind:".
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
