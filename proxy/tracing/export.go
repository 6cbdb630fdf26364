package tracing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// run exports until Close.
func (t *Tracer) run() {
	defer close(t.done)
	spare := make([]record, 0, queueLimit)
	tick := time.NewTicker(t.delay)
	defer tick.Stop()
	for stopping := false; !stopping; {
		select {
		case <-t.full:
		case <-tick.C:
		case <-t.stopping.Done():
			stopping = true
		}
		t.mu.Lock()
		batch := t.pending
		t.pending = spare[:0]
		t.mu.Unlock()
		for part := range slices.Chunk(batch, batchSize) {
			t.upload(part)
		}
		clear(batch) // what it points to
		spare = batch
	}
}

// upload sends records, again where the collector may take them later, and counts what became of them.
func (t *Tracer) upload(part []record) {
	request, spans := t.request(part)
	ctx, cancel := context.WithCancel(t.last)
	defer cancel()
	t.transport.giveUp = cancel
	err := t.client.UploadTraces(ctx, request)
	t.transport.paused()
	dropped := rejected(err, spans)
	t.dropped.Add(dropped)
	t.exported.Add(spans - dropped)
	t.health.note(err, dropped)
}

// rejected returns how many spans the collector did not take for all that is known. A partial success is an error of a type that the client keeps to itself, so its
// text has the number; a 2xx with an answer that can't be read counts as all of them.
func rejected(err error, spans uint64) uint64 {
	if err == nil {
		return 0
	}
	text := err.Error()
	var n uint64
	if strings.HasPrefix(text, "OTLP partial success: ") {
		if _, err := fmt.Sscanf(text[max(strings.LastIndexByte(text, '('), 0):], "(%d spans rejected)", &n); err == nil {
			return min(n, spans)
		}
	}
	return spans
}
