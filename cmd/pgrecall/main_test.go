package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// asCommand makes this test binary be the command: same main, same exit.
const asCommand = "PGRECALL_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds what a test waits for, on a busy machine.
const patience = 60 * time.Second

// command returns the command with these arguments and variables ("NAME=value").
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "DATABASE_URL=") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(append(c.Env, asCommand+"=1"), env...)
	return c
}

// runCommand returns the exit status and both outputs.
func runCommand(t *testing.T, env []string, args ...string) (int, string, string) {
	t.Helper()
	c := command(t, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pgrecall.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestExitStatuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // the cases run in parallel, when this function has returned
	bad := writeFile(t, "cache:\n  mode: maybe\nlimits:\n  max_conections: 1\n")
	good := writeFile(t, "log:\n  level: debug\n")
	none := filepath.Join(t.TempDir(), "none.yaml")
	upstream := "DATABASE_URL=postgres://u@127.0.0.1:1/d"
	for name, test := range map[string]struct {
		env    []string
		args   []string
		status int
		stdout string // "" for nothing, a trailing * for a prefix
		stderr string
	}{
		"version":          {args: []string{"version"}, stdout: "pgrecall *"},
		"version flag":     {args: []string{"--version"}, stdout: "pgrecall *"},
		"help":             {args: []string{"--help"}, stdout: "pgrecall answers repeated reads*"},
		"help of serve":    {args: []string{"serve", "-h"}, stdout: "pgrecall answers repeated reads*"},
		"help of explain":  {args: []string{"explain", "--help"}, stdout: "pgrecall answers repeated reads*"},
		"unknown command":  {args: []string{"sevre"}, status: 1, stderr: `pgrecall: unknown command "sevre": want serve, check, explain, demo, flush, health, report, warm, version or help`},
		"unknown flag":     {args: []string{"--upsteam=x"}, status: 1, stderr: `pgrecall: unknown flag --upsteam, did you mean "upstream"?`},
		"argument":         {args: []string{"serve", "x"}, status: 1, stderr: `pgrecall: unexpected argument "x"`},
		"no upstream":      {args: []string{"--listen=127.0.0.1:0"}, status: 1, stderr: "pgrecall: no upstream: give --upstream postgres://host:port/database, or set DATABASE_URL"},
		"bad variable":     {env: []string{"PGRECALL_L1_SIZE=huge", upstream}, status: 1, stderr: `pgrecall: PGRECALL_L1_SIZE: "huge" is not a size in bytes, such as 256MiB, 512kB or 1000`},
		"bad file":         {args: []string{"--config", bad}, status: 1, stderr: "pgrecall: " + bad + `:2: cache.mode: "maybe" is not one of on, off, shadow` + "\npgrecall: " + bad + `:4: limits.max_conections: unknown key, did you mean "max_connections"?`},
		"unreadable file":  {args: []string{"--config", none}, status: 1, stderr: "pgrecall: " + none + ": cannot read the file: no such file or directory"},
		"port in use":      {env: []string{upstream}, args: []string{"--admin=", "--listen", taken.Addr().String()}, status: 1, stderr: "pgrecall: cannot listen on " + taken.Addr().String() + ": address already in use"},
		"admin in use":     {env: []string{upstream}, args: []string{"--listen=127.0.0.1:0", "--admin", taken.Addr().String()}, status: 1, stderr: "pgrecall: cannot listen on " + taken.Addr().String() + " (admin): address already in use"},
		"certificate":      {env: []string{upstream}, args: []string{"--tls-cert", none, "--tls-key", none}, status: 1, stderr: "pgrecall: tls.cert, tls.key: open " + none + ": no such file or directory"},
		"verify":           {env: []string{upstream}, args: []string{"--verify", "2"}, status: 1, stderr: `pgrecall: --verify: "2" has no percent sign: write 2%, or 100% for all`},
		"redis":            {env: []string{upstream}, args: []string{"--redis", "http://h"}, status: 1, stderr: `pgrecall: --redis: not a Redis URL: scheme "http": want redis, rediss (TLS)*`},
		"replication":      {env: []string{upstream}, args: []string{"--replication", "on"}, status: 1, stderr: "pgrecall: replication.mode: on is not in this version yet (--replication on)"},
		"warm":             {args: []string{"warm"}, status: 1, stderr: "pgrecall: warm needs --file, --top or --from; pgrecall warm --help tells more"},
		"warm twice":       {args: []string{"warm", "--file", good, "--top", "3"}, status: 1, stderr: "pgrecall: --file goes alone; --top takes parameters from --from"},
		"warm nothing":     {env: []string{upstream}, args: []string{"warm", "--file", none}, status: 1, stderr: "pgrecall: open " + none + ": no such file or directory"},
		"warm from nobody": {env: []string{upstream}, args: []string{"warm", "--from", "localhost:9"}, status: 1, stderr: `pgrecall: --from: "localhost:9" is not the URL of an admin server, such as http://127.0.0.1:9632`},
		"help of warm":     {args: []string{"warm", "--help"}, stdout: "pgrecall warm asks a running pgrecall*"},
		"check":            {args: []string{"check", good}, stdout: "ok"},
		"check by flag":    {args: []string{"check", "--config", good}, stdout: "ok"},
		"check of defects": {args: []string{"check", bad}, status: 1, stdout: bad + `:2: cache.mode: "maybe" is not one of on, off, shadow` + "\n" + bad + `:4: limits.max_conections: unknown key, did you mean "max_connections"?`},
		"check of nothing": {args: []string{"check", none}, status: 1, stdout: none + ": cannot read the file: no such file or directory"},
		"flush nothing":    {args: []string{"flush"}, status: 1, stderr: "pgrecall: flush what? --all, or any of --database, --table, --tenant, --fingerprint"},
		"flush too much":   {args: []string{"flush", "--all", "--table", "t"}, status: 1, stderr: "pgrecall: --all goes with nothing else"},
		"flush nowhere":    {args: []string{"flush", "--all", "--admin", "127.0.0.1:1"}, status: 1, stderr: "pgrecall: flush: *"},
		"explain nothing":  {env: []string{upstream}, args: []string{"explain"}, status: 1, stderr: `pgrecall: explain needs one argument: pgrecall explain "SELECT ..."`},
		"explain nowhere":  {env: []string{upstream}, args: []string{"explain", "SELECT 1"}, status: 1, stderr: "pgrecall: cannot connect to the upstream: *"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := runCommand(t, test.env, test.args...)
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			like(t, "stdout", stdout, test.stdout)
			like(t, "stderr", stderr, test.stderr)
		})
	}
}

