package pgtest

import (
	"net"
	"path/filepath"
	"testing"
)

// StartRedisTLS starts a Redis server for one test that accepts TLS on [Redis.TLSAddress], with a certificate for
// localhost and 127.0.0.1 that is signed by the authority in [Redis.CAFile]. The rest is as in [StartRedis].
func StartRedisTLS(tb testing.TB, arguments ...string) *Redis {
	tb.Helper()
	r, err := startRedis(tb.Context(), &Redis{}, func(r *Redis) error {
		certificate, key := filepath.Join(r.directory, "redis.crt"), filepath.Join(r.directory, "redis.key")
		if err := writeCertificates(r.CAFile(), certificate, key, account{}); err != nil {
			return err
		}
		var err error
		r.tlsPort, err = freePort()
		r.arguments = append([]string{
			"--tls-port", r.tlsPort, "--tls-cert-file", certificate, "--tls-key-file", key,
			"--tls-ca-cert-file", r.CAFile(), "--tls-auth-clients", "no",
		}, arguments...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, "Redis", r)
	return r
}

// TLSAddress returns host:port for TLS of a server that [StartRedisTLS] started.
func (r *Redis) TLSAddress() string { return net.JoinHostPort("127.0.0.1", r.tlsPort) }

// CAFile returns the path of the authority's certificate that verifies the server's.
func (r *Redis) CAFile() string { return filepath.Join(r.directory, "ca.crt") }

// closeAtEnd closes a server when its test has ended.
func closeAtEnd(tb testing.TB, name string, server interface{ Close() error }) {
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Errorf("close %s: %v", name, err)
		}
	})
}
