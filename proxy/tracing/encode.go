package tracing

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

// Numbers of the fields of opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto and collector/trace/v1/trace_service.proto, version 1.
const (
	requestResourceSpans = 1

	resourceSpansResource   = 1
	resourceSpansScopeSpans = 2
	resourceAttributes      = 1
	scopeSpansScope         = 1
	scopeSpansSpans         = 2
	scopeName               = 1

	spanTraceID    = 1
	spanID         = 2
	spanState      = 3
	spanParent     = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanStatus     = 15
	spanFlags      = 16

	statusCode = 3

	attributeKey   = 1
	attributeValue = 2
	valueString    = 1
	valueInt       = 3
	valueArray     = 5
	arrayValues    = 1
)

// Values of enums and flags in them.
const (
	kindServer  = 2
	kindClient  = 3
	statusError = 2

	flagSampled     = 0x01
	flagRemoteKnown = 0x100
	flagRemote      = 0x200
)

// mostTables bounds what a span tells of a statement that reads from very many.
const mostTables = 32

// appendResource appends the Resource message's field of ResourceSpans.
func appendResource(b []byte, attributes []Attribute) []byte {
	return appendMessage(b, resourceSpansResource, func(b []byte) []byte {
		for _, a := range attributes {
			b = appendString(b, resourceAttributes, a.Name, a.Value)
		}
		return b
	})
}

// appendRequest appends an ExportTraceServiceRequest.
func (t *Tracer) appendRequest(b []byte, records []record) []byte {
	return appendMessage(b, requestResourceSpans, func(b []byte) []byte {
		b = append(b, t.envelope...)
		return appendMessage(b, resourceSpansScopeSpans, func(b []byte) []byte {
			b = appendMessage(b, scopeSpansScope, func(b []byte) []byte {
				return appendText(b, scopeName, "github.com/pgrecall/pgrecall")
			})
			for i := range records {
				b = t.appendStatement(b, &records[i])
			}
			return b
		})
	})
}

// appendStatement appends the span of a statement, and that of its time upstream.
func (t *Tracer) appendStatement(b []byte, r *record) []byte {
	operation, collection := r.subject()
	name := spanNamed(operation, collection, r.database)
	b = appendMessage(b, scopeSpansSpans, func(b []byte) []byte {
		flags := uint32(flagSampled | flagRemoteKnown)
		if r.remote {
			flags |= flagRemote
		}
		b = r.appendHead(b, r.span, r.parent, name, kindServer, flags, r.ended-int64(r.took), r.ended)
		b = r.appendDatabase(b, operation, collection)
		b = appendString(b, spanAttributes, "pgrecall.outcome", r.outcome)
		b = appendString(b, spanAttributes, "pgrecall.tier", r.tier)
		if r.parsed != nil {
			if fingerprint := r.parsed.Fingerprint(); fingerprint != 0 {
				b = appendString(b, spanAttributes, "pgrecall.fingerprint", fmt.Sprintf("%016x", fingerprint))
			}
		}
		if len(r.tables) > 0 {
			b = appendStrings(b, spanAttributes, "pgrecall.tables", r.tables[:min(len(r.tables), mostTables)])
		}
		if r.reason != "" {
			b = appendString(b, spanAttributes, "pgrecall.reason", r.reason)
		}
		if r.stale != "" {
			b = appendString(b, spanAttributes, "pgrecall.stale", r.stale)
		}
		return r.appendStatus(b)
	})
	if r.upstream <= 0 {
		return b
	}
	return appendMessage(b, scopeSpansSpans, func(b []byte) []byte {
		var id [8]byte
		random(id[:])
		b = r.appendHead(b, id, r.span, name, kindClient, flagSampled|flagRemoteKnown, r.ended-int64(r.upstream), r.ended)
		b = r.appendDatabase(b, operation, collection)
		if t.host != "" {
			b = appendString(b, spanAttributes, "server.address", t.host)
			b = appendNumber(b, spanAttributes, "server.port", t.port)
		}
		if r.stale != "" { // the server's error, which the client did not get
			return appendEnum(b, statusError)
		}
		return r.appendStatus(b)
	})
}

