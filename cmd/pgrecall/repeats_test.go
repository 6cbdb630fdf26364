package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestRepeatsAreCounted(t *testing.T) {
	var b bytes.Buffer
	now := time.Now()
	h := newRepeats(slog.NewTextHandler(&b, nil))
	h.now = func() time.Time { return now }
	logger := slog.New(h)
	lines := func() string {
		defer b.Reset()
		return b.String()
	}
	for range 3 * repeatsLogged {
		logger.With("database", "app").Warn("upstream connection lost", "n", 1)
		logger.Info("session ended")
	}
	logger.Error("another one")
	text := lines()
	if n := strings.Count(text, "upstream connection lost"); n != repeatsLogged {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(text, "session ended"); n != 3*repeatsLogged {
		t.Errorf("%d lines of what is not a warning", n)
	}
	if !strings.Contains(text, "another one") {
		t.Error("another message was kept back")
	}
	now = now.Add(repeatsIn)
	logger.Warn("upstream connection lost")
	if text := lines(); !strings.Contains(text, "suppressed=20") {
		t.Error(text)
	}
	logger.Warn("upstream connection lost")
	if text := lines(); text == "" || strings.Contains(text, "suppressed") {
		t.Error(text)
	}
}
