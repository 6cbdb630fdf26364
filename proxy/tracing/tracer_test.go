package tracing_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/observe"
	"github.com/pgrecall/pgrecall/proxy/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type fixture struct {
	*tracing.Tracer
	log      *lines
	registry *prometheus.Registry
}

func start(t *testing.T, o tracing.Options) *fixture {
	t.Helper()
	f := &fixture{log: &lines{}, registry: prometheus.NewRegistry()}
	o.Logger, o.Registerer, o.Delay = slog.New(slog.NewTextHandler(f.log, nil)), f.registry, 5*time.Millisecond
	o.Sample = 1
	o.Headers = map[string]string{"Api-Key": "secret7713"}
	var err error
	if f.Tracer, err = tracing.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close(time.Second) })
	return f
}

func (f *fixture) close(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return f.Close(ctx)
}

func (f *fixture) spans(t *testing.T, result string) (n float64) {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "pgrecall_trace_spans_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("no metric")
	return 0
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-tick.C
	}
}

var statement = observe.Statement{Who: &observe.Who{Database: "shop"}, Outcome: "hit_l1", Tier: observe.TierMemory, Parsed: parser.Analyze("SELECT 1 FROM t"), Took: time.Millisecond}

// TestDeadCollector delays nobody, is told once, and takes no memory beyond the queue.
func TestDeadCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	f := start(t, tracing.Options{Endpoint: "http://" + l.Addr().String() + "/v1/traces"})
	const n = 50_000
	began := time.Now()
	for range n {
		f.Ended(&statement)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("%v for %d statements", took, n)
	}
	eventually(t, "it is told", func() bool { return strings.Contains(f.log.String(), "connection refused") })
	if err := f.close(5 * time.Second); err != nil {
		t.Error(err)
	}
	if f.spans(t, "dropped") != n || f.spans(t, "exported") != 0 {
		t.Errorf("%v dropped, %v exported", f.spans(t, "dropped"), f.spans(t, "exported"))
	}
	if text := f.log.String(); strings.Count(text, "can't be exported") != 1 || strings.Contains(text, "7713") {
		t.Error(text)
	}
	f.Ended(&statement) // after the end
	if f.spans(t, "dropped") != n+1 {
		t.Error(f.spans(t, "dropped"))
	}
}

// TestSlowCollector is waited for at the end no longer than asked, and holds nobody up.
func TestSlowCollector(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	f := start(t, tracing.Options{Endpoint: server.URL + "/v1/traces"})
	const n = 20_000
	began := time.Now()
	for range n {
		f.Ended(&statement)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("%v for %d statements", took, n)
	}
	if f.spans(t, "dropped") < n-3*4096 {
		t.Errorf("%v dropped", f.spans(t, "dropped"))
	}
	began = time.Now()
	if err := f.close(100 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if f.spans(t, "dropped") != n {
		t.Errorf("%v dropped", f.spans(t, "dropped"))
	}
}

// TestCollectorThatRecovers: what it refuses for a moment is sent again; what it rejects is counted.
func TestCollectorThatRecovers(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	var requests, got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(zipped)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Api-Key") != "secret7713" {
			t.Error(err, r.Header)
		}
		switch requests.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 3: // 2 spans are rejected
			w.Header().Set("Content-Type", "application/x-protobuf")
			_, _ = w.Write([]byte{1<<3 | 2, 2, 1 << 3, 2})
		}
		for _, resource := range data.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				got.Add(int64(len(scope.GetSpans())))
			}
		}
	}))
	defer server.Close()
	f := start(t, tracing.Options{Endpoint: server.URL + "/v1/traces"})
	upstream := statement
	upstream.Upstream, upstream.Tier = time.Millisecond, observe.TierUpstream
	f.Ended(&upstream)
	eventually(t, "it is sent again", func() bool { return f.spans(t, "exported") == 2 })
	if !strings.Contains(f.log.String(), "503") || !strings.Contains(f.log.String(), "exported again") {
		t.Error(f.log.String())
	}
	f.Ended(&upstream)
	f.Ended(&statement)
	if err := f.close(5 * time.Second); err != nil {
		t.Error(err)
	}
	if got.Load() != 5 || f.spans(t, "exported") != 3 || f.spans(t, "dropped") != 2 {
		t.Errorf("%d requests, %d spans, %v exported", requests.Load(), got.Load(), f.spans(t, "exported"))
	}
}

// TestCollectorThatIsStarted while the first spans wait for it gets them.
func TestCollectorThatIsStarted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	f := start(t, tracing.Options{Endpoint: "http://" + address + "/path7713"})
	f.Ended(&statement)
	eventually(t, "it is told", func() bool { return strings.Contains(f.log.String(), "connection refused") })
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	eventually(t, "it is exported", func() bool { return f.spans(t, "exported") == 1 })
	if f.spans(t, "dropped") != 0 || strings.Contains(f.log.String(), "7713") {
		t.Error(f.spans(t, "dropped"), f.log)
	}
}

// TestStandardVariables: options go over those that the client reads by itself, the others count; what can't be read is told without its value.
func TestStandardVariables(t *testing.T) {
	type request struct {
		header http.Header
		path   string
		body   []byte
	}
	requests := make(chan request, 9)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- request{r.Header, r.URL.Path, body}
	}))
	defer server.Close()
	secured := httptest.NewTLSServer(nil)
	secured.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"ENDPOINT": "https://127.0.0.1:1", "TRACES_ENDPOINT": "https://127.0.0.1:1", "INSECURE": "false", "HEADERS": "api-key=other7713,broken7713", "PROTOCOL": "http/json",
		"CERTIFICATE": ca, "TIMEOUT": "none7713",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	t.Setenv("OTEL_SERVICE_NAME", "cache")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%20b,service.name=other,host.name=h")
	f := start(t, tracing.Options{Endpoint: server.URL + "/x", Version: "v7"})
	s := statement
	s.Who = &observe.Who{Database: "caf\xe9"} // such a name may come from a database that is not in UTF-8
	f.Ended(&s)
	got := <-requests
	if got.path != "/x" || got.header.Get("Api-Key") != "secret7713" || got.header.Get("Content-Type") != "application/json" {
		t.Error(got.path, got.header)
	}
	for _, want := range []string{`"caf\uFFFD"`, `{"key":"service.name","value":{"stringValue":"cache"}}`, `{"key":"deployment.environment.name","value":{"stringValue":"a b"}}`,
		`{"key":"host.name","value":{"stringValue":"h"}}`, `{"key":"service.version","value":{"stringValue":"v7"}}`} {
		if !strings.Contains(strings.ReplaceAll(string(got.body), "\uFFFD", `\uFFFD`), want) {
			t.Errorf("no %s in %s", want, got.body)
		}
	}
	if text := f.log.String(); !strings.Contains(text, "parse headers") || !strings.Contains(text, "parse duration") || strings.Contains(text, "7713") {
		t.Error(text)
	}
}

// TestRedirectsAreNotFollowed: the headers are for the collector alone.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	f := start(t, tracing.Options{Endpoint: server.URL})
	f.Ended(&statement)
	eventually(t, "it is dropped", func() bool { return f.spans(t, "dropped") == 1 })
}

func TestEndpointsThatAreNone(t *testing.T) {
	for _, endpoint := range []string{"", "collector:4318", "ftp://collector/", "http://", "http://a b/"} {
		if _, err := tracing.New(tracing.Options{Endpoint: endpoint, Logger: slog.Default(), Registerer: prometheus.NewRegistry()}); err == nil {
			t.Errorf("%s was taken", endpoint)
		}
	}
}
