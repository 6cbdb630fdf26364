package tracing

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// transport is below OpenTelemetry's client and has what that leaves out: it tells of the first attempt that fails with its reason but without the URL, has an
// attempt without an answer repeated like one that is refused for the moment, and ends a pause before the next one when the process ends.
// Only the exporting goroutine uses it.
type transport struct {
	http.Transport
	health   *health
	stopping context.Context
	giveUp   context.CancelFunc // ends the upload under way
	attempt  func() bool        // ends the watch over a pause, nil outside of one
}

func newTransport(stopping context.Context, secured *tls.Config, h *health) *transport {
	t := &transport{health: h, stopping: stopping}
	t.Proxy, t.TLSClientConfig, t.ForceAttemptHTTP2 = http.ProxyFromEnvironment, secured, true
	t.MaxIdleConns, t.MaxConnsPerHost, t.IdleConnTimeout = 1, 1, time.Minute
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.paused()
	response, err := t.Transport.RoundTrip(r)
	switch {
	case err != nil:
		err = again{err}
		t.health.failing(err)
	case response.StatusCode/100 != 2:
		t.health.failing(fmt.Errorf("the collector answers %s", response.Status))
	default:
		return response, nil
	}
	t.attempt = context.AfterFunc(t.stopping, t.giveUp)
	return response, err
}

// paused notes that a pause is over, or that there was none.
func (t *transport) paused() {
	if t.attempt != nil {
		t.attempt()
		t.attempt = nil
	}
}

// again is an error that the client tries again after.
type again struct{ error }

func (a again) Unwrap() error { return a.error }
func (again) Temporary() bool { return true }

// complaints tells of what OpenTelemetry's packages complain about, such as a variable that can't be read, in the log instead of on standard error. It leaves out
// the details: there may be secrets among them.
type complaints struct{ logger *slog.Logger }

func (c complaints) Error(_ error, what string, _ ...any) {
	c.logger.Warn("OpenTelemetry's standard variables", "error", what)
}
func (complaints) Init(logr.RuntimeInfo)            {}
func (complaints) Enabled(int) bool                 { return false }
func (complaints) Info(int, string, ...any)         {}
func (c complaints) WithValues(...any) logr.LogSink { return c }
func (c complaints) WithName(string) logr.LogSink   { return c }

// quiet keeps OpenTelemetry's packages from writing to standard error, in the whole process.
func quiet(logger *slog.Logger) {
	otel.SetLogger(logr.New(complaints{logger}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Debug("OpenTelemetry", "error", err) }))
}
