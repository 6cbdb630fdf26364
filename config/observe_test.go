package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStandardVariablesOfOpenTelemetry(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, test := range map[string]struct {
		args, env []string
		want      Tracing
	}{
		"none":               {nil, nil, Tracing{Sample: 0.01}},
		"endpoint":           {nil, []string{endpoint, "http://c:4318"}, Tracing{Endpoint: "http://c:4318/v1/traces", Sample: 0.01}},
		"endpoint with path": {nil, []string{endpoint, "https://c/otlp/"}, Tracing{Endpoint: "https://c/otlp/v1/traces", Sample: 0.01}},
		"endpoint of traces": {nil, []string{endpoint, "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318"}, Tracing{Endpoint: "http://c:4318/", Sample: 0.01}},
		"flag":               {[]string{"--tracing-endpoint", "http://d:4318", "--tracing-sample", "5%"}, []string{endpoint, "http://c:4318"}, Tracing{Endpoint: "http://d:4318/v1/traces", Sample: 0.05}},
		"flag with path":     {[]string{"--tracing-endpoint", "http://d:4318/x"}, nil, Tracing{Endpoint: "http://d:4318/x", Sample: 0.01}},
		"turned off":         {[]string{"--tracing-endpoint="}, []string{endpoint, "http://c:4318"}, Tracing{Sample: 0.01}},
		"disabled":           {nil, []string{endpoint, "http://c:4318", "OTEL_SDK_DISABLED", "true"}, Tracing{Sample: 0.01}},
		"other exporter":     {nil, []string{endpoint, "http://c:4318", "OTEL_TRACES_EXPORTER", "none"}, Tracing{Sample: 0.01}},
		"grpc": {nil, []string{endpoint, "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
			Tracing{Sample: 0.01, Ignored: `OTEL_EXPORTER_OTLP_PROTOCOL asks for "grpc", pgrecall speaks http/protobuf and http/json only`}},
		"the rest": {nil, []string{endpoint, "http://c:4318", "OTEL_EXPORTER_OTLP_TIMEOUT", "2500", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json",
			"OTEL_EXPORTER_OTLP_CERTIFICATE", "ca", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "cert", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "key",
			"OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25"},
			Tracing{Endpoint: "http://c:4318/v1/traces", Sample: 0.25, Timeout: 2500 * time.Millisecond, CAFile: "ca", CertFile: "cert", KeyFile: "key"}},
		"always on":  {nil, []string{"OTEL_TRACES_SAMPLER", "always_on"}, Tracing{Sample: 1}},
		"always off": {nil, []string{"OTEL_TRACES_SAMPLER", "parentbased_always_off"}, Tracing{}},
	} {
		c, err := Load(test.args, env(test.env...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := fmt.Sprintf("%+v", c.Tracing), fmt.Sprintf("%+v", test.want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestWrongObservers(t *testing.T) {
	for _, test := range []struct {
		args, env []string
		want      string
	}{
		{[]string{"--tracing-endpoint", "collector:4318"}, nil, "--tracing-endpoint: not the URL of an OTLP collector, such as http://collector:4318"},
		{[]string{"--tracing-endpoint", "http://u:secret@c:4318"}, nil, "--tracing-endpoint: no account goes with the URL, but tracing.headers"},
		{nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "secret:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: not the URL of an OTLP collector, such as http://collector:4318"},
		{[]string{"--tracing-headers", "secret"}, nil, "--tracing-headers: header 1 is not NAME=VALUE"},
		{[]string{"--tracing-headers", "a=sec\nret"}, nil, "--tracing-headers: header 1 is not NAME=VALUE"},
		{[]string{"--tracing-sample", "110%"}, nil, ""},
		{[]string{"--tracing-cert", "x"}, nil, "tracing.cert_file: needs tracing.key_file, too"},
		{[]string{"--tracing-key", "x"}, nil, "tracing.key_file: needs tracing.cert_file, too"},
		{[]string{"--audit-what", "some"}, nil, `--audit-what: "some" is not one of hits, all`},
		{[]string{"--audit-required", "true"}, nil, "audit.required: needs audit.file"},
	} {
		_, err := Load(test.args, env(test.env...))
		if err == nil || test.want != "" && err.Error() != test.want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q %q: %v, want %s", test.args, test.env, err, test.want)
		}
	}
}
