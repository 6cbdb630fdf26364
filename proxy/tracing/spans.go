package tracing

import (
	"fmt"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

// Flags of spans: sampled, as in a traceparent, and whether the parent is known to be another process's.
const (
	flagsLocal  = 0x01 | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	flagsRemote = flagsLocal | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
)

// mostTables bounds what a span tells of a statement that reads from very many.
const mostTables = 32

// request returns what is uploaded for records, which it refers to, and how many spans that is.
func (t *Tracer) request(records []record) ([]*tracepb.ResourceSpans, uint64) {
	spans := make([]*tracepb.Span, 0, 2*len(records))
	for i := range records {
		r := &records[i]
		statement := t.statement(r)
		spans = append(spans, statement)
		if r.upstream > 0 {
			spans = append(spans, t.child(r, statement.GetName()))
		}
	}
	return []*tracepb.ResourceSpans{{
		Resource:   t.resource,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "github.com/pgrecall/pgrecall"}, Spans: spans}},
	}}, uint64(len(spans))
}

// statement returns the span of a statement.
func (t *Tracer) statement(r *record) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: r.trace[:], SpanId: r.span[:], TraceState: valid(r.state), Name: valid(r.name()), Kind: tracepb.Span_SPAN_KIND_SERVER, Flags: flagsLocal,
		StartTimeUnixNano: uint64(r.ended - int64(r.took)), EndTimeUnixNano: uint64(r.ended), Attributes: r.attributes(),
	}
	if r.parent != [8]byte{} {
		s.ParentSpanId = r.parent[:]
	}
	if r.remote {
		s.Flags = flagsRemote
	}
	s.Attributes = append(s.Attributes, text("pgrecall.outcome", r.outcome), text("pgrecall.tier", r.tier))
	if r.parsed != nil {
		if fingerprint := r.parsed.Fingerprint(); fingerprint != 0 {
			s.Attributes = append(s.Attributes, text("pgrecall.fingerprint", fmt.Sprintf("%016x", fingerprint)))
		}
	}
	if len(r.tables) > 0 {
		s.Attributes = append(s.Attributes, texts("pgrecall.tables", r.tables[:min(len(r.tables), mostTables)]))
	}
	if r.reason != "" {
		s.Attributes = append(s.Attributes, text("pgrecall.reason", r.reason))
	}
	if r.stale != "" {
		s.Attributes = append(s.Attributes, text("pgrecall.stale", r.stale))
	}
	r.fail(s)
	return s
}

// child returns the span of a statement's time upstream.
func (t *Tracer) child(r *record, name string) *tracepb.Span {
	id := make([]byte, 8)
	random(id)
	s := &tracepb.Span{
		TraceId: r.trace[:], SpanId: id, ParentSpanId: r.span[:], TraceState: valid(r.state), Name: name, Kind: tracepb.Span_SPAN_KIND_CLIENT, Flags: flagsLocal,
		StartTimeUnixNano: uint64(r.ended - int64(r.upstream)), EndTimeUnixNano: uint64(r.ended), Attributes: r.attributes(),
	}
	if t.host != "" {
		s.Attributes = append(s.Attributes, text("server.address", t.host),
			&commonpb.KeyValue{Key: "server.port", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: t.port}}})
	}
	if r.stale != "" { // the server's error, which the client did not get
		s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
		return s
	}
	r.fail(s)
	return s
}

// attributes returns those of the semantic conventions for databases.
func (r *record) attributes() []*commonpb.KeyValue {
	list := make([]*commonpb.KeyValue, 0, 12)
	list = append(list, text("db.system.name", "postgresql"), text("db.namespace", r.database))
	operation, collection := r.subject()
	if operation != "" {
		list = append(list, text("db.operation.name", operation))
	}
	if collection != "" {
		list = append(list, text("db.collection.name", collection))
	}
	return list
}

// fail adds what became of a statement that failed.
func (r *record) fail(s *tracepb.Span) {
	if !r.failed {
		return
	}
	kind := "_OTHER"
	if r.code != "" {
		kind = r.code
		s.Attributes = append(s.Attributes, text("db.response.status_code", r.code))
	}
	s.Attributes = append(s.Attributes, text("error.type", kind))
	s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
}

// subject returns the command in words of the grammar, and the table where there is one alone; "" for what is not known.
func (r *record) subject() (operation, collection string) {
	if r.parsed != nil {
		if c := r.parsed.Single(); c != nil {
			operation = c.Tag
		}
	}
	if len(r.tables) == 1 {
		collection = r.tables[0]
	}
	return operation, collection
}

// name returns the spans' name: the operation and its target, which is the table or the database (semantic conventions, "Database: name").
func (r *record) name() string {
	operation, target := r.subject()
	if target == "" {
		target = r.database
	}
	return strings.TrimSpace(operation + " " + target)
}

// valid returns s as the UTF-8 that OTLP's strings must be: one that is not costs its whole batch.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// attribute is one whose value is a string, in a single piece of memory.
type attribute struct {
	pair  commonpb.KeyValue
	value commonpb.AnyValue
	text  commonpb.AnyValue_StringValue
}

func text(key, s string) *commonpb.KeyValue {
	a := &attribute{}
	a.text.StringValue = valid(s)
	a.value.Value, a.pair.Key, a.pair.Value = &a.text, key, &a.value
	return &a.pair
}

func texts(key string, list []string) *commonpb.KeyValue {
	values := make([]*commonpb.AnyValue, len(list))
	for i, s := range list {
		values[i] = text("", s).GetValue()
	}
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: values}}}}
}

var _ observe.Observer = (*Tracer)(nil)
