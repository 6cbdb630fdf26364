package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tracing is about spans for OpenTelemetry.
type Tracing struct {
	// Endpoint is the URL that spans are posted to, "" for none.
	Endpoint string
	// Headers of each request, as NAME=VALUE, none for those of the standard variables. Secrets, most likely.
	Headers []string
	// CAFile is a PEM file with the authorities that sign the collector's certificate, "" for the system's. CertFile and KeyFile are the client's own.
	CAFile, CertFile, KeyFile string
	// Sample is the share of statements that are traced of those without a trace of the application, 0 to 1.
	Sample float64

	// Timeout of a request, which only the standard variables say, 0 for the default. OpenTelemetry's packages read those that are not here (headers, compression,
	// the resource) by themselves.
	Timeout time.Duration
	// Ignored says why the standard variables do not turn tracing on although they name an endpoint, "" where they do or don't.
	Ignored string
}

// Audit is about the audit log.
type Audit struct {
	// File is the path, "-" for standard output, "" for none.
	File string
	// What is hits or all.
	What string
	// Required: no answer from the cache goes unrecorded.
	Required bool
}

// tracesPath is where collectors take spans.
const tracesPath = "/v1/traces"

func observeSettings() []setting {
	return []setting{
		text("tracing-endpoint", "tracing.endpoint", "URL", "OpenTelemetry collector that gets a span for each sampled statement, by OTLP over HTTP, such as http://collector:4318 (default: OTEL_EXPORTER_OTLP_ENDPOINT)", checkEndpoint,
			func(c *Config) *string { return &c.Tracing.Endpoint }),
		{flag: "tracing-headers", path: "tracing.headers", value: "NAME=VALUE", list: true, secret: true,
			usage: "header of requests to the collector; may be given several times",
			get:   func(c *Config) []string { return c.Tracing.Headers },
			set: func(c *Config, v []string) error {
				c.Tracing.Headers = v
				return checkHeaders(v)
			}},
		text("tracing-ca", "tracing.ca_file", "FILE", "PEM file with the authorities that sign the collector's certificate (default: the system's)", nil,
			func(c *Config) *string { return &c.Tracing.CAFile }),
		text("tracing-cert", "tracing.cert_file", "FILE", "PEM file with pgrecall's certificate for the collector", nil,
			func(c *Config) *string { return &c.Tracing.CertFile }),
		text("tracing-key", "tracing.key_file", "FILE", "PEM file with that certificate's key", nil,
			func(c *Config) *string { return &c.Tracing.KeyFile }),
		{flag: "tracing-sample", path: "tracing.sample", value: "SHARE", reload: true,
			usage: "share of statements that are traced of those without a traceparent, which decides itself; 0 or off for none",
			get:   func(c *Config) []string { return []string{FormatShare(c.Tracing.Sample)} },
			set: func(c *Config, v []string) (err error) {
				c.Tracing.Sample, err = ParseShare(v[0])
				return err
			}},

		text("audit-file", "audit.file", "FILE", "file that a line of JSON is appended to for each access to the cache, - for standard output; SIGHUP opens it anew", nil,
			func(c *Config) *string { return &c.Audit.File }),
		reloadable(word("audit-what", "audit.what", "what the audit log tells of: answers from the cache, or all statements",
			[]string{"hits", "all"}, func(c *Config) *string { return &c.Audit.What })),
		yes("audit-required", "audit.required", "true: while the audit log can't be written the cache gives no answers; false: records are lost, and counted",
			func(c *Config) *bool { return &c.Audit.Required }),
	}
}

func checkEndpoint(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("not the URL of an OTLP collector, such as http://collector:4318")
	case u.User != nil:
		return errors.New("no account goes with the URL, but tracing.headers")
	}
	return nil
}

func checkHeaders(list []string) error {
	for i, h := range list {
		name, value, ok := strings.Cut(h, "=")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("header %d is not NAME=VALUE", i+1)
		}
	}
	return nil
}

// traces returns the URL that spans are posted to: an endpoint without a path gets the usual one.
func traces(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && endpoint != "" && u.Path == "" {
		u.Path = tracesPath
		return u.String()
	}
	return endpoint
}

// checkObserve looks at what single values can't tell.
func (f *file) checkObserve() {
	t := &f.config.Tracing
	t.Endpoint = traces(t.Endpoint)
	if (t.CertFile == "") != (t.KeyFile == "") {
		path, other := "tracing.cert_file", "tracing.key_file"
		if t.CertFile == "" {
			path, other = other, path
		}
		f.failAt(path, "needs %s, too", other)
	}
	if f.config.Audit.Required && f.config.Audit.File == "" {
		f.failAt("audit.required", "needs audit.file")
	}
}

// openTelemetry takes the standard variables (OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "SDK Environment Variables"). File, flags and
// pgrecall's own variables go over them.
func (f *file) openTelemetry(env func(string) string) {
	t := &f.config.Tracing
	either := func(name string) (variable, value string) {
		for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
			if v := env(variable); v != "" {
				return variable, v
			}
		}
		return "", ""
	}
	switch env("OTEL_TRACES_SAMPLER") {
	case "always_on", "parentbased_always_on":
		t.Sample = 1
	case "always_off", "parentbased_always_off":
		t.Sample = 0
	case "traceidratio", "parentbased_traceidratio":
		if share, err := strconv.ParseFloat(env("OTEL_TRACES_SAMPLER_ARG"), 64); err == nil && share >= 0 && share <= 1 {
			t.Sample = share
		}
	}
	if _, v := either("TIMEOUT"); v != "" {
		if n, err := strconv.Atoi(v); err == nil && n > 0 && n <= 600_000 {
			t.Timeout = time.Duration(n) * time.Millisecond
		}
	}
	_, t.CAFile = either("CERTIFICATE")
	_, t.CertFile = either("CLIENT_CERTIFICATE")
	_, t.KeyFile = either("CLIENT_KEY")
	variable, endpoint := either("ENDPOINT")
	if endpoint == "" {
		return
	}
	_, protocol := either("PROTOCOL")
	switch {
	case strings.EqualFold(env("OTEL_SDK_DISABLED"), "true"):
		return
	case !slices.Contains([]string{"", "otlp"}, env("OTEL_TRACES_EXPORTER")):
		return
	case protocol != "" && !strings.HasPrefix(protocol, "http/"):
		t.Ignored = fmt.Sprintf("%s asks for %q, pgrecall speaks http/protobuf and http/json only", strings.TrimSuffix(variable, "ENDPOINT")+"PROTOCOL", protocol)
		return
	}
	if err := checkEndpoint(endpoint); err != nil {
		f.errs = append(f.errs, &Error{Source: variable, What: err.Error()})
		return
	}
	u, _ := url.Parse(endpoint)
	if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u.Path = strings.TrimSuffix(u.Path, "/") + tracesPath
	} else if u.Path == "" {
		u.Path = "/"
	}
	t.Endpoint = u.String()
}
