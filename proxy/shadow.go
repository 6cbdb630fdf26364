package proxy

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/traffic"
	"github.com/pgrecall/pgrecall/wire"
)

// verdict is what a comparison of an entry with the server's answer has come to: the label of pgrecall_verifications_total.
type verdict uint8

const (
	same         verdict = iota
	different            // the cache would have given, or gave, another answer
	inconclusive         // something changed meanwhile, the answer was too large, or it was an error
	verdicts
)

var verdictNames = [...]string{same: "same", different: "different", inconclusive: "inconclusive"}

// comparison holds an entry that could have been served against what the server answers instead (shadow mode).
type comparison struct {
	srv   *Server
	key   cache.Key
	entry *cache.Entry
	use   *traffic.Use // nil for a description
}

// shadowed tells whether the session's reads go upstream while the cache works alongside.
func (s *session) shadowed() bool {
	return s.srv.shadow || s.frontend.scope != nil && s.frontend.scope.mode == modeShadow
}

// compare prepares the fill of a read that goes upstream in shadow mode for comparison with what could have been served.
func (s *session) compare(f *fill, directive parser.Directive) {
	if f == nil || !s.shadowed() {
		return
	}
	began := s.now()
	entry := s.lookup(f.key, directive)
	if entry != nil && !s.servedByAge(entry) {
		f.comparison = &comparison{srv: s.srv, key: f.key, entry: entry}
	}
	switch {
	case f.only:
	case f.comparison != nil: // what a hit takes, but for the sending
		f.comparison.use = f.use
		f.use.HitTook(s.now() - s.frontend.received)
	default:
		s.frontend.boarded = began
	}
}

// servedByAge tells whether an entry may be served though what it depends on has changed: then a difference proves nothing.
func (s *session) servedByAge(entry *cache.Entry) bool {
	rule := entry.Source.Rule(s.srv.policy.Load().number)
	return s.ageOnly(rule != nil && rule.AgeOnly)
}

// abandon counts a comparison whose answer has not come whole.
func (c *comparison) abandon() {
	if c != nil {
		c.srv.verified(inconclusive, nil, c.entry, nil)
		c.use.Unclear()
	}
}

// settle compares. It reports whether the entry holds and need not be replaced.
func (c *comparison) settle(f *fill) bool {
	switch {
	case !c.srv.slots.Valid(c.entry.Stamp) || c.entry.Row != nil && f.row == nil && !f.only:
		c.abandon()
	case f.only && bytes.Equal(f.parameter, c.entry.Parameters) && bytes.Equal(f.row, c.entry.Row):
		c.srv.verified(same, nil, c.entry, nil)
		return true
	case !f.only && (c.entry.Row == nil || f.row == nil || bytes.Equal(f.row, c.entry.Row)) && sameRows(f.data, c.entry.Data):
		c.srv.verified(same, nil, c.entry, nil)
		c.use.Would(f.took)
		return true
	default:
		c.srv.verified(different, &c.key, c.entry, [][]byte{f.parameter, f.row, f.data})
		c.use.Differed()
	}
	return false
}

// sameRows tells whether two answers, DataRow messages and CommandComplete, hold the same rows. PostgreSQL may return rows in another order
// each time where a query leaves it open (manual, section 7.5), so order does not count.
func sameRows(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	rows := map[[sha256.Size]byte]int{}
	count := func(data []byte, by int) bool {
		for len(data) > 0 {
			_, size, ok := wire.Header(data)
			if !ok || size < wire.HeaderSize || size > len(data) {
				return false
			}
			rows[sha256.Sum256(data[:size])] += by
			data = data[size:]
		}
		return true
	}
	if !count(a, 1) || !count(b, -1) {
		return false
	}
	for _, n := range rows {
		if n != 0 {
			return false
		}
	}
	return true
}

// verified counts a comparison and tells of a difference: the statement's shape and tables, the age of what was cached and hashes of both
// answers, never a row. The hashes have a key of this process, so that rows can't be guessed from them.
func (srv *Server) verified(v verdict, key *cache.Key, entry *cache.Entry, answer [][]byte) {
	srv.metrics.verified(v)
	if v != different {
		return
	}
	attributes := []any{
		"fingerprint", fmt.Sprintf("%016x", entry.Source.Statement.Fingerprint()), "tables", entry.Source.Label(),
		"database", entry.Source.Database, "age", time.Duration(cache.Monotonic() - entry.Filled).Round(time.Millisecond).String(),
		"cached", srv.blind.sum(entry.Parameters, entry.Row, entry.Data), "answered", srv.blind.sum(answer...),
	}
	if key != nil {
		attributes = append(attributes, "key", hex.EncodeToString(key[:8]))
	}
	srv.Logger.Error("the cache and the server differ", attributes...)
}

// blinding is the secret part of hashes in logs.
type blinding [16]byte

func newBlinding() (b blinding) {
	_, _ = rand.Read(b[:]) // it never fails: package crypto/rand
	return b
}

// sum returns a short hash of an answer.
func (b *blinding) sum(parts ...[]byte) string {
	h := sha256.New()
	_, _ = h.Write(b[:])
	for _, part := range parts {
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
