package tracing

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/observe"
)

// Bounds of what waits for the collector, and defaults.
const (
	queueLimit     = 4096 // statements; more are dropped
	batchSize      = 512  // statements in one request
	defaultDelay   = 5 * time.Second
	defaultTimeout = 10 * time.Second
)

// Options of a Tracer. Endpoint, Logger and Registerer are required. The rest of what OpenTelemetry's standard variables say of the exporter (compression, encoding) and
// of the resource counts, too.
type Options struct {
	Endpoint   string            // URL that spans are posted to
	Headers    map[string]string // of each request, nil for those of the standard variables; secrets, most likely
	TLS        *tls.Config       // nil for the system's certificates
	Timeout    time.Duration     // of a request, 0 for ten seconds
	Delay      time.Duration     // how long spans wait for others at most, 0 for five seconds
	Sample     float64           // see SetSample
	Version    string            // of the program
	Host       string            // of the upstream
	Port       uint16
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Tracer exports spans. It implements observe.Observer.
type Tracer struct {
	delay     time.Duration
	host      string
	port      int64
	resource  *resourcepb.Resource
	client    otlptrace.Client
	transport *transport
	sample    atomic.Uint64 // bits of a float64

	mu      sync.Mutex
	pending []record
	closed  bool

	full              chan struct{}   // batchSize records are pending
	stopping          context.Context // Close ends it
	stop              context.CancelFunc
	last              context.Context // ends when Close can't wait any more
	abandon           context.CancelFunc
	done              chan struct{} // closed when the last batch is out
	exported, dropped atomic.Uint64 // spans
	health            health
}

// record is what is kept of a statement until it is exported. What it points to is shared.
type record struct {
	parsed   *parser.Statement
	tables   []string
	database string
	outcome  string
	tier     string
	reason   string
	stale    string
	code     string
	state    string
	failed   bool
	remote   bool // parent is the application's span
	trace    [16]byte
	span     [8]byte
	parent   [8]byte
	ended    int64 // Unix time in nanoseconds
	took     time.Duration
	upstream time.Duration
}

// spans is how many there are of a statement.
func (r *record) spans() uint64 {
	if r.upstream > 0 {
		return 2
	}
	return 1
}

// New returns a Tracer that exports until Close.
func New(o Options) (*Tracer, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("tracing: the endpoint is not an http or https URL")
	}
	quiet(o.Logger)
	t := &Tracer{
		delay: cmp.Or(o.Delay, defaultDelay), host: o.Host, port: int64(o.Port), resource: describe(o.Version, o.Logger), pending: make([]record, 0, queueLimit),
		full: make(chan struct{}, 1), done: make(chan struct{}), health: health{logger: o.Logger, collector: u.Scheme + "://" + u.Host},
	}
	t.stopping, t.stop = context.WithCancel(context.Background())
	t.last, t.abandon = context.WithCancel(context.Background())
	t.transport = newTransport(t.stopping, o.TLS, &t.health)
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(o.Endpoint), otlptracehttp.WithTLSClientConfig(nil), // the transport has it
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 10 * time.Second, MaxElapsedTime: time.Minute}),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: t.transport, Timeout: cmp.Or(o.Timeout, defaultTimeout),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}), // the headers are not for another server
	}
	if o.Headers != nil {
		options = append(options, otlptracehttp.WithHeaders(o.Headers))
	}
	t.client = otlptracehttp.NewClient(options...)
	if err := t.client.Start(t.last); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	t.SetSample(o.Sample)
	result := func(name string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "pgrecall_trace_spans_total", Help: "Spans of statements that were sampled, by whether the collector has got them.",
			ConstLabels: prometheus.Labels{"result": name}}, func() float64 { return float64(n.Load()) })
	}
	for _, c := range []prometheus.Collector{result("exported", &t.exported), result("dropped", &t.dropped)} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("tracing: %w", err)
		}
	}
	go t.run()
	return t, nil
}

// describe returns what is known of this process. The standard variables go over it.
func describe(version string, logger *slog.Logger) *resourcepb.Resource {
	found, err := resource.New(context.Background(), resource.WithHost(), resource.WithAttributes(semconv.ServiceName("pgrecall"), semconv.ServiceVersion(version)), resource.WithFromEnv())
	if err != nil {
		logger.Warn("some attributes of spans' resource are missing", "error", err)
	}
	r := &resourcepb.Resource{}
	for _, a := range found.Attributes() {
		r.Attributes = append(r.Attributes, text(string(a.Key), a.Value.String()))
	}
	return r
}

// SetSample sets the share of statements without a parent that are traced, 0 to 1. A parent decides for its children by its own flag.
func (t *Tracer) SetSample(share float64) { t.sample.Store(math.Float64bits(share)) }

// Ready implements observe.Observer: nothing has to wait for spans.
func (t *Tracer) Ready() bool { return true }

// Ended implements observe.Observer.
func (t *Tracer) Ended(s *observe.Statement) {
	child := s.Parent.Valid()
	if child && !s.Parent.Sampled {
		return
	}
	if !child {
		if share := math.Float64frombits(t.sample.Load()); share < 1 && rand.Float64() >= share {
			return
		}
	}
	r := record{
		parsed: s.Parsed, tables: s.Tables, database: s.Who.Database, outcome: s.Outcome, tier: s.Tier, reason: s.Reason, stale: s.Stale, code: s.Code, failed: s.Failed,
		ended: time.Now().UnixNano(), took: s.Took, upstream: s.Upstream,
	}
	if child {
		r.trace, r.parent, r.remote, r.state = s.Parent.Trace, s.Parent.Span, true, s.Parent.State
	} else {
		random(r.trace[:8])
		random(r.trace[8:])
	}
	random(r.span[:])
	t.mu.Lock()
	if t.closed || len(t.pending) == cap(t.pending) {
		t.mu.Unlock()
		t.dropped.Add(r.spans())
		return
	}
	t.pending = append(t.pending, r)
	full := len(t.pending) >= batchSize
	t.mu.Unlock()
	if full {
		select {
		case t.full <- struct{}{}:
		default:
		}
	}
}

// random fills eight bytes that are not all zero.
func random(b []byte) { binary.BigEndian.PutUint64(b, rand.Uint64()|1) }

// Close exports what is pending while ctx lasts. Statements that end from now on are dropped.
func (t *Tracer) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	defer t.transport.CloseIdleConnections()
	select {
	case <-t.done:
		return t.client.Stop(context.WithoutCancel(ctx)) // it only ends what is under way
	case <-ctx.Done():
		t.abandon()
		<-t.done // its request is cancelled
		return fmt.Errorf("tracing: spans were not exported: %w", ctx.Err())
	}
}