// appendHead appends what every span has.
func (r *record) appendHead(b []byte, id, parent [8]byte, name string, kind uint64, flags uint32, from, to int64) []byte {
	b = protowire.AppendBytes(protowire.AppendTag(b, spanTraceID, protowire.BytesType), r.trace[:])
	b = protowire.AppendBytes(protowire.AppendTag(b, spanID, protowire.BytesType), id[:])
	if r.state != "" {
		b = appendText(b, spanState, r.state)
	}
	if parent != [8]byte{} {
		b = protowire.AppendBytes(protowire.AppendTag(b, spanParent, protowire.BytesType), parent[:])
	}
	b = appendText(b, spanName, name)
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), kind)
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanStart, protowire.Fixed64Type), uint64(from))
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanEnd, protowire.Fixed64Type), uint64(to))
	return protowire.AppendFixed32(protowire.AppendTag(b, spanFlags, protowire.Fixed32Type), flags)
}

// appendDatabase appends the attributes of the semantic conventions for databases.
func (r *record) appendDatabase(b []byte, operation, collection string) []byte {
	b = appendString(b, spanAttributes, "db.system.name", "postgresql")
	b = appendString(b, spanAttributes, "db.namespace", r.database)
	if operation != "" {
		b = appendString(b, spanAttributes, "db.operation.name", operation)
	}
	if collection != "" {
		b = appendString(b, spanAttributes, "db.collection.name", collection)
	}
	return b
}

// appendStatus appends what became of a statement that failed.
func (r *record) appendStatus(b []byte) []byte {
	if !r.failed {
		return b
	}
	kind := "_OTHER"
	if r.code != "" {
		kind = r.code
		b = appendString(b, spanAttributes, "db.response.status_code", r.code)
	}
	b = appendString(b, spanAttributes, "error.type", kind)
	return appendEnum(b, statusError)
}

func appendEnum(b []byte, status uint64) []byte {
	return appendMessage(b, spanStatus, func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, statusCode, protowire.VarintType), status)
	})
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

// spanNamed returns a span's name: the operation and its target, which is the table or the database (semantic conventions, "Database: name").
func spanNamed(operation, collection, database string) string {
	target := collection
	if target == "" {
		target = database
	}
	return strings.TrimSpace(operation + " " + target)
}

// appendMessage appends a field that is a message.
func appendMessage(b []byte, number protowire.Number, body func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	at := len(b)
	b = body(b)
	size := len(b) - at
	n := protowire.SizeVarint(uint64(size))
	b = slices.Grow(b, n)[:len(b)+n] // the length goes before
	copy(b[at+n:], b[at:at+size])
	protowire.AppendVarint(b[at:at], uint64(size))
	return b
}

// appendText appends a field that is a string. OTLP's are UTF-8.
func appendText(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), strings.ToValidUTF8(s, "\uFFFD"))
}

// appendString appends an attribute.
func appendString(b []byte, number protowire.Number, key, value string) []byte {
	return appendMessage(b, number, func(b []byte) []byte {
		b = appendText(b, attributeKey, key)
		return appendMessage(b, attributeValue, func(b []byte) []byte { return appendText(b, valueString, value) })
	})
}

// appendNumber appends an attribute that is a number.
func appendNumber(b []byte, number protowire.Number, key string, value uint64) []byte {
	return appendMessage(b, number, func(b []byte) []byte {
		b = appendText(b, attributeKey, key)
		return appendMessage(b, attributeValue, func(b []byte) []byte {
			return protowire.AppendVarint(protowire.AppendTag(b, valueInt, protowire.VarintType), value)
		})
	})
}

// appendStrings appends an attribute that is a list.
func appendStrings(b []byte, number protowire.Number, key string, values []string) []byte {
	return appendMessage(b, number, func(b []byte) []byte {
		b = appendText(b, attributeKey, key)
		return appendMessage(b, attributeValue, func(b []byte) []byte {
			return appendMessage(b, valueArray, func(b []byte) []byte {
				for _, value := range values {
					b = appendMessage(b, arrayValues, func(b []byte) []byte { return appendText(b, valueString, value) })
				}
				return b
			})
		})
	})
}

var _ observe.Observer = (*Tracer)(nil)
