package main

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/pgrecall/pgrecall/config"
)

// certificate is the one for clients; SIGHUP reads its files again, because certificates expire.
type certificate struct {
	current atomic.Pointer[tls.Certificate]
}

// load reads the files of the configuration; without any it returns nil, and TLS is declined.
func (c *certificate) load(cfg *config.Config) (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("tls.cert, tls.key: %w", err)
	}
	c.current.Store(&pair)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
		// Direct TLS negotiation of PostgreSQL 17 asks for this protocol (manual, 54.2.11).
		NextProtos: []string{"postgresql"},
	}, nil
}
