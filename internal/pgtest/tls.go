package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// CAFile returns the path of the authority's certificate that verifies the server's, "" without
// [WithTLS].
func (s *Server) CAFile() string {
	if !s.tls {
		return ""
	}
	return filepath.Join(s.directory, "ca.crt")
}

// writeCertificates makes an authority and a certificate for localhost signed by it.
func (s *Server) writeCertificates() error {
	return writeCertificates(s.CAFile(), filepath.Join(s.data, "server.crt"), filepath.Join(s.data, "server.key"), s.account)
}

// writeCertificates makes an authority and a certificate for localhost and 127.0.0.1 signed by it, which belongs to
// the owner. Nobody keeps the authority's key.
func writeCertificates(caFile, certificateFile, keyFile string, owner account) error {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := certificate("pgrecall test authority")
	authority.IsCA = true
	authority.BasicConstraintsValid = true
	authority.KeyUsage = x509.KeyUsageCertSign
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	server := certificate("localhost")
	server.DNSNames = []string{"localhost"}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, authority, serverKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(caFile, "CERTIFICATE", authorityDER, 0o644, account{}),
		writePEM(certificateFile, "CERTIFICATE", serverDER, 0o600, owner),
		writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600, owner),
	)
}

func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
}

func writePEM(path, kind string, der []byte, mode os.FileMode, owner account) error {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, block, mode); err != nil {
		return err
	}
	return owner.chown(path)
}
