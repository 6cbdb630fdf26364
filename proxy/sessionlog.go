package proxy

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// LogOptions say what is logged of sessions and statements. No line holds parameters, constants or rows.
type LogOptions struct {
	// Sessions has a line written at the end of each session.
	Sessions bool
	// Slow is from what time on a statement that went upstream is logged, 0 for never.
	Slow time.Duration
}

// SetLogOptions changes what is logged from now on.
func (srv *Server) SetLogOptions(o LogOptions) { srv.logging.Store(&o) }

// tally counts a session's statements by outcome. Only the frontend side touches it, until it has ended.
type tally [outcomes]uint64

// logEnd tells of a session that has ended.
func (s *session) logEnd(began time.Time) {
	if !s.srv.logging.Load().Sessions {
		return
	}
	attributes := []slog.Attr{
		slog.String("client", s.raw.RemoteAddr().String()), slog.String("user", s.startup.Parameter("user")), slog.String("database", s.databaseName),
		slog.Duration("lasted", time.Since(began).Round(time.Millisecond)), slog.String("ended", s.ending()),
	}
	for o, name := range outcomeNames {
		if n := s.frontend.tally[o]; name != "" && n > 0 {
			attributes = append(attributes, slog.Uint64(name, n))
		}
	}
	s.srv.Logger.LogAttrs(s.srv.ctx, slog.LevelInfo, "session ended", attributes...)
}

// ending says who ended the session.
func (s *session) ending() string {
	switch {
	case s.database == nil:
		return "before it was authenticated"
	case s.violated.Load():
		return "the client broke the protocol"
	case s.revoked.Load():
		return "a cancel request"
	case s.closing.Load():
		return "pgrecall shuts down"
	case s.said.Load():
		return "the server, with an error"
	case s.lost.Load():
		return "the server's connection was lost"
	}
	return "the client"
}

// logSlow tells of a statement that took long, as seen from pgrecall: until its answer was passed on.
func (s *session) logSlow(e *expectation, nanoseconds int64) {
	slow := s.srv.logging.Load().Slow
	if slow <= 0 || nanoseconds < int64(slow) || e.plan == nil {
		return
	}
	statement := e.plan.statement
	attributes := []slog.Attr{
		slog.Duration("took", time.Duration(nanoseconds)), slog.String("outcome", outcomeNames[e.outcome]),
		slog.String("fingerprint", fmt.Sprintf("%016x", statement.Fingerprint())), slog.String("query", traffic.Text(statement)),
		slog.String("user", s.startup.Parameter("user")), slog.String("database", s.databaseName), slog.Uint64("pid", uint64(s.backendPID)),
	}
	if e.reason != "" {
		attributes = append(attributes, slog.String("reason", string(e.reason)))
	}
	if tables := e.plan.description().Tables; len(tables) > 0 {
		attributes = append(attributes, slog.String("tables", strings.Join(tables, ",")))
	}
	s.srv.Logger.LogAttrs(s.srv.ctx, slog.LevelWarn, "slow statement", attributes...)
}

// countStatement counts for the server and for the session.
func (s *session) countStatement(o outcome) {
	s.srv.metrics.count(o)
	s.frontend.tally[o]++
}

// countAnswer counts a statement that the cache answered.
func (s *session) countAnswer(o outcome, entry *cache.Entry) {
	s.srv.metrics.hit(o, entry.Origin)
	s.frontend.tally[o]++
}
