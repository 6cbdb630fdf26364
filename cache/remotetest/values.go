package remotetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

func nothingIsAMiss(t *testing.T, s *subject) {
	if value := s.want(t, s.name(1), nil); value.Remaining != 0 {
		t.Errorf("a miss is %+v", value)
	}
	if err := s.Delete(s.ctx, s.name(1), s.name(2)); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	if values, err := s.Get(s.ctx); err != nil || len(values) != 0 {
		t.Errorf("get of no names: %v, %v", values, err)
	}
	if err := s.Delete(s.ctx); err != nil {
		t.Errorf("delete of no names: %v", err)
	}
	if n, err := s.Flush(s.ctx, cache.NamespacePrefix(s.namespace)); err != nil || n > 0 {
		t.Errorf("flush of nothing: %d, %v", n, err)
	}
	if err := s.Ping(s.ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func getReturnsWhatWasPut(t *testing.T, s *subject) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	for n, want := range [][]byte{
		{}, []byte("x"), []byte("\r\nEND\r\n"), binary, bytes.Repeat(binary, 40), bytes.Repeat(binary, 3<<10),
	} {
		s.put(t, s.name(uint64(n)), string(want), time.Minute)
		for range 2 {
			s.want(t, s.name(uint64(n)), want)
		}
	}
}

func manyAtOnceInOrder(t *testing.T, s *subject) {
	const many = 300
	var names []string
	for n := range uint64(many) {
		names = append(names, s.name(n))
		if n%3 != 0 {
			if err := s.Put(s.ctx, s.name(n), fmt.Append(nil, n), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
	}
	names = append(names, s.name(1), s.name(0), s.name(1)) // the same name more than once
	s.settle(t)
	values, err := s.Get(s.ctx, names...)
	if err != nil || len(values) != len(names) {
		t.Fatalf("%d values for %d names, %v", len(values), len(names), err)
	}
	for i, value := range values {
		n := []int{i, 1, 0, 1}[max(i-many+1, 0)]
		if want := fmt.Sprint(n); n%3 == 0 && value.Bytes != nil || n%3 != 0 && string(value.Bytes) != want {
			t.Errorf("value %d: %q, want %q, or none where 3 divides it", i, value.Bytes, want)
		}
	}
}

func putReplaces(t *testing.T, s *subject) {
	for _, value := range []string{"first", "", "a longer third", "4"} {
		s.put(t, s.name(1), value, time.Minute)
		s.want(t, s.name(1), []byte(value))
	}
}

// oddNames: databases and tenants are named by others.
func oddNames(t *testing.T, s *subject) {
	seen := map[string]string{}
	for _, part := range []string{
		"", " ", "a b", "a:b", "{a}", "{", "}", "a*", "a?", "[a]", `\`, "ü", "\x00\n", "%41", "A", strings.Repeat("x", 63), strings.Repeat("ä", 120),
	} {
		for _, name := range []string{
			cache.RemoteName(s.namespace, part, 1, cache.Key{1}), cache.RemoteName(s.namespace+part, "t", 1, cache.Key{1}),
		} {
			s.put(t, name, part, time.Minute)
			seen[name] = part
		}
	}
	for name, part := range seen {
		s.want(t, name, []byte(part))
	}
}

func deleteRemoves(t *testing.T, s *subject) {
	for n := range uint64(5) {
		s.put(t, s.name(n), "x", time.Minute)
	}
	if err := s.Delete(s.ctx, s.name(1), s.name(3), s.name(99)); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	for n := range uint64(5) {
		want := []byte("x")
		if n == 1 || n == 3 {
			want = nil
		}
		s.want(t, s.name(n), want)
	}
	s.put(t, s.name(1), "again", time.Minute)
	s.want(t, s.name(1), []byte("again"))
}

func othersReadWhatWasPut(t *testing.T, s *subject) {
	other := &subject{Suite: s.Suite, Remote: s.open(t), ctx: s.ctx, namespace: s.namespace}
	other.want(t, s.name(1), nil)
	s.put(t, s.name(1), "x", time.Minute)
	other.want(t, s.name(1), []byte("x"))
	other.put(t, s.name(1), "y", time.Minute)
	s.want(t, s.name(1), []byte("y"))
}

// callersFromAllSides: each goroutine has names of its own and must find there what it put last.
func callersFromAllSides(t *testing.T, s *subject) {
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			name := s.name(g)
			for n := range 20 {
				value := fmt.Append(nil, g, ":", n)
				if err := s.Put(s.ctx, name, value, time.Minute); err != nil {
					t.Errorf("put: %v", err)
					return
				}
				s.settle(t)
				values, err := s.Get(s.ctx, name, s.name(100+g))
				if err != nil || !bytes.Equal(values[0].Bytes, value) || values[1].Bytes != nil {
					t.Errorf("%q, %v, want %q", values, err, value)
					return
				}
			}
		})
	}
	wg.Wait()
}

func bytesBelongToTheirReceiver(t *testing.T, s *subject) {
	s.put(t, s.name(1), "abc", time.Minute)
	value := s.want(t, s.name(1), []byte("abc"))
	copy(value.Bytes, "xyz")
	s.want(t, s.name(1), []byte("abc"))
}

func noLifetimeIsRefused(t *testing.T, s *subject) {
	for _, ttl := range []time.Duration{0, -time.Second, time.Microsecond} {
		if err := s.Put(s.ctx, s.name(1), []byte("x"), ttl); !errors.Is(err, cache.ErrValueRefused) {
			t.Errorf("put for %v: %v", ttl, err)
		}
	}
	s.settle(t)
	s.want(t, s.name(1), nil)
}
