package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// served is a pgrecall that runs as a process of its own, in front of a new database.
type served struct {
	t       *testing.T
	direct  *pgx.ConnConfig
	through string // a DSN
	admin   string // a URL
	logs    *output
	process *os.Process
}

// serve runs `pgrecall serve` until the test ends, and waits until it is ready.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	dsn := pgtest.Shared(t).NewDatabase(t)
	own, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, direct: own, logs: &output{grown: make(chan struct{}, 1)}}
	c := command(t, []string{"DATABASE_URL=" + dsn}, append([]string{"serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"}, args...)...)
	c.Stderr = s.logs
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = c.Process
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, s.logs)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	host, port, err2 := net.SplitHostPort(address)
	if err != nil || !ok || err2 != nil {
		t.Fatalf("%q %v %v\n%s", line, err, err2, s.logs)
	}
	s.through = fmt.Sprintf("host=%s port=%s user=%s database=%s sslmode=disable", host, port, own.User, own.Database)
	s.admin = "http://" + s.logs.await(t, `msg="admin server" address=(\S+)`)[1]
	awaitReady(t, s.admin+"/readyz")
	return s
}

// connect opens a connection through pgrecall, or straight to the server.
func (s *served) connect(direct bool) *pgx.Conn {
	s.t.Helper()
	config := s.direct.Copy()
	if !direct {
		var err error
		if config, err = pgx.ParseConfig(s.through); err != nil {
			s.t.Fatal(err)
		}
	}
	conn, err := pgx.ConnectConfig(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(s.t.Context()) })
	return conn
}

// get returns the body of a page of the admin server.
func (s *served) get(path string) string {
	s.t.Helper()
	r, err := http.Get(s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s %v", path, r.StatusCode, body, err)
	}
	return string(body)
}

// status returns what /api/status shows.
func (s *served) status() (status struct {
	admin.Status
	Uncached []admin.Uncached `json:"uncached"`
}) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.get("/api/status")), &status); err != nil {
		s.t.Fatal(err)
	}
	return status
}

// awaitMetric waits until the line of a metric says the value.
func (s *served) awaitMetric(name, value string) {
	s.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains(s.get("/metrics"), "\n"+name+" "+value+"\n") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("no %s %s in\n%s", name, value, s.get("/metrics"))
		}
	}
}

func readInt(t *testing.T, conn *pgx.Conn, sql string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestServeShadow is a team's first day: nothing is served from the cache, and what would have been is compared.
func TestServeShadow(t *testing.T) {
	s := serve(t, "--cache", "shadow")
	conn, direct := s.connect(false), s.connect(true)
	run(t, conn, "CREATE TABLE t (a int)")
	run(t, conn, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	const query = "SELECT a FROM t"
	for range 3 {
		if n := readInt(t, conn, query); n != 1 {
			t.Errorf("got %d", n)
		}
	}
	s.awaitMetric(`pgrecall_bypass_total{reason="shadow"}`, "2")
	s.awaitMetric(`pgrecall_verifications_total{result="same"}`, "2")
	s.awaitMetric(`pgrecall_verifications_total{result="different"}`, "0")

	run(t, direct, "UPDATE t SET a = 2") // around pgrecall: what the cache holds is now wrong
	if n := readInt(t, conn, query); n != 2 {
		t.Errorf("served from the cache: %d", n)
	}
	s.awaitMetric(`pgrecall_verifications_total{result="different"}`, "1")
	s.awaitMetric(`pgrecall_statements_total{outcome="hit_l1"}`, "0")
	s.logs.await(t, `msg="the cache and the server differ" fingerprint=[0-9a-f]{16} tables=public.t `)
}

// TestVerifyIsReloaded turns verification on while clients are connected, lets it find a difference, and allows the shape again.
func TestVerifyIsReloaded(t *testing.T) {
	file := writeFile(t, "cache:\n  verify: off\n")
	s := serve(t, "--config", file)
	conn, direct := s.connect(false), s.connect(true)
	run(t, conn, "CREATE TABLE t (a int)")
	run(t, conn, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	const query = "SELECT a FROM t"
	readInt(t, conn, query)
	readInt(t, conn, query)
	s.awaitMetric(`pgrecall_statements_total{outcome="hit_l1"}`, "1")

	if err := os.WriteFile(file, []byte("cache:\n  verify: 100%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.logs.await(t, "configuration reloaded.* changed=cache.verify\n")
	s.awaitMetric(`pgrecall_verifications_total{result="same"}`, "0")
	fresh := s.connect(false) // sessions that were there look for it once in a while only
	readInt(t, fresh, query)
	s.awaitMetric(`pgrecall_verifications_total{result="same"}`, "1")

	run(t, direct, "UPDATE t SET a = 2")
	readInt(t, fresh, query)
	s.awaitMetric(`pgrecall_verifications_total{result="different"}`, "1")
	if n := readInt(t, fresh, query); n != 2 {
		t.Errorf("got %d from a shape that differed", n)
	}
	s.awaitMetric(`pgrecall_bypass_total{reason="verification_differed"}`, "1")

	status := s.status()
	if len(status.Doubts) != 1 || status.Doubts[0].Tables != "public.t" || status.Verifications["different"] != 1 || status.Verifications["same"] == 0 {
		t.Fatalf("%+v %v", status.Doubts, status.Verifications)
	}
	if page := s.get("/"); !strings.Contains(page, status.Doubts[0].Fingerprint) {
		t.Errorf("the status page does not tell of %s:\n%s", status.Doubts[0].Fingerprint, page)
	}
	r, err := http.Post(s.admin+"/api/allow?fingerprint="+status.Doubts[0].Fingerprint, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(body), `"allowed": 1`) {
		t.Fatalf("%d %s %v", r.StatusCode, body, err)
	}
	if left := s.status().Doubts; len(left) != 0 {
		t.Errorf("still not cached: %+v", left)
	}
	hits := s.status().Statements["hit_l1"]
	readInt(t, fresh, query)
	readInt(t, fresh, query)
	if s.status().Statements["hit_l1"] == hits {
		t.Error("the shape is not cached again")
	}
}

// TestStatusListsUncached: the statement, why, and what would change it.
func TestStatusListsUncached(t *testing.T) {
	s := serve(t)
	conn := s.connect(false)
	run(t, conn, "CREATE TABLE t (a int)")
	run(t, conn, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	readInt(t, conn, "SELECT a FROM t WHERE a = 1 AND pg_sleep(0.01) IS NOT NULL")
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		list := s.status().Uncached
		if len(list) > 0 {
			u := list[0]
			if u.Query != "select a from t where a = $1 and pg_sleep($2) is not null" || u.Reason != "volatile_function" || u.Detail != "pg_sleep" ||
				u.Meaning == "" || u.Change == "" || u.Count != 1 || u.Seconds < 0.01 {
				t.Errorf("%+v", u)
			}
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nothing is listed")
		}
	}
	if page := s.get("/"); !strings.Contains(page, "pg_sleep($2) is not null") {
		t.Errorf("not on the page:\n%s", page)
	}
}
