package cache

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/parser"
)

// Source is where entries come from: what a flush by table or fingerprint, statistics and explanations need, and the lifetime
// that the policy gives them. One value is shared by many entries. All fields are set before the first entry refers to it.
type Source struct {
	Database  string
	Relations []uint32          // OIDs, sorted
	Tables    []string          // names of the relations, as schema.name
	Statement *parser.Statement // its fingerprint is the entries'
	Uses      Uses              // counts answers, nil for nobody

	rule atomic.Pointer[Rule]
	cost atomic.Int64 // nanoseconds; 0 as long as nothing is known
}

// Uses counts the answers that come from the entries of a source, in nanoseconds: what they spared the upstream, and what some of them took.
type Uses interface {
	Hit(shared bool, origin int64)
	HitTook(nanoseconds int64)
}

// Label returns the names of the relations for logs and statistics.
func (s *Source) Label() string { return strings.Join(s.Tables, ",") }

// SetCost notes how long the upstream took for one of the entries, in nanoseconds.
func (s *Source) SetCost(origin int64) {
	if before := s.cost.Load(); before != 0 {
		origin = before + (origin-before)/4 // a single slow answer is not the rule
	}
	s.cost.Store(max(origin, 1))
}

// Cost returns about how long the upstream takes for an entry, in nanoseconds, and 0 when that is not known.
func (s *Source) Cost() int64 { return s.cost.Load() }

// Rule is what a policy says of the entries of a source. It is immutable once it is set.
type Rule struct {
	TTL     time.Duration
	AgeOnly bool // their age alone decides (consistency: ttl)
	// Revalidate and IfError are for how long after that an entry may still answer while it is filled anew, or in place of an error.
	Revalidate, IfError time.Duration

	policy uint64
}

// SetRule notes what the policy with this number says. It holds for entries that exist already, too.
func (s *Source) SetRule(policy uint64, r Rule) *Rule {
	r.policy = policy
	s.rule.Store(&r)
	return &r
}

// Rule returns what SetRule noted last, nil when that was under another policy: then it must be decided anew.
func (s *Source) Rule(policy uint64) *Rule {
	if r := s.rule.Load(); r != nil && r.policy == policy {
		return r
	}
	return nil
}

// Names tells whether the entries depend on the table, given as schema.name, or as name in any schema.
func (s *Source) Names(table string) bool {
	return slices.ContainsFunc(s.Tables, func(name string) bool { return name == table || strings.HasSuffix(name, "."+table) })
}
