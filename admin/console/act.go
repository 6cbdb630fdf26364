package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/wire"
)

// Bounds on what a command waits for.
const (
	flushTimeout   = 5 * time.Minute // others and what is shared with them
	explainTimeout = 30 * time.Second
)

// severityWarning is the severity of notices about what an operator should look at.
const severityWarning = "WARNING"

func pause(_ context.Context, c *conversation, say notify) ([][]any, error) {
	if c.server.Proxy.Paused() {
		say(wire.SeverityNotice, "the cache is paused already", "")
		return nil, nil
	}
	c.server.Proxy.Pause()
	c.server.Logger.Warn("cache paused", "role", c.role)
	say(wire.SeverityNotice, "nothing is served from the cache until RESUME", "Other pgrecalls go on.")
	return nil, nil
}

func resume(_ context.Context, c *conversation, say notify) ([][]any, error) {
	if !c.server.Proxy.Paused() {
		say(wire.SeverityNotice, "the cache is not paused", "")
		return nil, nil
	}
	c.server.Proxy.Resume()
	c.server.Logger.Info("cache resumed", "role", c.role)
	return nil, nil
}

func reload(_ context.Context, c *conversation, say notify) ([][]any, error) {
	warnings, err := c.server.Proxy.Reload()
	if errors.Is(err, ErrUnavailable) {
		return nil, fail(codeNotSupported, "RELOAD: "+err.Error(), "")
	}
	if err != nil {
		f := fail(codeConfiguration, "configuration not reloaded", "Nothing has changed.")
		f.Detail = err.Error()
		return nil, f
	}
	for _, w := range warnings {
		say(severityWarning, w, "")
	}
	return nil, nil
}

// flushOf returns the command that flushes.
func flushOf(what admin.Selection) *command {
	columns := []column{{"removed", int8Kind}, {"l2_removed", int8Kind}, {"l2_error", text}, {"others", text}}
	return &command{tag: "FLUSH", columns: columns, run: func(ctx context.Context, c *conversation, say notify) ([][]any, error) {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		done, err := c.server.Proxy.Flush(ctx, what)
		if err != nil {
			return nil, fail(codeInvalidValue, "FLUSH: "+err.Error(), "")
		}
		c.server.Logger.Info("cache flushed", "removed", done.L1, "l2_error", done.L2Error, "others", done.Others, "database", what.Database,
			"table", what.Table, "fingerprint", fmt.Sprintf("%016x", what.Fingerprint), "tenant", what.Tenant, "role", c.role)
		if done.Others == "unreachable" || done.Others == "unknown" {
			say(severityWarning, "it is not certain that the other pgrecalls have flushed: "+done.Others, "")
		}
		row := []any{int64(done.L1), nil, orNull(done.L2Error), orNull(done.Others)}
		if done.L2 != nil && *done.L2 >= 0 {
			row[1] = int64(*done.L2)
		}
		return [][]any{row}, nil
	}}
}

// explainOf returns the command that explains.
func explainOf(q Question) *command {
	columns := []column{{"name", text}, {"value", text}}
	return &command{tag: "EXPLAIN", columns: columns, run: func(ctx context.Context, c *conversation, _ notify) ([][]any, error) {
		ctx, cancel := context.WithTimeout(ctx, explainTimeout)
		defer cancel()
		items, err := c.server.Proxy.Explain(ctx, q)
		if err != nil {
			return nil, fail(codeInvalidValue, "EXPLAIN: "+strings.Join(strings.Fields(err.Error()), " "), "")
		}
		rows := make([][]any, len(items))
		for i, item := range items {
			rows[i] = []any{item.Name, item.Value}
		}
		return rows, nil
	}}
}

// orNull returns nil for an empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
