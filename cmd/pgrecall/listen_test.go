package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".s.PGSQL.6432")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := listen([]string{"unix:" + dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen([]string{"unix:" + dir}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a socket in use was taken: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket in use is gone: %v", err)
	}
	if err := l[0].Close(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".s.PGSQL.7777")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen([]string{"unix:" + dir, "127.0.0.1:7777"}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestNamesUser(t *testing.T) {
	for dsn, want := range map[string]bool{
		"postgres://u@h/d":           true,
		"postgresql://u:p@h/d":       true,
		"postgres://h/d":             false,
		"postgres://h/d?user=u":      true,
		"host=h user=u":              true,
		"user = u host=h":            true,
		"host=h dbname=user":         false,
		"host=h application_user=us": false,
	} {
		if got := namesUser(dsn); got != want {
			t.Errorf("%s: %v", dsn, got)
		}
	}
}
