package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/pgrecall/pgrecall/config"
)

// print writes the explanation for people.
func (e *explanation) print(w io.Writer) {
	last := ""
	e.each(func(name, value string) {
		shown := name + ":"
		if name == last {
			shown = ""
		}
		last = name
		fmt.Fprintf(w, "%-14s%s\n", shown, value)
	})
}

// each calls line for all that there is to tell, by names of which those of lists come several times.
func (e *explanation) each(line func(name, value string)) {
	tell := line
	line = func(name, value string) {
		if value != "" {
			tell(name, value)
		}
	}
	lines := func(name string, values []string) {
		for _, v := range values {
			line(name, v)
		}
	}
	line("verdict", e.Verdict)
	reason := e.Reason
	if e.Detail != "" {
		reason += " (" + e.Detail + ")"
	}
	line("reason", reason)
	line("meaning", e.Meaning)
	line("to change", e.Change)
	if e.TTL != "" {
		line("ttl", e.TTL)
		if e.StaleWhileRevalidate != "" {
			line("stale", e.StaleWhileRevalidate+" past the TTL, while it is asked for anew (stale_while_revalidate)")
		}
		if e.StaleIfError != "" {
			line("stale", e.StaleIfError+" past the TTL, in place of an error (stale_if_error)")
		}
		line("consistency", e.Consistency)
		line("max result", config.FormatBytes(int64(e.MaxResult)))
	}
	rule := e.Rule
	if rule == "" && e.TTL != "" {
		rule = "none matches, the defaults hold"
	}
	line("rule", rule)
	line("relations", strings.Join(e.Relations, ", "))
	line("settings", strings.Join(e.Settings, ", "))
	lines("invalidated", e.Invalidated)
	line("touches", strings.Join(e.Touches, ", "))
	line("declare", e.Declare)
	line("database", e.Database)
	line("user", e.User)
	line("schemas", strings.Join(e.Schemas, ", "))
	line("fingerprint", e.Fingerprint)
	lines("note", e.Notes)
}
