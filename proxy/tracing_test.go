package proxy_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/tracing"
)

// collector takes spans as an OpenTelemetry collector does.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []*tracepb.Span
	bytes  []byte
	header http.Header
}

func startCollector(tb testing.TB) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		// An ExportTraceServiceRequest has the fields of TracesData.
		var data tracepb.TracesData
		if err == nil {
			err = proto.UnmarshalOptions{}.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			tb.Errorf("%s %v: %v", r.URL, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bytes, c.header = append(c.bytes, body...), r.Header
		for _, resource := range data.GetResourceSpans() {
			if len(resource.ProtoReflect().GetUnknown()) > 0 {
				tb.Error("unknown fields")
			}
			for _, scope := range resource.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					if len(s.ProtoReflect().GetUnknown()) > 0 || len(s.GetTraceId()) != 16 || len(s.GetSpanId()) != 8 {
						tb.Errorf("not a span: %v", s)
					}
				}
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	tb.Cleanup(c.Close)
	return c
}

// attributes of a span as text, with its kind, status and name.
func attributes(s *tracepb.Span) map[string]string {
	m := map[string]string{"name": s.GetName(), "kind": s.GetKind().String(), "status": s.GetStatus().GetCode().String(), "parent": hex.EncodeToString(s.GetParentSpanId()), "trace": hex.EncodeToString(s.GetTraceId())}
	for _, a := range s.GetAttributes() {
		v := a.GetValue()
		switch {
		case v.GetArrayValue() != nil:
			var list []string
			for _, e := range v.GetArrayValue().GetValues() {
				list = append(list, e.GetStringValue())
			}
			m[a.GetKey()] = strings.Join(list, ",")
		case v.GetStringValue() != "":
			m[a.GetKey()] = v.GetStringValue()
		default:
			m[a.GetKey()] = fmt.Sprint(v.GetIntValue())
		}
	}
	return m
}

// drain returns the spans since the last call, once there are so many of statements.
func (c *collector) drain(tb testing.TB, n int) (statements, upstream []*tracepb.Span) {
	tb.Helper()
	eventually(tb, fmt.Sprint(n, " spans"), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		statements, upstream = nil, nil
		for _, s := range c.spans {
			if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER {
				statements = append(statements, s)
			} else {
				upstream = append(upstream, s)
			}
		}
		return len(statements) >= n
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = nil
	return statements, upstream
}

func startTraced(tb testing.TB, sample float64, setup ...string) (*running, *collector) {
	tb.Helper()
	c := startCollector(tb)
	return startOn(tb, pgtest.Shared(tb).NewDatabase(tb), func(o *proxy.Options) { o.Observer = newTracer(tb, c.URL+"/v1/traces", sample, o) }, setup...), c
}

func newTracer(tb testing.TB, endpoint string, sample float64, o *proxy.Options) *tracing.Tracer {
	tb.Helper()
	t, err := tracing.New(tracing.Options{
		Endpoint: endpoint, Headers: map[string]string{"Authorization": "Bearer key"}, Delay: 10 * time.Millisecond, Sample: sample,
		Host: o.Upstream.Host, Port: o.Upstream.Port, Logger: o.Logger, Registerer: o.Registerer,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = t.Close(ctx)
	})
	return t
}

// comment is what sqlcommenter appends, with another traceparent each time.
func comment(n int, flags string) (trace, parent, text string) {
	trace, parent = fmt.Sprintf("%032x", 0xabc000+n), fmt.Sprintf("%016x", 0xdef000+n)
	return trace, parent, "/*action='%2Fgoods%2F7',controller='goods',traceparent='00-" + trace + "-" + parent + "-" + flags + "',tracestate='congo%3Dt61%2Crojo%3D00f'*/"
}

const canary = "canary7713"

// TestSpansOfStatements: one for each statement, a child of the application's, with what became of it and nothing of what it says.
func TestSpansOfStatements(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r, collector := startTraced(t, 0, "CREATE TABLE goods (id int, name text)", "INSERT INTO goods VALUES (7, '"+canary+"row')")
		c := r.connect(parameters...)
		n := 0
		run := func(sql string, args ...any) map[string]string {
			t.Helper()
			n++
			trace, parent, text := comment(n, "01")
			if n%2 == 0 {
				sql = text + " " + sql
			} else {
				sql += " " + text
			}
			rows, err := c.Query(bounded(t), sql, args...)
			if err == nil {
				rows.Close()
			}
			statements, upstream := collector.drain(t, 1)
			if len(statements) != 1 {
				t.Fatalf("%s: %v", sql, statements)
			}
			s := statements[0]
			got := attributes(s)
			if got["trace"] != trace || got["parent"] != parent || s.GetTraceState() != "congo=t61,rojo=00f" || s.GetFlags() != 0x301 {
				t.Errorf("%s: %v", sql, s)
			}
			if s.GetStartTimeUnixNano() > s.GetEndTimeUnixNano() || time.Since(time.Unix(0, int64(s.GetEndTimeUnixNano()))) > time.Minute {
				t.Errorf("%s: from %d to %d", sql, s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
			}
			if want := 1; got["pgrecall.tier"] == "upstream" && (len(upstream) != want || !bytes.Equal(upstream[0].GetParentSpanId(), s.GetSpanId()) || !bytes.Equal(upstream[0].GetTraceId(), s.GetTraceId()) ||
				upstream[0].GetKind() != tracepb.Span_SPAN_KIND_CLIENT || attributes(upstream[0])["server.port"] == "" || upstream[0].GetStartTimeUnixNano() < s.GetStartTimeUnixNano()) {
				t.Errorf("%s: upstream %v", sql, upstream)
			}
			if got["pgrecall.tier"] != "upstream" && len(upstream) != 0 {
				t.Errorf("%s: upstream %v", sql, upstream)
			}
			return got
		}
		want := func(got map[string]string, pairs ...string) {
			t.Helper()
			for i := 0; i < len(pairs); i += 2 {
				if got[pairs[i]] != pairs[i+1] {
					t.Errorf("%s is %q, not %q: %v", pairs[i], got[pairs[i]], pairs[i+1], got)
				}
			}
		}
		const read = "SELECT name FROM goods WHERE name <> $1 AND id < 77134"
		got := run(read, canary+"parameter")
		want(got, "name", "SELECT public.goods", "db.system.name", "postgresql", "db.namespace", r.Database, "db.operation.name", "SELECT", "db.collection.name", "public.goods",
			"pgrecall.outcome", "miss", "pgrecall.tier", "upstream", "pgrecall.tables", "public.goods", "status", "STATUS_CODE_UNSET", "pgrecall.reason", "")
		fingerprint := got["pgrecall.fingerprint"]
		if len(fingerprint) != 16 {
			t.Errorf("%v", got)
		}
		for range 2 { // another text each time
			want(run(read, canary+"parameter"), "pgrecall.outcome", "hit_l1", "pgrecall.tier", "l1", "pgrecall.tables", "public.goods", "pgrecall.fingerprint", fingerprint, "name", "SELECT public.goods")
		}
		want(run("UPDATE goods SET name = '"+canary+"constant' WHERE id = $1", 77134), "name", "UPDATE public.goods", "pgrecall.outcome", "write", "pgrecall.tables", "public.goods")
		want(run("SELECT random(), name FROM goods"), "pgrecall.outcome", "bypass", "pgrecall.reason", "volatile_function", "status", "STATUS_CODE_UNSET")
		want(run("SELECT name FROM goods /* pgrecall: off */"), "pgrecall.outcome", "bypass", "pgrecall.reason", "directive_off")
		want(run("SELECT 1 / (id - id), '"+canary+"constant' FROM goods"), "status", "STATUS_CODE_ERROR", "db.response.status_code", "22012", "error.type", "22012", "pgrecall.tables", "public.goods")
		want(run("SELECT nonsense77134 FROM goods"), "status", "STATUS_CODE_ERROR", "db.response.status_code", "42703")
		want(run("SET work_mem = '7713kB'"), "name", "SET "+r.Database, "pgrecall.outcome", "other")

		collector.mu.Lock()
		defer collector.mu.Unlock()
		for _, secret := range []string{canary, "7713", "goods%2F7", "controller"} {
			if bytes.Contains(collector.bytes, []byte(secret)) {
				t.Errorf("%s is in what was exported", secret)
			}
		}
		if collector.header.Get("Authorization") != "Bearer key" || !bytes.Contains(collector.bytes, []byte("service.name")) {
			t.Error(collector.header)
		}
	})
}

// TestParentsDecideOnSampling: a statement without one is the root of a trace, as often as the setting says.
func TestParentsDecideOnSampling(t *testing.T) {
	r, collector := startTraced(t, 0, "CREATE TABLE t AS SELECT 1 AS id")
	c := r.connect(simple)
	_, _, unsampled := comment(1, "00")
	_, _, sampled := comment(2, "01")
	last := func() []*tracepb.Span { // all before it have ended
		value(t, c, "SELECT id FROM t "+sampled)
		statements, _ := collector.drain(t, 1)
		return statements
	}
	value(t, c, "SELECT id FROM t "+unsampled)
	value(t, c, "SELECT id FROM t")
	value(t, c, "SELECT id FROM t /*traceparent='00-"+strings.Repeat("0", 32)+"-0000000000000001-01'*/")
	value(t, c, "SELECT id FROM t WHERE '/*traceparent=''00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01''*/' <> ''")
	if spans := last(); len(spans) != 1 {
		t.Errorf("%v", spans)
	}
	r.Observer.(*tracing.Tracer).SetSample(1)
	value(t, c, "SELECT id FROM t "+unsampled)
	value(t, c, "SELECT id FROM t")
	spans := last()
	for len(spans) < 2 {
		more, _ := collector.drain(t, 1)
		spans = append(spans, more...)
	}
	if len(spans) != 2 || len(spans[0].GetParentSpanId()) != 0 || spans[0].GetFlags() != 0x101 || bytes.Equal(spans[0].GetTraceId(), make([]byte, 16)) {
		t.Errorf("%v", spans)
	}
}

// TestTraceOfPreparedStatements: executions belong to the trace that the text names, which is that of the Parse message.
func TestTraceOfPreparedStatements(t *testing.T) {
	r, collector := startTraced(t, 0, "CREATE TABLE t AS SELECT 1 AS id")
	c := r.connect()
	trace, _, text := comment(1, "01")
	if _, err := c.Prepare(bounded(t), "p", "SELECT id FROM t WHERE id = $1 "+text); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		value(t, c, "p", 1)
		spans, _ := collector.drain(t, 1)
		if len(spans) != 1 || hex.EncodeToString(spans[0].GetTraceId()) != trace {
			t.Errorf("%v", spans)
		}
	}
	if r.hits() < 1 {
		t.Error("no hit")
	}
	value(t, c, "SELECT id FROM t") // not that of the statement before
	value(t, c, "p", 1)
	if spans, _ := collector.drain(t, 1); len(spans) != 1 {
		t.Errorf("%v", spans)
	}
}

