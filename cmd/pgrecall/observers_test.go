package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestAuditLogIsRotated as logrotate does it: the file is renamed, SIGHUP follows; a configuration with a defect is no reason not to.
func TestAuditLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	file := writeFile(t, "audit:\n  file: "+path+"\n")
	s := serve(t, "--config", file)
	c := s.connect(false)
	run(t, c, "CREATE TABLE t (a int)")
	run(t, c, "INSERT INTO t VALUES (1)")
	awaitReady(t, s.admin+"/readyz")
	readInt(t, c, "SELECT a FROM t")
	readInt(t, c, "SELECT a FROM t")
	s.awaitMetric(`pgrecall_audit_records_total{result="written"}`, "1")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	for n, text := range []string{"audit:\n  file: " + path + "\n  what: all\n", "nonsense: 1\n"} {
		if err := os.Rename(path, fmt.Sprint(path, ".", n)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.logs.await(t, []string{"configuration reloaded.* changed=audit.what\n", "configuration not reloaded"}[n])
		readInt(t, c, fmt.Sprint("SELECT a FROM t WHERE a > -", n)) // a miss
		s.awaitMetric(`pgrecall_audit_records_total{result="written"}`, fmt.Sprint(2+n))
	}
	for name, want := range map[string]string{path + ".0": `"outcome":"hit_l1"`, path + ".1": `"outcome":"miss"`, path: `"outcome":"miss"`} {
		if text, err := os.ReadFile(name); err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// TestAuditLogOnStandardOutput: a reader that is gone does not end the process.
func TestAuditLogOnStandardOutput(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	own, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := command(t, []string{"DATABASE_URL=" + dsn}, "serve", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--audit-file=-", "--audit-what=all")
	logs := &output{grown: make(chan struct{}, 1)}
	c.Stdout, c.Stderr = w, logs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	lines := bufio.NewScanner(r)
	next := func(prefix string) string {
		t.Helper()
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), prefix) {
			t.Fatalf("%q, %v\n%s", lines.Text(), lines.Err(), logs)
		}
		return strings.TrimPrefix(lines.Text(), prefix)
	}
	host, port, _ := net.SplitHostPort(next("listening on "))
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=%s database=%s sslmode=disable", host, port, own.User, own.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if n := readInt(t, conn, "SELECT 40 + 2"); n != 42 {
		t.Error(n)
	}
	next(`{"time":"`)
	_ = r.Close()
	if n := readInt(t, conn, "SELECT 40 + 3"); n != 43 {
		t.Error(n)
	}
	logs.await(t, "the audit log can't be written.*broken pipe")
	if n := readInt(t, conn, "SELECT 40 + 4"); n != 44 {
		t.Error(n)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, logs)
	}
	logs.await(t, "the audit log is not complete")
}

// TestSpansAreFlushedAtTheEnd, to a collector with TLS that the standard variables name.
func TestSpansAreFlushedAtTheEnd(t *testing.T) {
	var mu sync.Mutex
	var resource, spans []string
	collector := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Api-Key") != "k" {
			t.Error(err, r.URL, r.Header)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, of := range data.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				resource = append(resource, a.GetKey()+"="+a.GetValue().GetStringValue())
			}
			for _, s := range of.GetScopeSpans()[0].GetSpans() {
				spans = append(spans, hex.EncodeToString(s.GetTraceId())+" "+s.GetName())
			}
		}
	}))
	defer collector.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k")
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	t.Run("served", func(t *testing.T) {
		c := serve(t, "--tracing-sample=0").connect(false)
		run(t, c, "CREATE TABLE t (a int) /*traceparent='00-"+strings.Repeat("a", 32)+"-00000000000000b7-01'*/")
		run(t, c, "INSERT INTO t VALUES (1)")
	})
	mu.Lock()
	defer mu.Unlock()
	if text := strings.Join(spans, ";"); strings.Count(text, strings.Repeat("a", 32)+" CREATE TABLE ") != 2 || len(spans) != 2 {
		t.Error(spans)
	}
	if text := strings.Join(resource, ";"); !strings.Contains(text, "service.name=pgrecall") || !strings.Contains(text, "service.version=") || !strings.Contains(text, "host.name=") ||
		!strings.Contains(text, "deployment.environment.name=test") {
		t.Error(resource)
	}
}

// TestObserversThatCannotStart end the start with what is wrong.
func TestObserversThatCannotStart(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none", "file")
	for _, test := range []struct{ args, want string }{
		{"--audit-file=" + none, "audit.file: "},
		{"--tracing-endpoint=https://127.0.0.1:1 --tracing-ca=" + none, "tracing.ca_file: "},
		{"--tracing-endpoint=https://127.0.0.1:1 --tracing-cert=" + none + " --tracing-key=" + none, "tracing.cert_file, tracing.key_file: "},
	} {
		args := append([]string{"serve", "--upstream=postgres://u@127.0.0.1:1/d", "--listen=127.0.0.1:0", "--admin="}, strings.Fields(test.args)...)
		if status, _, complaint := runCommand(t, nil, args...); status != 1 || !strings.Contains(complaint, test.want) || !strings.Contains(complaint, "no such file") {
			t.Errorf("%s: %d %s", test.args, status, complaint)
		}
	}
}
