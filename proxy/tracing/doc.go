// Package tracing exports a span for each statement of a proxy's clients, and one for the time that the upstream had it, to an OpenTelemetry collector
// (OTLP over HTTP, protobuf). Names and attributes follow OpenTelemetry's semantic conventions for databases. What it never does: wait for the collector
// while a client waits, grow without bound, export parameters, constants, texts of statements or rows.
//
// It writes the few messages of OTLP itself: the SDK with its exporter would bring gRPC and a dozen modules, and allocates several times for each span.
package tracing
