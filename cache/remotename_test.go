package cache

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRemoteNamesReadAsWritten(t *testing.T) {
	key := Key{0xab, 15: 0xff, 16: 1}
	want := "pgrecall:shop:v1:acme:000000000000beef:qwAAAAAAAAAAAAAAAAAA_w"
	if got := RemoteName("shop", "acme", 0xbeef, key); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := RemoteName("", "", 0, key); got != "pgrecall::v1::0000000000000000:qwAAAAAAAAAAAAAAAAAA_w" {
		t.Errorf("without parts: %s", got)
	}
	if got := TenantPrefix("a:{b}*", "ü %"); got != "pgrecall:a%3A%7Bb%7D%2A:v1:%C3%BC%20%25:" {
		t.Errorf("escaped: %s", got)
	}
}

// Equal names imply equal parts, and a prefix finds its own names only: a flush of one tenant must not reach another.
func TestRemoteNamesAreExact(t *testing.T) {
	part := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("a:{}%v1*.")), 0, 6, -1))
	type parts struct {
		namespace, tenant string
		fingerprint       uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) parts {
			return parts{part.Draw(t, label), part.Draw(t, label), rapid.Uint64Range(0, 3).Draw(t, label)}
		}
		a, b := draw("a"), draw("b")
		name := RemoteName(a.namespace, a.tenant, a.fingerprint, Key{1})
		if (name == RemoteName(b.namespace, b.tenant, b.fingerprint, Key{1})) != (a == b) {
			t.Fatalf("%+v and %+v", a, b)
		}
		if strings.ContainsAny(name, "{}*?[] ") || strings.Count(name, ":") != 5 {
			t.Fatalf("name %q", name)
		}
		for prefix, want := range map[string]bool{
			NamespacePrefix(b.namespace):                            a.namespace == b.namespace,
			TenantPrefix(b.namespace, b.tenant):                     a.namespace == b.namespace && a.tenant == b.tenant,
			FingerprintPrefix(b.namespace, b.tenant, b.fingerprint): a == b,
		} {
			if HasRemotePrefix(name, prefix) != want || SpansNamespaces(prefix) {
				t.Fatalf("%q has prefix %q: want %v", name, prefix, want)
			}
			of, ok := RemoteNamespace(prefix)
			if own, ownOK := RemoteNamespace(name); !ok || !ownOK || (of == own) != (a.namespace == b.namespace) {
				t.Fatalf("namespaces %q of %q and %q of %q", of, prefix, own, name)
			}
		}
	})
	for _, other := range []string{"", "pgrecall:", "pgrecall:{x}:log", "pgrecall:a:b:v1:x", "other:x:v1:"} {
		if of, ok := RemoteNamespace(other); ok {
			t.Errorf("%q has namespace %q", other, of)
		}
	}
}

// Empty arguments match anything in their place, and nothing beside it.
func TestRemotePrefix(t *testing.T) {
	part := rapid.SampledFrom([]string{"", "a", "v1", "a.b", "a:b", "*", "0000000000000001"})
	rapid.Check(t, func(t *rapid.T) {
		named, tenant, fingerprint := "n."+part.Draw(t, "database"), part.Draw(t, "tenant"), rapid.Uint64Range(1, 2).Draw(t, "fingerprint")
		database, wanted, of := part.Draw(t, "of database"), part.Draw(t, "of tenant"), rapid.Uint64Range(0, 2).Draw(t, "of fingerprint")
		name, prefix := RemoteName(named, tenant, fingerprint, Key{1}), RemotePrefix("n", database, wanted, of)
		want := (database == "" || "n."+database == named) && (wanted == "" || wanted == tenant) && (of == 0 || of == fingerprint)
		if HasRemotePrefix(name, prefix) != want {
			t.Fatalf("%q and %q: want %v", name, prefix, want)
		}
		if SpansNamespaces(prefix) != (database == "") {
			t.Fatalf("%q", prefix)
		}
		if HasRemotePrefix(RemoteName("m."+database, wanted, of, Key{1}), prefix) {
			t.Fatalf("%q finds another namespace", prefix)
		}
	})
}
