package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/warm"
)

// serving is a pgrecall in a process of its own.
type serving struct {
	listen, admin string
	logs          *output
	process       *os.Process
}

// startServing starts one with these arguments and waits until it is ready.
func startServing(t *testing.T, dsn string, args ...string) serving {
	t.Helper()
	c := command(t, nil, append([]string{"serve", "--upstream", dsn, "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"}, args...)...)
	s := serving{logs: &output{grown: make(chan struct{}, 1)}}
	out := &output{grown: make(chan struct{}, 1)}
	c.Stdout, c.Stderr = out, s.logs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Log(s.logs)
		}
	})
	s.process = c.Process
	s.listen = out.await(t, `listening on (\S+)`)[1]
	s.admin = "http://" + s.logs.await(t, `msg="admin server" address=(\S+)`)[1]
	awaitReady(t, s.admin+"/readyz")
	return s
}

func TestWarm(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	database := dsn[strings.LastIndex(dsn, "/")+1 : strings.Index(dsn, "?")]
	if err := server.Exec(t.Context(), database, "CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 10) i"); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn)
	file := filepath.Join(t.TempDir(), "hot.sql")
	if err := os.WriteFile(file, []byte("SELECT name FROM goods WHERE id = 3;\nINSERT INTO goods VALUES (11, 'secret');\nSELECT count(*) FROM goods;\nSELECT id/0 FROM goods"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"would load:2\n", "loaded:   2\npresent:  0\nskipped:  1\n       1  not_read (INSERT): hot.sql:2\nerrors:   1\n       1  SQLSTATE 22012: hot.sql:4\n",
		"loaded:   0\npresent:  2\n",
	} {
		args := []string{"warm", "--upstream", dsn, "--listen", s.listen, "--file", file}
		if i == 0 {
			args = append(args, "--dry-run")
			want = "would load:3\n"
		}
		status, stdout, stderr := runCommand(t, nil, args...)
		if status != 0 || !strings.Contains(stdout, want) || !strings.Contains(stdout, "role:     postgres in database "+database) {
			t.Errorf("%d\n%s\nwant %s\n%s", status, stdout, want, stderr)
		}
		if !strings.Contains(stderr, "warming 4 of 4: ") || strings.Contains(stdout+stderr, "secret") || strings.Contains(stderr, "\r") {
			t.Errorf("progress %q", stderr)
		}
	}
	status, stdout, stderr := runCommand(t, nil, "warm", "--upstream", dsn, "--target", strings.Replace(dsn, server.Address(), s.listen, 1)+"&TimeZone=Asia/Tokyo", "--file", file, "--json")
	var report warm.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 {
		t.Fatalf("%d %v %s %s", status, err, stdout, stderr)
	}
	if report.Loaded != 2 || report.Skipped != 1 || report.Errors != 1 || report.Total != 4 || report.Seconds <= 0 || report.Database != database {
		t.Errorf("%+v", report)
	}
	if status, stdout, stderr = runCommand(t, nil, "warm", "--upstream", dsn, "--listen", s.listen, "--file", file, "--max-errors", "1"); status != 1 ||
		!strings.HasPrefix(stderr[strings.LastIndex(stderr, "pgrecall:"):], "pgrecall: gave up after 1 errors in a row") {
		t.Errorf("%d %s %s", status, stdout, stderr)
	}
}
