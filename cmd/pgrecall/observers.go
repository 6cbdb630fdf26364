package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/proxy/audit"
	"github.com/pgrecall/pgrecall/proxy/observe"
	"github.com/pgrecall/pgrecall/proxy/tracing"
)

// Bounds of what observers do while clients or the end of the process wait for it.
const (
	observersGrace = 3 * time.Second
	reopenWait     = 3 * time.Second
)

// observers are told of statements. Each is nil when it is off.
type observers struct {
	tracer *tracing.Tracer
	audit  *audit.Log
	logger *slog.Logger
}

// newObservers starts what the configuration asks for. The caller calls close.
func newObservers(c *config.Config, up upstream, r prometheus.Registerer, logger *slog.Logger) (*observers, error) {
	o := &observers{logger: logger}
	if c.Audit.File != "" {
		if c.Audit.File == audit.Stdout {
			signal.Ignore(syscall.SIGPIPE) // a reader that is gone must not end the process
		}
		log, err := audit.Open(audit.Options{Path: c.Audit.File, What: c.Audit.What, Required: c.Audit.Required, Logger: logger, Registerer: r})
		if err != nil {
			return nil, fmt.Errorf("audit.file: %w", err)
		}
		o.audit = log
	}
	if c.Tracing.Ignored != "" && c.Tracing.Endpoint == "" {
		logger.Warn("statements are not traced", "error", c.Tracing.Ignored)
	}
	if c.Tracing.Endpoint == "" {
		return o, nil
	}
	secured, err := collectorTLS(&c.Tracing)
	if err != nil {
		o.close()
		return nil, err
	}
	t := tracing.Options{
		Endpoint: c.Tracing.Endpoint, TLS: secured, Timeout: c.Tracing.Timeout, Sample: c.Tracing.Sample, Version: buildVersion(),
		Host: up.config.Host, Port: up.config.Port, Logger: logger, Registerer: r,
	}
	for _, h := range c.Tracing.Headers {
		if t.Headers == nil {
			t.Headers = map[string]string{}
		}
		name, value, _ := strings.Cut(h, "=")
		t.Headers[name] = value
	}
	if o.tracer, err = tracing.New(t); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// observer is what the engine tells, nil for nobody.
func (o *observers) observer() observe.Observer {
	var list []observe.Observer
	if o.audit != nil {
		list = append(list, o.audit)
	}
	if o.tracer != nil {
		list = append(list, o.tracer)
	}
	return observe.Several(list...)
}

// set applies what a reload can change.
func (o *observers) set(c *config.Config) {
	if o.tracer != nil {
		o.tracer.SetSample(c.Tracing.Sample)
	}
	if o.audit != nil {
		o.audit.Set(c.Audit.What, c.Audit.Required)
	}
}

// reopen opens the audit log's file anew.
func (o *observers) reopen() {
	if o.audit == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), reopenWait)
	defer cancel()
	if err := o.audit.Reopen(ctx); err != nil {
		o.logger.Error("the audit log's file was not opened anew, the old one stays in use", "error", err)
	}
}

// close writes and sends what is left, within a bound. Nothing is told to observers any more.
func (o *observers) close() {
	if o == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), observersGrace)
	defer cancel()
	if o.audit != nil {
		if err := o.audit.Close(ctx); err != nil {
			o.logger.Error("the audit log is not complete", "error", err)
		}
	}
	if o.tracer != nil {
		if err := o.tracer.Close(ctx); err != nil {
			o.logger.Warn("the last spans are lost", "error", err)
		}
	}
}

// collectorTLS returns how the collector is known and what pgrecall shows to it, nil for nothing in particular.
func collectorTLS(t *config.Tracing) (*tls.Config, error) {
	if t.CAFile == "" && t.CertFile == "" {
		return nil, nil
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tracing.ca_file: %w", err)
		}
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("tracing.ca_file: no certificate in it")
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tracing.cert_file, tracing.key_file: %w", err)
		}
		secured.Certificates = []tls.Certificate{pair}
	}
	return secured, nil
}
