package redis

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache"
)

// permissions are what an ACL user needs on the names that begin with pgrecall: (ACL SETUSER).
const permissions = "+get +set +pttl +unlink +scan +ping +select +hello +auth +client|setname +cluster|slots +command"

// explain wraps an error of go-redis with what was done, the class that callers ask for with errors.Is, and where
// there is something to do about it, what.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	advice, class := classify(err)
	switch {
	case errors.Is(err, goredis.ErrClosed):
		return fmt.Errorf("redis: %s: %w", doing, cache.ErrRemoteClosed)
	case class != nil:
		return fmt.Errorf("redis: %s: %w: %w (%s)", doing, class, err, advice)
	case advice != "":
		return fmt.Errorf("redis: %s: %w (%s)", doing, err, advice)
	}
	return fmt.Errorf("redis: %s: %w", doing, err)
}

// classify returns "" and nil for what needs no words or has none.
func classify(err error) (advice string, class error) {
	_, moved := goredis.IsMovedError(err)
	var unknownAuthority x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	text := err.Error()
	switch {
	case goredis.IsOOMError(err):
		return "maxmemory is reached: set maxmemory-policy to allkeys-lru or volatile-lru, or allow more memory", cache.ErrWritesRefused
	case goredis.IsReadOnlyError(err):
		return "this is a replica: give the master's address, or the Sentinels' with ?master=NAME", cache.ErrWritesRefused
	case strings.HasPrefix(text, "MISCONF "):
		return "Redis cannot save its data to disk", cache.ErrWritesRefused
	case strings.HasPrefix(text, "NOREPLICAS "):
		return "fewer replicas are there than min-replicas-to-write wants", cache.ErrWritesRefused
	case goredis.HasErrorPrefix(err, "WRONGPASS"), goredis.HasErrorPrefix(err, "invalid password"), strings.Contains(text, "invalid username-password"):
		return "the user or the password is wrong: redis://user:password@host, or redis://:password@host for the default user", nil
	case goredis.HasErrorPrefix(err, "NOAUTH"):
		return "Redis wants a password: redis://user:password@host, or redis://:password@host for the default user", nil
	case goredis.IsPermissionError(err):
		return "the ACL user may not do this: it needs ~pgrecall:* " + permissions, nil
	case moved:
		return "this is a node of a Cluster: add ?cluster=1, or give several nodes", nil
	case strings.Contains(text, "cluster support disabled"):
		return "these are no nodes of a Cluster: give one address only, or the Sentinels' with ?master=NAME", nil
	case strings.Contains(text, "DB index is out of range"):
		return "Redis has no such database: see its setting databases", nil
	case errors.As(err, &unknownAuthority):
		return "name the file of the authority that signed the certificate: ?ca=FILE", nil
	case errors.As(err, &wrongName):
		return "give the name in the certificate: as host, or with ?server_name=NAME", nil
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return "Redis speaks no TLS on this port: want redis:// instead of rediss://, or its tls-port", nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is Redis running, and is the port right?", nil
	case isUnknownHost(err):
		return "no such host: is its name right?", nil
	case strings.Contains(text, "all sentinels"):
		return "no Sentinel answers for this master: are the Sentinels' addresses and the name in master= right?", nil
	}
	return "", nil
}

func isUnknownHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
