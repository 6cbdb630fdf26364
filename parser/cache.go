package parser

import (
	"context"
	"math"
	"unsafe"

	"github.com/maypok86/otter/v2"
)

// Cache keeps analysed statements by canonical text, the most useful ones of them within a limit in bytes.
// All methods may be called from any goroutine. It needs no Close.
type Cache struct {
	statements *otter.Cache[string, *Statement] // nil: nothing is kept
}

// NewCache returns a cache that holds about limitBytes (Statement.Size) at most; nothing when it is 0 or less.
func NewCache(limitBytes int64) *Cache {
	if limitBytes <= 0 {
		return &Cache{}
	}
	// No expiry, no statistics, no callbacks: each of them costs time at every read.
	return &Cache{otter.Must(&otter.Options[string, *Statement]{
		MaximumWeight: uint64(limitBytes),
		Weigher: func(_ string, s *Statement) uint32 {
			return uint32(min(s.Size, math.MaxUint32))
		},
	})}
}

// Get returns the statement of a canonical text, nil when the cache has none. It does not allocate and does
// not keep the text.
func (c *Cache) Get(canonical []byte) *Statement {
	if c.statements == nil || len(canonical) == 0 {
		return nil
	}
	// otter compares the key and keeps it only when it stores an entry, which a lookup never does.
	s, _ := c.statements.GetIfPresent(unsafe.String(&canonical[0], len(canonical)))
	return s
}

// Analyze returns the statement of a canonical text; when the cache has none it analyses the text and keeps
// the result, an error in it included. Concurrent callers with one text share one analysis. It does not
// keep the text. Where Canonicalize was not ok the text itself serves.
func (c *Cache) Analyze(canonical []byte) *Statement {
	if s := c.Get(canonical); s != nil {
		return s
	}
	if c.statements == nil || len(canonical) == 0 || len(canonical) > MaxText {
		return Analyze(string(canonical))
	}
	s, err := c.statements.Get(context.Background(), string(canonical), otter.LoaderFunc[string, *Statement](load))
	if err != nil { // load has none
		return Analyze(string(canonical))
	}
	return s
}

func load(_ context.Context, text string) (*Statement, error) { return Analyze(text), nil }
