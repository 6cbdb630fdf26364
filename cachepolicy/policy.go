package cachepolicy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/catalog"
)

// Policy is the part of the configuration that decides what is cached. It must pass Compile before its
// first use and is immutable from then on.
type Policy struct {
	DefaultTTL  time.Duration `yaml:"default_ttl"` // for statements without a rule that has one
	MaxResult   Bytes         `yaml:"max_result"`  // larger results are not kept
	Consistency Consistency   `yaml:"consistency"`
	Rules       []Rule        `yaml:"rules"` // the first that matches decides
	// Declared is what the configuration says of functions and triggers, nil for nothing.
	Declared *catalog.Declarations `yaml:"-"`

	// Epoch tells apart policies in time: the configuration's reload gives each new one a higher number, so that
	// decisions made under another are made anew (and the new TTLs hold for what is cached already).
	Epoch uint64 `yaml:"-"`
}

// Default returns the policy of a configuration that says nothing.
func Default() Policy {
	return Policy{DefaultTTL: 60 * time.Second, MaxResult: 1 << 20, Consistency: Strict}
}

// Rule decides for the statements that it matches: the first rule of the policy that matches a statement rules it
// alone. What a rule leaves out comes from the policy, not from later rules.
type Rule struct {
	Name        string        `yaml:"name"` // for logs and explain
	Match       Match         `yaml:"match"`
	TTL         time.Duration `yaml:"ttl"`         // 0: the policy's DefaultTTL
	Cache       Caching       `yaml:"cache"`       // "never" turns the cache off
	MaxResult   Bytes         `yaml:"max_result"`  // 0: the policy's
	Consistency *Consistency  `yaml:"consistency"` // nil: the policy's
	// StaleWhileRevalidate is for how long after its TTL an answer is still given, while it is asked for anew in the background;
	// StaleIfError for how long it stands in for an error of the server. 0: not at all.
	StaleWhileRevalidate time.Duration `yaml:"stale_while_revalidate"`
	StaleIfError         time.Duration `yaml:"stale_if_error"`
}

// MaxStale is the greatest value of StaleWhileRevalidate and StaleIfError.
const MaxStale = 24 * time.Hour

// Match says which statements a rule is for. All parts that are given must match; a rule without any matches everything.
//
// Tables and Schema match when one relation matches both. A TTL rule looks at the relations that the query names,
// views by their own name; a rule that says never also looks at what stands behind them (tables of views, partitions).
//
// In patterns * stands for any number of characters, all else for itself. A pattern for a table without a dot matches the
// name in any schema. Names are compared as PostgreSQL keeps them, in lower case unless they were quoted.
type Match struct {
	Tables      []string `yaml:"tables"`      // "orders", "audit_*", "sales.*"
	Schema      string   `yaml:"schema"`      // pattern
	Database    string   `yaml:"database"`    // pattern
	User        string   `yaml:"user"`        // pattern for the current user
	Fingerprint string   `yaml:"fingerprint"` // hexadecimal, as logs and the status page show it
	Query       string   `yaml:"query"`       // pattern for the text with $n for constants; any case, blanks count as one

	fingerprint uint64
	query       string
}

// Caching is what a rule says of the cache.
type Caching string

// Ways of caching.
const (
	CacheAuto  Caching = ""      // whatever is safe
	CacheNever Caching = "never" // bypass
)

// RuleError is a defect of a policy.
type RuleError struct {
	Path  string // of the value in YAML, as rules[2].match.tables[0]
	What  string
	Value string // as written, "" when it says nothing
}

func (e *RuleError) Error() string {
	if e.Value == "" {
		return e.Path + ": " + e.What
	}
	return fmt.Sprintf("%s: %s: %q", e.Path, e.What, e.Value)
}

