package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Retries of a batch (OTLP specification, "OTLP/HTTP Response").
const (
	attempts     = 4
	firstBackoff = time.Second
	mostBackoff  = 10 * time.Second
	mostResponse = 64 << 10 // bytes of a response that are read
)

// run exports until Close.
func (t *Tracer) run() {
	defer close(t.done)
	spare := make([]record, 0, queueLimit)
	tick := time.NewTicker(t.delay)
	defer tick.Stop()
	var buf []byte
	for stopping := false; !stopping; {
		select {
		case <-t.full:
		case <-tick.C:
		case <-t.stop:
			stopping = true
		}
		t.mu.Lock()
		batch := t.pending
		t.pending = spare[:0]
		t.mu.Unlock()
		for from := 0; from < len(batch); from += batchSize {
			part := batch[from:min(from+batchSize, len(batch))]
			var spans uint64
			for i := range part {
				spans += part[i].spans()
			}
			buf = t.appendRequest(buf[:0], part)
			rejected, err := t.send(buf)
			if err != nil {
				rejected = spans
			}
			rejected = min(rejected, spans)
			t.dropped.Add(rejected)
			t.exported.Add(spans - rejected)
			t.health.note(err, rejected)
		}
		clear(batch) // what it points to
		spare = batch
	}
}

// send posts a request, again where the collector may take it later. It returns how many spans the collector refused.
func (t *Tracer) send(body []byte) (rejected uint64, err error) {
	if t.compress {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write(body) // into memory
		_ = w.Close()
		body = zipped.Bytes()
	}
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		var wait time.Duration
		var again bool
		rejected, wait, again, err = t.post(body)
		if err == nil || !again || attempt == attempts {
			return rejected, err
		}
		t.health.failing(err)
		pause := time.NewTimer(min(max(backoff, wait), mostBackoff))
		select {
		case <-pause.C:
		case <-t.stop: // this was the last attempt
			pause.Stop()
			return rejected, err
		}
		backoff *= 2
	}
}

// post sends a request once. Again tells that another attempt may succeed, after wait.
func (t *Tracer) post(body []byte) (rejected uint64, wait time.Duration, again bool, err error) {
	ctx, cancel := context.WithTimeout(t.last, t.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, 0, false, err
	}
	for name, value := range t.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("User-Agent", "pgrecall")
	if t.compress {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := t.client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text holds the URL
			err = u.Err
		}
		return 0, 0, true, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, mostResponse))
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return 0, time.Duration(min(max(seconds, 0), 60)) * time.Second, true, fmt.Errorf("the collector answers %s", response.Status)
	}
	if response.StatusCode/100 != 2 {
		return 0, 0, false, fmt.Errorf("the collector answers %s", response.Status)
	}
	return rejectedSpans(answer), 0, false, nil
}

// rejectedSpans reads ExportTraceServiceResponse.partial_success.rejected_spans.
func rejectedSpans(answer []byte) (n uint64) {
	fields(answer, func(number protowire.Number, value []byte, _ uint64) {
		if number == 1 {
			fields(value, func(number protowire.Number, _ []byte, v uint64) {
				if number == 1 {
					n = v
				}
			})
		}
	})
	return n
}

// fields calls f for each field of a message that is a number or bytes.
func fields(b []byte, f func(number protowire.Number, value []byte, v uint64)) {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		switch typ {
		case protowire.BytesType:
			value, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return
			}
			f(number, value, 0)
			b = b[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return
			}
			f(number, nil, v)
			b = b[n:]
		default:
			if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
				return
			}
			b = b[n:]
		}
	}
}

// health tells in the log when the collector fails and when it works again: once, and then each so often. Only the exporting goroutine uses it.
type health struct {
	logger    *slog.Logger
	collector string
	bad       bool
	told      time.Time
	dropped   uint64 // since it was told
}

// tellAgain is how often a collector that goes on failing is told of.
const tellAgain = 10 * time.Minute

// failing notes that an attempt failed.
func (h *health) failing(err error) {
	if !h.bad || time.Since(h.told) >= tellAgain {
		h.logger.Warn("spans can't be exported; statements are not affected", "collector", h.collector, "error", err, "dropped", h.dropped)
		h.bad, h.told, h.dropped = true, time.Now(), 0
	}
}

// note notes what became of a batch.
func (h *health) note(err error, dropped uint64) {
	if err == nil && dropped > 0 {
		err = errors.New("the collector rejects some spans")
	}
	if err != nil {
		h.failing(err)
		h.dropped += dropped
		return
	}
	if h.bad {
		h.logger.Info("spans are exported again", "collector", h.collector, "dropped", h.dropped)
		h.bad, h.dropped = false, 0
	}
}
