//go:build !race

// The race detector turns off the optimizations of the compiler that these tests are about.

package cache

import (
	"testing"

	"github.com/pgrecall/pgrecall/invalidator"
)

func TestNewEntryTakesTwoAllocations(t *testing.T) {
	row, data, stamp, source := make([]byte, 60), make([]byte, 40), make(invalidator.Stamp, 2), &Source{}
	var sink *Entry
	if n := testing.AllocsPerRun(100, func() { sink = NewEntry(nil, row, data, stamp, source, 0, 0) }); n != 2 {
		t.Errorf("%v allocations", n)
	}
	_ = sink
}

func TestKeyDoesNotAllocate(t *testing.T) {
	scope, statement := [32]byte{1}, [32]byte{2}
	text := make([]byte, shortPreimage-1-32-32-8)
	if n := testing.AllocsPerRun(100, func() {
		sinkKey = SimpleKey(&scope, text)
		sinkKey = ExtendedKey(&scope, &statement, text)
		sinkKey = StatementDigest(text, nil)
		sinkKey = DescriptionKey(&scope, &statement)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