// TestChangingCommentsAreOneStatement: a text that differs by its comment alone is answered from the same entry, without a word to the server.
func TestChangingCommentsAreOneStatement(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheStatement} {
		t.Run(mode.String(), func(t *testing.T) {
			r := start(t, "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10) g")
			c := r.connect()
			fill := func() { value(t, c, "SELECT id FROM t WHERE id = $1", mode, 7) }
			fill()
			eventually(t, "a hit", func() bool { before := r.hits(); fill(); return r.hits() > before })
			before := r.Status().Outcomes
			const times = 100
			for n := range times {
				_, _, text := comment(n, "01")
				const read = "SELECT id FROM t WHERE id = $1"
				sql := []string{read + " " + text, text + "\n" + read, read + " " + text + ";"}[n%3]
				if got := value(t, c, sql, mode, 7); got != "7" && got != "\x00\x00\x00\x07" {
					t.Fatalf("%q", got)
				}
			}
			after := r.Status().Outcomes
			if after["hit_l1"]-before["hit_l1"] != times || after["miss"] != before["miss"] || after["bypass"] != before["bypass"] {
				t.Errorf("before %v, after %v", before, after)
			}
		})
	}
}

// TestUnansweredStatementsHaveSpans: the server's connection is lost.
func TestUnansweredStatementsHaveSpans(t *testing.T) {
	r, collector := startTraced(t, 1, "CREATE TABLE t AS SELECT 1 AS id")
	c := r.connect(simple)
	value(t, c, "SELECT id FROM t")
	collector.drain(t, 1)
	if _, err := c.Exec(bounded(t), "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
		t.Fatal("no error")
	}
	spans, _ := collector.drain(t, 1)
	if got := attributes(spans[0]); got["status"] != "STATUS_CODE_ERROR" || got["db.response.status_code"] != "57P01" {
		t.Errorf("%v", got)
	}
}