func like(t *testing.T, what, got, want string) {
	t.Helper()
	got = strings.TrimSuffix(got, "\n")
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		if !strings.HasPrefix(got, prefix) {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
		return
	}
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// output collects what a process writes and lets a test wait for a line.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	grown chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.grown <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await returns the first match.
func (o *output) await(t *testing.T, expression string) []string {
	t.Helper()
	re, deadline := regexp.MustCompile(expression), time.After(patience)
	for {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m
		}
		select {
		case <-o.grown:
		case <-deadline:
			t.Fatalf("no %s in\n%s", expression, o)
		}
	}
}

func TestServe(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	file := writeFile(t, "cache:\n  default_ttl: 5s\nlog:\n  level: info\n")
	c := command(t, []string{"DATABASE_URL=" + dsn}, "--config", file, "--listen=127.0.0.1:0", "--listen=unix:"+t.TempDir(), "--admin=127.0.0.1:0")
	logs := &output{grown: make(chan struct{}, 1)}
	c.Stderr = logs
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var addresses []string
	for len(addresses) < 2 && lines.Scan() {
		address, ok := strings.CutPrefix(lines.Text(), "listening on ")
		if !ok {
			t.Fatalf("got %q", lines.Text())
		}
		addresses = append(addresses, address)
	}
	logs.await(t, "logical replication is off in this version")

	own, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(addresses[0])
	for _, to := range []string{
		fmt.Sprintf("host=%s port=%s", host, port),
		fmt.Sprintf("host=%s port=6432", filepath.Dir(addresses[1])),
	} {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("%s user=%s database=%s sslmode=disable", to, own.User, own.Database))
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT 40 + 2").Scan(&n); err != nil || n != 42 {
			t.Errorf("%s: %d, %v", to, n, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}

	admin := logs.await(t, `msg="admin server" address=(\S+)`)[1]
	awaitReady(t, "http://"+admin+"/readyz")

	for _, args := range [][]string{{"health"}, {"health", "--ready"}} {
		if status, told, complaint := runCommand(t, nil, append(args, "--admin", admin)...); status != 0 || told == "" || complaint != "" {
			t.Errorf("%v: %d, %s, %s", args, status, told, complaint)
		}
	}

	if status, told, complaint := runCommand(t, nil, "flush", "--all", "--admin", admin); status != 0 || !strings.HasPrefix(told, "l1: ") {
		t.Errorf("flush: %d, %s, %s", status, told, complaint)
	}
	if status, _, complaint := runCommand(t, nil, "flush", "--tenant", "t", "--admin", admin); status != 1 || !strings.Contains(complaint, "cache.l2.tenant is none") {
		t.Errorf("flush of a tenant: %d, %s", status, complaint)
	}
	logs.await(t, "cache flushed")

	reload := func(text, expression string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		logs.await(t, expression)
	}
	reload("cache: {default_ttl: 6s}\n", `configuration reloaded.* changed=cache.default_ttl\n`)
	reload("cache: {default_ttl: 6}\n", `configuration not reloaded.*`+regexp.QuoteMeta(file)+`:1: cache.default_ttl`)
	reload("cache: {default_ttl: 6s, l1_size: 512MiB}\n", `some changes need a restart" settings=cache.l1_size\n`)
	reload("rules: [{ttl: 1s}]\nlog: {level: debug}\n", `changed="cache.default_ttl, cache.l1_size, log.level, rules"|changed="cache.default_ttl, log.level, rules"`)

	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		t.Errorf("unexpected on stdout: %s", lines.Text())
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, logs)
	}
	logs.await(t, "msg=stopped")
	if status, _, complaint := runCommand(t, nil, "health", "--admin", admin); status != 1 || !strings.Contains(complaint, "refused") {
		t.Errorf("health without anybody: %d, %s", status, complaint)
	}
}

