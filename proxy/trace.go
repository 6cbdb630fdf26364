package proxy

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/wire"
)

// The notices of SET pgrecall.trace = on: one before the end of each answer, in words that a program can split.

// traceHit tells of an answer from the cache, and why it is given past its lifetime, "" where it is not.
func (s *session) traceHit(entry *cache.Entry, stale string) []byte {
	now := cache.Monotonic()
	var b strings.Builder
	b.WriteString("pgrecall: source=l1")
	if stale != "" {
		b.WriteString(" stale=")
		b.WriteString(stale)
	}
	b.WriteString(" age=")
	b.WriteString(seconds(now - entry.Filled))
	if rule := entry.Source.Rule(s.srv.policy.Load().number); rule != nil {
		b.WriteString(" ttl=")
		b.WriteString(rule.TTL.String())
	}
	b.WriteString(" tables=")
	b.WriteString(entry.Source.Label())
	b.WriteString(s.frontend.scope.mark())
	return notice(b.String())
}

// traceForwarded tells of an answer from the upstream. Details name objects, never values.
func traceForwarded(p *plan, outcome outcome, reason cachepolicy.Reason) []byte {
	var b strings.Builder
	b.WriteString("pgrecall: source=upstream outcome=")
	b.WriteString(outcomeNames[outcome])
	detail := ""
	switch {
	case outcome == outcomeBypass || reason == cachepolicy.ReasonResultLarge:
		b.WriteString(" reason=")
		b.WriteString(string(reason))
		if reason == p.decision.Reason {
			detail = p.decision.Detail
		}
	case outcome == outcomeWrite && p.touched.Whole:
		b.WriteString(" invalidates=everything")
		detail = p.touched.Reason
	case outcome == outcomeWrite:
		b.WriteString(" invalidates=")
		for i, oid := range p.touched.Relations {
			if i > 0 {
				b.WriteByte(',')
			}
			if r := p.snapshot.ByOID(oid); r != nil {
				b.WriteString(r.Schema + "." + r.Name)
			} else {
				b.WriteString(strconv.Itoa(int(oid)))
			}
		}
	}
	if detail != "" {
		b.WriteString(" detail=")
		b.WriteString(strconv.Quote(detail))
	}
	b.WriteString(p.scope.mark())
	return notice(b.String())
}

// seconds writes a duration, given in nanoseconds, in seconds.
func seconds(nanoseconds int64) string {
	return strconv.FormatFloat(time.Duration(nanoseconds).Seconds(), 'f', 3, 64) + "s"
}

func notice(text string) []byte {
	return wire.AppendNotice(nil, wire.Fields{Severity: wire.SeverityNotice, Code: "00000", Message: text})
}

// mark tells scopes apart: sessions with the same one share entries, as far as no custom setting decides.
func (sc *scope) mark() string {
	if sc == nil {
		return ""
	}
	return " scope=" + hex.EncodeToString(sc.Digest[:8])
}
