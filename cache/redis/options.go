package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say where Redis is and how to talk to it. ParseURL fills them; fields may be changed afterwards.
type Options struct {
	// Addresses are host:port of the server, of the Sentinels when Master is set, or of some nodes of a
	// Cluster, which tell the others'. More than one without Master means a Cluster.
	Addresses []string
	// Cluster makes one address mean a Cluster, too.
	Cluster bool
	// Master is the name under which the Sentinels know the master, "" without Sentinels.
	Master string
	// Username is that of an ACL user, "" for the default user.
	Username string
	Password string
	// SentinelUsername and SentinelPassword are for the Sentinels themselves, which often have none.
	SentinelUsername string
	SentinelPassword string
	// Database is the number of SELECT; a Cluster has 0 only.
	Database int

	// TLS turns it on, for Sentinels, too. The certificate must be valid for the host's name, or for ServerName.
	TLS        bool
	ServerName string
	// CAFile holds the certificates in PEM that may have signed the server's, "" for the system's.
	CAFile string
	// CertificateFile and KeyFile are the client's own, in PEM, for servers that ask for one.
	CertificateFile string
	KeyFile         string

	// PoolSize is how many connections there may be to each server; 0 means 10 for each processor.
	PoolSize int
	// MinIdle is how many connections to each server are kept ready, so that a burst does not wait for dialling.
	MinIdle int
	// DialTimeout bounds a connection's making; 0 means 1 s. A call whose context ends leaves earlier.
	DialTimeout time.Duration
	// ReadTimeout and WriteTimeout bound calls whose context has no deadline; 0 means 1 s.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// ClientName is what CLIENT LIST shows.
	ClientName string
}

// Timeouts where none is given. They bound what nobody waits for any more: see remote.Options for what a caller waits.
const (
	defaultDialTimeout = time.Second
	defaultIOTimeout   = time.Second
)

// validate returns an error that says what to change.
func (o *Options) validate() error {
	switch {
	case len(o.Addresses) == 0:
		return errors.New("no address: want redis://host:port")
	case o.Cluster && o.Master != "":
		return errors.New("cluster and master exclude each other: Sentinels do not watch a Cluster")
	case o.Database < 0:
		return fmt.Errorf("database %d: want 0 or more", o.Database)
	case o.cluster() && o.Database != 0:
		return fmt.Errorf("database %d: a Cluster has database 0 only (several addresses mean a Cluster, unless master= names a master that Sentinels watch)", o.Database)
	case !o.TLS && (o.CAFile != "" || o.CertificateFile != "" || o.KeyFile != "" || o.ServerName != ""):
		return errors.New("certificates are given, but TLS is off: want rediss:// instead of redis://")
	case (o.CertificateFile == "") != (o.KeyFile == ""):
		return errors.New("a client's certificate and its key belong together: want both cert= and key=, or none")
	}
	return nil
}

// cluster tells whether the addresses are nodes of a Cluster.
func (o *Options) cluster() bool { return o.Cluster || o.Master == "" && len(o.Addresses) > 1 }

// Universal returns the options as go-redis wants them, for those who need commands that a Remote has
// not. It reads the files of certificates.
func (o Options) Universal() (*goredis.UniversalOptions, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	u := &goredis.UniversalOptions{
		Addrs:            o.Addresses,
		IsClusterMode:    o.cluster(),
		MasterName:       o.Master,
		Username:         o.Username,
		Password:         o.Password,
		SentinelUsername: o.SentinelUsername,
		SentinelPassword: o.SentinelPassword,
		DB:               o.Database,
		PoolSize:         o.PoolSize,
		MinIdleConns:     o.MinIdle,
		DialTimeout:      orDefault(o.DialTimeout, defaultDialTimeout),
		ReadTimeout:      orDefault(o.ReadTimeout, defaultIOTimeout),
		WriteTimeout:     orDefault(o.WriteTimeout, defaultIOTimeout),
		ClientName:       o.ClientName,

		// A context's deadline becomes the socket's.
		ContextTimeoutEnabled: true,
		// One more attempt, at once, for a connection that broke while it was idle. Whoever calls knows better
		// than a client library how long it can wait.
		MaxRetries:      1,
		MinRetryBackoff: -1,
		MaxRetryBackoff: -1,
		DialerRetries:   1,
		// Pipelines share the connections of PoolSize instead of having some beside it.
		PipelinePoolSize: -1,
		// A new connection is asked for nothing that costs it another round trip.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.TLS {
		var err error
		if u.TLSConfig, err = o.tlsConfig(); err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	return u, nil
}

// tlsConfig reads the files.
func (o *Options) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate (ca=): %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s (ca=) holds no certificate: want PEM, with BEGIN CERTIFICATE lines", o.CAFile)
		}
	}
	if o.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertificateFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client's certificate (cert=, key=): %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}
