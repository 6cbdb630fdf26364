package parser

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestCacheKeepsStatements(t *testing.T) {
	c := NewCache(1 << 20)
	text := []byte("select a from t")
	if c.Get(text) != nil {
		t.Fatal("an empty cache has a statement")
	}
	s := c.Analyze(text)
	if s.Err != nil || s.Canonical != "select a from t" {
		t.Fatalf("%+v", s)
	}
	copy(text, "SELECT") // the caller's bytes are its own
	if again := c.Get([]byte("select a from t")); again != s {
		t.Fatal("not kept")
	}
	if c.Analyze([]byte("select a from t")) != s {
		t.Fatal("analysed twice")
	}
	if bad := c.Analyze([]byte("selec")); bad.Err == nil || c.Get([]byte("selec")) != bad {
		t.Fatal("an error is not kept")
	}
	if empty := c.Analyze(nil); empty.Err != nil || len(empty.Commands) != 0 {
		t.Fatalf("%+v", empty)
	}
}

func TestCacheAnalysesOnce(t *testing.T) {
	c := NewCache(1 << 20)
	const callers = 16
	got := make([]*Statement, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { got[i] = c.Analyze([]byte(fiveTables)) })
	}
	wg.Wait()
	for _, s := range got {
		if s != got[0] {
			t.Fatal("callers of one text got different statements")
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	const limit = 64 << 10
	c := NewCache(limit)
	for i := range 1000 {
		c.Analyze(fmt.Appendf(nil, "select a from t where b = %d", i))
	}
	c.statements.CleanUp()
	if got := c.statements.WeightedSize(); got > limit || got == 0 {
		t.Errorf("%d bytes are kept, the limit is %d", got, limit)
	}
	huge := append([]byte("select '"), bytes.Repeat([]byte("x"), MaxText)...)
	if s := c.Analyze(append(huge, '\'')); !errors.Is(s.Err, ErrTooLong) {
		t.Errorf("%v", s.Err)
	}
	if off := NewCache(0); off.Analyze([]byte("select 1")).Err != nil || off.Get([]byte("select 1")) != nil {
		t.Error("a cache of no size keeps statements")
	}
}

func TestHitPathDoesNotAllocate(t *testing.T) {
	c := NewCache(1 << 20)
	text, dst := []byte(simpleText+" /* a */"), make([]byte, 0, 256)
	canonical, _, _ := Canonicalize(dst, text)
	c.Analyze(canonical)
	value := []byte("no time in here")
	if n := testing.AllocsPerRun(100, func() {
		canonical, _, ok := Canonicalize(dst, text)
		if !ok || c.Get(canonical) == nil || TimeWord(value) {
			t.Fatal("not a hit")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
