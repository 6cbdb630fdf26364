package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// identity is pgrecall's own certificate for 127.0.0.1, and the file of the authority that verifies it: itself.
func identity(t *testing.T) (config *tls.Config, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pgrecall"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, authority
}

// methods are pg_hba.conf's words for authentication, each with a user of that name.
var methods = []string{"trust", "password", "md5", "scram-sha-256"}

// withUsers makes a server on which every user has to authenticate with the method that it is named for.
func withUsers(t *testing.T, options ...pgtest.Option) *pgtest.Server {
	t.Helper()
	for _, method := range methods {
		options = append(options, pgtest.WithHBA(`host all "`+method+`" all `+method))
	}
	s := pgtest.Start(t, options...)
	for _, method := range methods {
		encryption := "scram-sha-256"
		if method == "md5" {
			encryption = "md5"
		}
		if err := s.Exec(t.Context(), "postgres", "SET password_encryption = '"+encryption+`'; CREATE ROLE "`+method+`" LOGIN PASSWORD 'secret'`); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAuthenticationThroughEveryCombinationOfTLS(t *testing.T) {
	s := withUsers(t, pgtest.WithTLS())
	ours, authority := identity(t)
	for name, sides := range map[string]struct{ client, upstream bool }{
		"plain": {}, "client": {client: true}, "upstream": {upstream: true}, "both": {client: true, upstream: true},
	} {
		t.Run("TLS "+name, func(t *testing.T) {
			dsn := s.DSN("postgres")
			if sides.upstream {
				dsn = strings.Replace(dsn, "sslmode=disable", "sslmode=verify-full&sslrootcert="+s.CAFile(), 1)
			}
			var log logged
			r := startOn(t, dsn, func(o *proxy.Options) {
				log.into(o)
				if sides.client {
					o.TLS = ours
				}
			})
			mode := "sslmode=disable"
			if sides.client {
				mode = "sslmode=verify-full sslrootcert=" + authority
			}
			settings := mode
			if sides.client && sides.upstream {
				settings += " channel_binding=disable" // as the message below tells
			}
			for _, method := range methods {
				c := r.connect("user="+method, "password=secret", settings)
				encrypted := value(t, c, `SELECT coalesce((SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()), 'false')`)
				if encrypted != map[bool]string{true: "true", false: "false"}[sides.upstream] {
					t.Errorf("%s: upstream encrypted: %s", method, encrypted)
				}
				if method == "trust" {
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				_, err := pgx.Connect(ctx, r.DSN("user="+method, "password=wrong", settings))
				cancel()
				if err == nil || !strings.Contains(err.Error(), "28P01") {
					t.Errorf("%s with a wrong password: %v", method, err)
				}
			}
			if strings.Contains(log.String(), "secret") {
				t.Error("a password was logged")
			}
			t.Run("psql", func(t *testing.T) { channelBinding(t, r, mode, sides.client, sides.upstream) })
		})
	}
}

// channelBinding tells what becomes of libpq's SCRAM by its channel_binding.
func channelBinding(t *testing.T, r *running, mode string, clientTLS, upstreamTLS bool) {
	t.Helper()
	const refused = "SCRAM channel binding cannot pass through a TLS end point"
	both := clientTLS && upstreamTLS
	for binding, want := range map[string]string{"disable": "", "prefer": "", "require": "channel binding"} {
		if binding == "prefer" && both {
			want = refused // libpq says "y": it could bind and did not see that the server can
		}
		out, err := psql(t, r.DSN("user=scram-sha-256", "password=secret", mode, "channel_binding="+binding))
		switch {
		case want == "" && (err != nil || out != "fine"):
			t.Errorf("channel_binding=%s: %v %s", binding, err, out)
		case want != "" && (err == nil || !strings.Contains(out, want)):
			t.Errorf("channel_binding=%s: want %q, got %v %s", binding, want, err, out)
		}
	}
}

// psql runs a query with libpq; the output ends with what it said on standard error.
func psql(t *testing.T, dsn string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "psql", "-X", "-A", "-t", "-c", "SELECT 'fine'", dsn)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestUpstreamSSLModes(t *testing.T) {
	plain, secure := pgtest.Start(t), pgtest.Start(t, pgtest.WithTLS())
	for name, c := range map[string]struct {
		server *pgtest.Server
		mode   string
		works  bool
	}{
		"prefer without TLS":      {plain, "prefer", true},
		"require without TLS":     {plain, "require", false},
		"prefer with TLS":         {secure, "prefer", true},
		"require with TLS":        {secure, "require", true},
		"verify-full, right CA":   {secure, "verify-full&sslrootcert=" + secure.CAFile(), true},
		"verify-full, unknown CA": {secure, "verify-full", false},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := strings.Replace(c.server.DSN("postgres"), "sslmode=disable", "sslmode="+c.mode, 1)
			var log logged
			config, err := pgx.ParseConfig(dsn)
			if err != nil {
				t.Fatal(err)
			}
			r := startOn(t, c.server.DSN("postgres"), func(o *proxy.Options) {
				log.into(o)
				o.Upstream, o.HasAccount = config, false // only what clients need
			})
			client := r.raw()
			client.startup(protocol30, r.Upstream)
			if !c.works {
				if e := failure(t, client.untilClosed()); e.Code != "08001" {
					t.Errorf("%s %s", e.Code, e.Message)
				}
				if !strings.Contains(log.String(), "TLS") {
					t.Errorf("the log does not say why: %s", log.String())
				}
				return
			}
			client.untilReady()
			client.send(frame('Q', "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
			want := map[bool]string{true: "t", false: "f"}[c.server == secure]
			if got := column(client.untilReady()); len(got) != 1 || got[0] != want {
				t.Errorf("encrypted: %q", got)
			}
		})
	}
}

func TestPlaintextBeforeTheHandshakeIsRefused(t *testing.T) {
	ours, _ := identity(t)
	var log logged
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.TLS = ours; log.into(o) })
	c := r.raw()
	// In one write, as by somebody between client and pgrecall (CVE-2021-23214).
	injected := join(sslRequest, []byte{0, 0, 0, 23, 0, 3, 0, 0}, []byte("user\x00postgres\x00\x00"))
	c.send(injected)
	answer := make([]byte, 1)
	if _, err := c.Read(answer); err != nil || answer[0] != 'S' {
		t.Fatalf("%q %v", answer, err)
	}
	handshake := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := handshake.HandshakeContext(t.Context()); err == nil {
		t.Error("the handshake succeeded after plaintext")
	}
	eventually(t, "the refusal is logged", func() bool { return strings.Contains(log.String(), "TLS handshake with a client failed") })
}

func TestHitsAndCancelThroughTLS(t *testing.T) {
	ours, authority := identity(t)
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.TLS = ours }, `CREATE TABLE item AS SELECT 1 AS id`)
	c := r.connect("sslmode=verify-full", "sslrootcert="+authority)
	before := r.hits()
	for range 3 {
		if got := value(t, c, `SELECT id::text FROM item`); got != "1" {
			t.Errorf("got %q", got)
		}
	}
	if r.hits() == before {
		t.Error("nothing was answered from the cache")
	}
	secure := r.raw()
	secure.send(sslRequest)
	if _, err := secure.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	secure.Conn = tls.Client(secure.Conn, &tls.Config{InsecureSkipVerify: true})
	secure.startup(protocol30, r.Upstream)
	secure.untilReady()
	secure.cancelSleep(r.Address)
}

// With the server's own certificate, channel binding passes through.
func TestChannelBindingWithTheServersCertificate(t *testing.T) {
	s := withUsers(t, pgtest.WithTLS())
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.DataDir(), "server.crt"), filepath.Join(s.DataDir(), "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(s.DSN("postgres"), "sslmode=disable", "sslmode=require", 1)
	r := startOn(t, dsn, func(o *proxy.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	})
	host, port, _ := net.SplitHostPort(r.Address)
	out, err := exec.Command("psql", "-XAt", "host="+host+" port="+port+" user=scram-sha-256 password=secret dbname=postgres sslmode=require channel_binding=require",
		"-c", "SELECT current_user").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "scram-sha-256" {
		t.Errorf("%v: %s", err, out)
	}
}
