package proxy

import (
	"testing"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

// TestTracesOfOldParsesAreOver: what was prepared long ago does not belong to the trace of then, unless its Parse message came again.
func TestTracesOfOldParsesAreOver(t *testing.T) {
	s := &session{srv: &Server{Options: Options{Observer: observe.Several(nobody{})}}}
	p := &prepared{parent: &parsedContext{observe.SpanContext{Trace: [16]byte{1}, Span: [8]byte{2}, Sampled: true}, s.now()}}
	belongs := func(received int64) bool {
		s.frontend.received = received
		s.belongsTo(p)
		return s.frontend.parent.Valid()
	}
	at := p.parent.at
	if !belongs(at) || !belongs(at+int64(contextAge)-1) || belongs(at+int64(contextAge)) {
		t.Error("the bound is another one")
	}
	p.parent.at -= int64(contextAge)
	if belongs(at) {
		t.Error("old, and believed")
	}
	if s.again(p); !belongs(s.now()) {
		t.Error("came again, and not believed")
	}
	s.belongsTo(nil)
	if s.frontend.parent.Valid() {
		t.Error("a parent of nothing")
	}
}

type nobody struct{}

func (nobody) Ready() bool              { return true }
func (nobody) Ended(*observe.Statement) {}
