package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestNotify is the service manager: it hears when clients are accepted, of a reload, good or bad, and of the end.
func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@pgrecall-test-" + filepath.Base(t.TempDir())} {
		manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		hear := func(expression string) {
			t.Helper()
			buffer := make([]byte, 4096)
			if err := manager.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := manager.Read(buffer)
			if err != nil {
				t.Fatalf("want %s: %v", expression, err)
			}
			if got := string(buffer[:n]); !regexp.MustCompile(`^` + expression + `$`).MatchString(got) {
				t.Fatalf("got %q, want %s", got, expression)
			}
		}
		file := writeFile(t, "upstream: "+pgtest.Shared(t).NewDatabase(t)+"\nlisten: [127.0.0.1:0]\nadmin: {listen: \"\"}\n")
		c := command(t, []string{"NOTIFY_SOCKET=" + name}, "--config", file)
		stdout, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stderr = io.Discard
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		hear("READY=1")
		if !bufio.NewScanner(stdout).Scan() {
			t.Error("ready without an address")
		}
		for _, text := range []string{"upstream: postgres://other\n", "cache: {default_ttl: 6}\n"} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			hear(`RELOADING=1\nMONOTONIC_USEC=[1-9]\d*`)
			hear("READY=1")
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		hear("STOPPING=1")
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		if err := manager.Close(); err != nil {
			t.Error(err)
		}
	}
}
