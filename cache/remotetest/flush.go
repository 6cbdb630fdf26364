package remotetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// flush flushes and checks the number where the store knows it.
func (s *subject) flush(t *testing.T, prefix string, want int) {
	t.Helper()
	n, err := s.Flush(s.ctx, prefix)
	if err != nil {
		t.Fatalf("flush: %v", err)
	}
	if s.Coarse {
		want = cache.UnknownNumber
	}
	if n != want {
		t.Errorf("%d values flushed, want %d", n, want)
	}
}

// flushRemovesItsPrefix: one tenant, one fingerprint, one namespace; what is beside it stays.
func flushRemovesItsPrefix(t *testing.T, s *subject) {
	other := *s
	other.namespace += "x" // begins alike
	fill := func() {
		for n := range uint64(12) {
			s.put(t, s.tenantName("a", n), "x", time.Minute)
			s.put(t, s.tenantName("ab", n), "x", time.Minute)
		}
		other.put(t, other.name(1), "x", time.Minute)
	}
	stays := func(s *subject, name string) {
		t.Helper()
		if !s.Coarse || s == &other {
			s.want(t, name, []byte("x"))
		}
	}
	fill()
	s.flush(t, cache.FingerprintPrefix(s.namespace, "a", 1), 4)
	s.want(t, s.tenantName("a", 1), nil)
	stays(s, s.tenantName("a", 2))
	stays(s, s.tenantName("ab", 1))

	fill()
	s.flush(t, cache.TenantPrefix(s.namespace, "a"), 12)
	s.want(t, s.tenantName("a", 2), nil)
	stays(s, s.tenantName("ab", 1))

	fill()
	s.flush(t, cache.NamespacePrefix(s.namespace), 24)
	s.want(t, s.tenantName("a", 2), nil)
	s.want(t, s.tenantName("ab", 1), nil)
	stays(&other, other.name(1))

	s.put(t, s.name(1), "new", time.Minute)
	s.want(t, s.name(1), []byte("new"))
}

// flushOfAnyDatabase: a tenant or a fingerprint in all databases, and all of an installation.
func flushOfAnyDatabase(t *testing.T, s *subject) {
	one, two, other := *s, *s, *s
	one.namespace, two.namespace, other.namespace = s.namespace+".one", s.namespace+".two", s.namespace+"x.one"
	for prefix, want := range map[string]struct {
		number int
		kept   []string
	}{
		cache.RemotePrefix(s.namespace, "", "a", 0):    {12, []string{"b1", "b2"}},
		cache.RemotePrefix(s.namespace, "", "", 1):     {8, []string{"a2", "b2"}},
		cache.RemotePrefix(s.namespace, "", "a", 1):    {4, []string{"a2", "b1", "b2"}},
		cache.RemotePrefix(s.namespace, "two", "a", 1): {2, []string{"a2", "b1", "b2"}},
		cache.RemotePrefix(s.namespace, "", "", 0):     {24, nil},
	} {
		for n := range uint64(6) {
			for _, tenant := range []string{"a", "b"} {
				for _, in := range []*subject{&one, &two, &other} {
					in.put(t, in.tenantName(tenant, n), "x", time.Minute)
				}
			}
		}
		s.flush(t, prefix, want.number)
		for _, in := range []*subject{&one, &two} {
			if strings.Contains(prefix, "two") && in == &one {
				continue
			}
			for name, n := range map[string]uint64{"a1": 1, "a2": 2, "b1": 1, "b2": 2} {
				switch {
				case !slices.Contains(want.kept, name):
					in.want(t, in.tenantName(name[:1], n), nil)
				case !s.Coarse:
					in.want(t, in.tenantName(name[:1], n), []byte("x"))
				}
			}
		}
		other.want(t, other.tenantName("a", 1), []byte("x"))
		if _, err := s.Flush(s.ctx, cache.RemotePrefix(s.namespace, "", "", 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// flushTakesNoPatterns: a tenant that is called '*' is one tenant.
func flushTakesNoPatterns(t *testing.T, s *subject) {
	odd := []string{"*", "?", "[a-z]", `\`, "a*", "^"}
	for _, tenant := range odd {
		s.put(t, s.tenantName("a", 1), "x", time.Minute)
		s.put(t, s.tenantName("abc", 1), "x", time.Minute)
		s.put(t, s.tenantName(tenant, 1), "x", time.Minute)
		s.flush(t, cache.TenantPrefix(s.namespace, tenant), 1)
		s.want(t, s.tenantName(tenant, 1), nil)
		if !s.Coarse {
			s.want(t, s.tenantName("a", 1), []byte("x"))
			s.want(t, s.tenantName("abc", 1), []byte("x"))
		}
	}
}

// flushOfMany: more than one batch, on every server.
func flushOfMany(t *testing.T, s *subject) {
	const many = 3000
	var names []string
	for n := range uint64(many) {
		names = append(names, s.name(n))
		if err := s.Put(s.ctx, s.name(n), fmt.Append(nil, n), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	s.settle(t)
	values, err := s.Get(s.ctx, names...)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		if value.Bytes == nil {
			t.Fatalf("value %d is missing before the flush", i)
		}
	}
	s.flush(t, cache.NamespacePrefix(s.namespace), many)
	if values, err = s.Get(s.ctx, names...); err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		if value.Bytes != nil {
			t.Fatalf("value %d is there after the flush", i)
		}
	}
}

// flushIsSeenByOthers: at once, and what they put afterwards is found.
func flushIsSeenByOthers(t *testing.T, s *subject) {
	other := &subject{Suite: s.Suite, Remote: s.open(t), ctx: s.ctx, namespace: s.namespace}
	other.put(t, s.name(1), "x", time.Minute)
	for range 3 {
		s.put(t, s.name(1), "x", time.Minute)
		other.want(t, s.name(1), []byte("x"))
		s.flush(t, cache.NamespacePrefix(s.namespace), 1)
		other.want(t, s.name(1), nil)
		other.put(t, s.name(1), "y", time.Minute)
		s.want(t, s.name(1), []byte("y"))
	}
}
