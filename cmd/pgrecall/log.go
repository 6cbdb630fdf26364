package main

import (
	"io"
	"log/slog"

	"github.com/pgrecall/pgrecall/config"
)

// newLogger returns the logger of a configuration; level can be changed while it is in use.
func newLogger(w io.Writer, c *config.Config, level *slog.LevelVar) *slog.Logger {
	level.Set(logLevel(c.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(newRepeats(slog.NewJSONHandler(w, options)))
	}
	return slog.New(newRepeats(slog.NewTextHandler(w, options)))
}

func logLevel(word string) slog.Level {
	switch word {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
