// Package tracing exports a span for each statement of a proxy's clients, and one for the time that the upstream had it, to an OpenTelemetry collector.
// Names and attributes follow OpenTelemetry's semantic conventions for databases. What it never does: wait for the collector
// while a client waits, grow without bound, export parameters, constants, texts of statements or rows.
//
// OpenTelemetry's own client speaks to the collector (OTLP over HTTP). Its SDK has no part in it: that would allocate several times for each span while a client waits,
// whereas here the goroutine that exports makes spans of what it is left.
package tracing