// TestSpansTellTheTier that another pgrecall filled.
func TestSpansTellTheTier(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		var collectors []*collector
		fleet, server := startFleetWith(t, 2, true, func(o *proxy.Options) {
			c := startCollector(t)
			collectors = append(collectors, c)
			o.Observer = newTracer(t, c.URL+"/v1/traces", 1, o)
		}, "CREATE TABLE t AS SELECT 1 AS id")
		one, other := fleet[0].connect(parameters...), fleet[1].connect(parameters...)
		value(t, one, "SELECT id FROM t")
		value(t, one, "SELECT id FROM t")
		eventually(t, "it is in L2", func() bool { return len(results(t, server)) > 0 })
		value(t, other, "SELECT id FROM t")
		value(t, other, "SELECT id FROM t")
		var tiers []string
		for len(tiers) < 2 {
			spans, upstream := collectors[1].drain(t, 1)
			for _, s := range spans {
				got := attributes(s)
				tiers = append(tiers, got["pgrecall.outcome"]+" "+got["pgrecall.tier"]+" "+got["pgrecall.tables"])
			}
			if len(upstream) > 0 {
				t.Errorf("%v", upstream)
			}
		}
		if got := strings.Join(tiers, "; "); got != "hit_l2 l2 public.t; hit_l1 l1 public.t" {
			t.Error(got)
		}
	})
}