// TestHealthOfWhatCannotCache: it is alive, and not ready.
func TestHealthOfWhatCannotCache(t *testing.T) {
	var log lines
	i, err := startInstance(t, &log, "--upstream=postgres://127.0.0.1:1/nowhere", "--admin=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if status, _, complaint := runCommand(t, nil, "health", "--admin", i.adminAddr.String()); status != 0 {
		t.Errorf("alive: %d, %s", status, complaint)
	}
	if status, _, complaint := runCommand(t, nil, "health", "--ready", "--admin", i.adminAddr.String()); status != 1 || !strings.Contains(complaint, "no account") {
		t.Errorf("ready: %d, %s", status, complaint)
	}
}

// TestEndWhileTheUpstreamIsAwaited: a service that is stopped before it is up has not failed.
func TestEndWhileTheUpstreamIsAwaited(t *testing.T) {
	c := command(t, nil, "serve", "--upstream=postgres://u@127.0.0.1:1/nowhere", "--redis="+pgtest.StartRedis(t).URL(), "--listen=127.0.0.1:0", "--admin=")
	logs := &output{grown: make(chan struct{}, 1)}
	c.Stderr = logs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	logs.await(t, "clients have to wait")
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, logs)
	}
}

// awaitReady asks until the answer is 200.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not ready: %d", r.StatusCode)
		}
	}
}
