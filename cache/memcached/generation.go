package memcached

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/pgrecall/pgrecall/cache"
)

// generation is a random number that stands under a name of its own for each namespace and in each of its items. Items
// with another number than the one that stands there now are not found: a flush only puts a new one there. It is fetched
// together with the items, so that a flush by one proxy is seen by all at once. Zero is none: nothing is found then.
type generation uint64

// generations remembers, for each namespace, what Get or Put saw last: what Put writes. An old one costs the
// item, no more.
type generations struct {
	mu   sync.Mutex
	last map[string]generation
}

// mostNamespaces bounds what is remembered.
const mostNamespaces = 10_000

func (g *generations) set(namespace string, current generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil || len(g.last) >= mostNamespaces {
		g.last = map[string]generation{}
	}
	g.last[namespace] = current
}

func (g *generations) get(namespace string) generation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last[namespace]
}

// under returns the namespaces seen whose names may have the prefix.
func (g *generations) under(prefix string) (namespaces []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, _, _ := strings.Cut(prefix, ":v1:")
	for namespace := range g.last {
		if cache.HasRemotePrefix("pgrecall:"+namespace, before) {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// learn takes what stands in memcached; an item that is not there means that Put has to make a new one.
func (g *generations) learn(namespace string, item *memcache.Item) generation {
	var current generation
	if item != nil && len(item.Value) == generationSize {
		current = generation(binary.BigEndian.Uint64(item.Value))
	}
	if g.get(namespace) != current {
		g.set(namespace, current)
	}
	return current
}

const generationSize = 8

// currentGeneration returns the generation as it was seen last, and makes one where there is none.
func (s *Store) currentGeneration(namespace string) (generation, error) {
	if current := s.generations.get(namespace); current != 0 {
		return current, nil
	}
	item := &memcache.Item{Key: generationKey(namespace), Value: newGeneration()}
	// Add: of several proxies that start at the same time one makes it.
	err := s.client.Add(item)
	if errors.Is(err, memcache.ErrNotStored) {
		item, err = s.client.Get(item.Key)
	}
	if err != nil {
		return 0, err
	}
	return s.generations.learn(namespace, item), nil
}

func newGeneration() []byte {
	value := make([]byte, generationSize)
	for binary.BigEndian.Uint64(value) == 0 {
		_, _ = rand.Read(value) // never fails
	}
	return value
}

// Flush implements [cache.Remote]: it takes the prefix's whole namespace. Items stay in memcached's memory until they are
// evicted or expire, but are not found.
func (s *Store) Flush(ctx context.Context, prefix string) (int, error) {
	namespaces := s.generations.under(prefix)
	if namespace, ok := cache.RemoteNamespace(prefix); ok && !cache.SpansNamespaces(prefix) {
		namespaces = []string{namespace}
	} else if !strings.HasPrefix(prefix, "pgrecall:") {
		return 0, fmt.Errorf("memcached: flush: %q is the prefix of no namespace", prefix)
	}
	for _, namespace := range namespaces {
		item := &memcache.Item{Key: generationKey(namespace), Value: newGeneration()}
		_, err := run(ctx, s, "flush", func() (struct{}, error) { return struct{}{}, s.client.Set(item) })
		if err != nil {
			return 0, err
		}
		s.generations.learn(namespace, item)
	}
	return cache.UnknownNumber, nil
}

// namespaceOf returns the namespace of a name, "" of one that was not made by cache.RemoteName.
func namespaceOf(name string) string {
	namespace, _ := cache.RemoteNamespace(name)
	return namespace
}

// longestKey is memcached's limit in bytes.
const longestKey = 250

// itemKey returns the key of a name: the name, or its digest where it is too long or not plain. The two begin differently.
func itemKey(name string) string { return key("n", name) }

// generationKey returns the key of a namespace's generation.
func generationKey(namespace string) string { return key("g", namespace) }

func key(kind, text string) string {
	plain := len(text) <= longestKey-len(kind)-1
	for i := 0; plain && i < len(text); i++ {
		plain = text[i] > ' ' && text[i] < 0x7f
	}
	if plain {
		return kind + ":" + text
	}
	digest := sha256.Sum256([]byte(text))
	return kind + "#" + base64.RawURLEncoding.EncodeToString(digest[:])
}

// wrap returns an item's value: the generation, then the value.
func wrap(value []byte, current generation) []byte {
	b := make([]byte, 0, generationSize+len(value))
	b = binary.BigEndian.AppendUint64(b, uint64(current))
	return append(b, value...)
}

// unwrap returns what was wrapped, and false when there is nothing, or something of another generation.
func unwrap(item *memcache.Item, current generation) ([]byte, bool) {
	if item == nil || current == 0 || len(item.Value) < generationSize || generation(binary.BigEndian.Uint64(item.Value)) != current {
		return nil, false
	}
	return item.Value[generationSize:], true
}
