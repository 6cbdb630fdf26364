package tracing

import (
	"log/slog"
	"time"
	"unicode/utf8"
)

// health tells in the log when the collector fails and when it works again: once, and then each so often. Only the exporting goroutine uses it.
type health struct {
	logger    *slog.Logger
	collector string
	bad       bool
	told      time.Time
	dropped   uint64 // since it was told
}

const (
	tellAgain = 10 * time.Minute // how often a collector that goes on failing is told of
	mostText  = 300              // bytes of what it says
)

// failing notes that an attempt failed.
func (h *health) failing(err error) {
	if !h.bad || time.Since(h.told) >= tellAgain {
		h.logger.Warn("spans can't be exported; statements are not affected", "collector", h.collector, "error", short(err.Error()), "dropped", h.dropped)
		h.bad, h.told, h.dropped = true, time.Now(), 0
	}
}

// note notes what became of a batch.
func (h *health) note(err error, dropped uint64) {
	if dropped > 0 {
		h.failing(err)
		h.dropped += dropped
		return
	}
	if h.bad {
		h.logger.Info("spans are exported again", "collector", h.collector, "dropped", h.dropped)
		h.bad, h.dropped = false, 0
	}
}

// short bounds a text that may be the collector's.
func short(s string) string {
	if len(s) <= mostText {
		return s
	}
	n := mostText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
