package cache

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Names in a Remote are hierarchical and versioned, so that an operator can find and drop what belongs to a
// database, a tenant or a fingerprint:
//
//	pgrecall:NAMESPACE:v1:TENANT:FINGERPRINT:KEY
//
// The fingerprint is 16 hexadecimal digits, as everywhere that people see one. Of the key there is half, 22 characters of base64url: 128 bits
// are enough to tell names apart, and whoever reads a value checks that it belongs to the whole key (package codec). Each name costs memory
// in the store, more than many a value. Namespace and tenant are anybody's text: of their bytes only
// letters, digits, '-', '_' and '.' stand for themselves, all others are %XX. So no part holds ':' (the separator), '{' or '}'
// (Redis Cluster takes what is between them for the whole name when it picks a server, and all of a database would be on one),
// '*', '?', '[' (patterns) or a space (memcached).
const (
	remoteRoot    = "pgrecall:"
	remoteVersion = ":v1:"
	keyInName     = 16 // bytes
)

// RemoteName returns the name of a result in a Remote. Different arguments have different names; keys that begin alike are never met.
func RemoteName(namespace, tenant string, fingerprint uint64, key Key) string {
	b := make([]byte, 0, len(remoteRoot)+len(namespace)+len(remoteVersion)+len(tenant)+1+16+1+22+16)
	b = appendFingerprintPrefix(b, namespace, tenant, fingerprint)
	return string(base64.RawURLEncoding.AppendEncode(b, key[:keyInName]))
}

// NamespacePrefix returns what the names of all results of a namespace begin with, and no others'.
func NamespacePrefix(namespace string) string {
	return string(appendNamespacePrefix(nil, namespace))
}

// TenantPrefix returns what the names of all results of a tenant begin with, and no others'.
func TenantPrefix(namespace, tenant string) string {
	return string(appendTenantPrefix(nil, namespace, tenant))
}

// FingerprintPrefix returns what the names of all results of a tenant with this fingerprint begin with, and no others'.
func FingerprintPrefix(namespace, tenant string, fingerprint uint64) string {
	return string(appendFingerprintPrefix(nil, namespace, tenant, fingerprint))
}

// anyPart stands in a prefix for any text in its place; no part of a name holds it.
const anyPart = "*"

// RemotePrefix returns what the names begin with of the results of a tenant with a fingerprint, in all namespaces that are the given one, a dot
// and a database. Empty arguments and zero stand for all.
func RemotePrefix(namespace, database, tenant string, fingerprint uint64) string {
	b := append(appendEscaped([]byte(remoteRoot), namespace), '.')
	if database == "" && tenant == "" && fingerprint == 0 {
		return string(b)
	}
	part := func(text string) {
		if text == "" {
			b = append(b, anyPart...)
			return
		}
		b = appendEscaped(b, text)
	}
	part(database)
	b = append(b, remoteVersion...)
	if tenant == "" && fingerprint == 0 {
		return string(b)
	}
	part(tenant)
	b = append(b, ':')
	if fingerprint == 0 {
		return string(b)
	}
	return fmt.Sprintf("%s%016x:", b, fingerprint)
}

// HasRemotePrefix tells whether a name begins with a prefix that one of the functions here made.
func HasRemotePrefix(name, prefix string) bool {
	for {
		fixed, rest, wild := strings.Cut(prefix, anyPart)
		var ok bool
		if name, ok = strings.CutPrefix(name, fixed); !ok || !wild {
			return ok
		}
		name, prefix = name[strings.IndexByte(name+":", ':'):], rest
	}
}

// SpansNamespaces tells whether names of several namespaces begin with a prefix.
func SpansNamespaces(prefix string) bool {
	before, _, whole := strings.Cut(prefix, remoteVersion)
	return !whole || strings.Contains(before, anyPart)
}

func appendNamespacePrefix(b []byte, namespace string) []byte {
	b = append(b, remoteRoot...)
	b = appendEscaped(b, namespace)
	return append(b, remoteVersion...)
}

func appendTenantPrefix(b []byte, namespace, tenant string) []byte {
	return append(appendEscaped(appendNamespacePrefix(b, namespace), tenant), ':')
}

func appendFingerprintPrefix(b []byte, namespace, tenant string, fingerprint uint64) []byte {
	b = appendTenantPrefix(b, namespace, tenant)
	digits := strconv.AppendUint(nil, fingerprint, 16)
	b = append(b, "0000000000000000"[len(digits):]...)
	return append(append(b, digits...), ':')
}

// appendEscaped appends one part of a name.
func appendEscaped(b []byte, part string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(part) {
		switch c := part[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// RemoteNamespace returns the part of a name or prefix, as the functions above make them, that says the namespace, still escaped.
// Ok is false for any other text.
func RemoteNamespace(name string) (namespace string, ok bool) {
	rest, ok := strings.CutPrefix(name, remoteRoot)
	if !ok {
		return "", false
	}
	namespace, _, ok = strings.Cut(rest, remoteVersion)
	return namespace, ok && !strings.Contains(namespace, ":")
}