// Compile checks the policy and prepares it for use. Its error joins a *RuleError for each defect.
func (p *Policy) Compile() error {
	var defects []error
	defect := func(path, what, value string) { defects = append(defects, &RuleError{path, what, value}) }
	if p.DefaultTTL <= 0 {
		defect("default_ttl", "must be positive", p.DefaultTTL.String())
	}
	if p.MaxResult <= 0 {
		defect("max_result", "must be positive", "")
	}
	names := make(map[string]int, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		at := "rules[" + strconv.Itoa(i) + "]"
		if r.TTL < 0 {
			defect(at+".ttl", "must not be negative", r.TTL.String())
		}
		for _, stale := range []struct {
			key string
			by  time.Duration
		}{{"stale_while_revalidate", r.StaleWhileRevalidate}, {"stale_if_error", r.StaleIfError}} {
			switch {
			case stale.by < 0:
				defect(at+"."+stale.key, "must not be negative", stale.by.String())
			case stale.by > MaxStale:
				defect(at+"."+stale.key, "must be at most 24h", stale.by.String())
			case stale.by > 0 && r.Cache == CacheNever:
				defect(at+"."+stale.key, "has no meaning with cache: never", stale.by.String())
			}
		}
		if r.MaxResult < 0 {
			defect(at+".max_result", "must not be negative", "")
		}
		switch r.Cache {
		case CacheAuto:
		case "auto":
			r.Cache = CacheAuto
		case CacheNever:
			if r.TTL != 0 {
				defect(at+".ttl", "has no meaning with cache: never", r.TTL.String())
			}
		default:
			defect(at+".cache", "must be auto or never", string(r.Cache))
		}
		if first, taken := names[r.Name]; taken && r.Name != "" {
			defect(at+".name", "is the name of rules["+strconv.Itoa(first)+"] already", r.Name)
		} else {
			names[r.Name] = i
		}
		r.Match.compile(at+".match", defect)
	}
	p.compileDeclarations(defect)
	return errors.Join(defects...)
}

func (m *Match) compile(at string, defect func(path, what, value string)) {
	for i, pattern := range m.Tables {
		compilePattern(at+".tables["+strconv.Itoa(i)+"]", "table", pattern, defect)
	}
	if m.Fingerprint != "" {
		var err error
		digits := strings.TrimPrefix(strings.ToLower(m.Fingerprint), "0x")
		if m.fingerprint, err = strconv.ParseUint(digits, 16, 64); err != nil || m.fingerprint == 0 {
			defect(at+".fingerprint", "must be up to 16 hexadecimal digits, not all zero", m.Fingerprint)
		}
	}
	m.query = fold(m.Query)
	if m.Query != "" && m.query == "" {
		defect(at+".query", "must not be blank", m.Query)
	}
}

// compilePattern checks a pattern for the names of objects of one kind.
func compilePattern(path, kind, pattern string, defect func(path, what, value string)) {
	switch schema, object, dotted := strings.Cut(pattern, "."); {
	case pattern == "":
		defect(path, "must not be empty", "")
	case dotted && (schema == "" || object == "" || strings.Contains(object, ".")):
		defect(path, "must be "+kind+" or schema."+kind, pattern)
	case strings.TrimSpace(pattern) != pattern:
		defect(path, "has blanks around it", pattern)
	}
}

// UnmarshalText reads strict, session or ttl.
func (c *Consistency) UnmarshalText(text []byte) error {
	switch string(text) {
	case "strict":
		*c = Strict
	case "session":
		*c = Session
	case "ttl":
		*c = TTL
	default:
		return fmt.Errorf("consistency must be strict, session or ttl: %q", text)
	}
	return nil
}

// String returns the word for it in the configuration.
func (c Consistency) String() string {
	switch c {
	case Strict:
		return "strict"
	case Session:
		return "session"
	case TTL:
		return "ttl"
	}
	return "Consistency(" + strconv.Itoa(int(c)) + ")"
}

// MarshalText writes what UnmarshalText reads.
func (c Consistency) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
