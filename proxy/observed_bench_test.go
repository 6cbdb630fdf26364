package proxy_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/audit"
)

// BenchmarkObservedHit measures what tracing and the audit log add to a hit of a simple query, and what a comment adds that is another one each time.
func BenchmarkObservedHit(b *testing.B) {
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(sink.Close)
	traced := func(sample float64) func(*proxy.Options) {
		return func(o *proxy.Options) { o.Observer = newTracer(b, sink.URL+"/v1/traces", sample, o) }
	}
	audited := func(o *proxy.Options) { o.Observer = openAudit(b, o, filepath.Join(b.TempDir(), "audit"), false) }
	const plain = `SELECT abalance FROM pgbench_accounts WHERE aid = 7`
	commented := func(flags string) string {
		_, _, text := comment(1, flags)
		return plain + " " + text
	}
	for _, mode := range []struct {
		name    string
		options func(*proxy.Options)
		sql     string
	}{
		{"off", nil, plain},
		{"off comment", nil, commented("01")},
		{"sample 0", traced(0), plain},
		{"sample 1", traced(1), plain},
		{"unsampled parent", traced(1), commented("00")},
		{"sampled parent", traced(0), commented("01")},
		{"audit", audited, plain},
	} {
		b.Run(mode.name, func(b *testing.B) {
			request := encode(b, func(f *pgproto3.Frontend) { f.Send(&pgproto3.Query{String: mode.sql}) })
			benchmarkHits(b, mode.options, request, anotherTrace(request))
		})
		b.Run(mode.name+" extended", func(b *testing.B) {
			request := encode(b, func(f *pgproto3.Frontend) {
				f.Send(&pgproto3.Parse{Query: mode.sql})
				f.Send(&pgproto3.Bind{})
				f.Send(&pgproto3.Execute{})
				f.Send(&pgproto3.Sync{})
			})
			benchmarkHits(b, mode.options, request, anotherTrace(request))
		})
	}
}

// anotherTrace returns what writes another trace into the comment of a request, if it has one.
func anotherTrace(request []byte) func([]byte) {
	at := bytes.Index(request, []byte("traceparent='00-"))
	if at < 0 {
		return func([]byte) {}
	}
	at += len("traceparent='00-")
	n := uint32(1)
	return func(request []byte) {
		n++
		hex.Encode(request[at:], []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
}

func openAudit(tb testing.TB, o *proxy.Options, path string, required bool) *audit.Log {
	tb.Helper()
	l, err := audit.Open(audit.Options{Path: path, What: audit.Hits, Required: required, Logger: o.Logger, Registerer: o.Registerer})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}
