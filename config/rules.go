package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// ConsistencyWord is the word for a level in the file.
func ConsistencyWord(c cachepolicy.Consistency) string {
	switch c {
	case cachepolicy.Session:
		return "session"
	case cachepolicy.TTL:
		return "ttl"
	}
	return "strict"
}

func parseConsistency(s string) (cachepolicy.Consistency, error) {
	switch s {
	case "strict":
		return cachepolicy.Strict, nil
	case "session":
		return cachepolicy.Session, nil
	case "ttl":
		return cachepolicy.TTL, nil
	}
	return cachepolicy.Strict, oneOf(s, "strict", "session", "ttl")
}

// ruleActs are the keys of a rule that say what happens.
var ruleActs = []string{"ttl", "cache", "max_result", "consistency", "stale_while_revalidate", "stale_if_error"}

// rules decodes the list of rules.
func (f *file) rules(node ast.Node) {
	list, ok := f.list(node, "rules")
	if !ok {
		return
	}
	if len(list) > 0 {
		f.config.rulesText = node.String()
	}
	rules := make([]cachepolicy.Rule, len(list))
	for i, item := range list {
		path := fmt.Sprintf("rules[%d]", i)
		f.lines[path] = lineOf(item)
		f.rule(item, path, &rules[i])
	}
	f.config.Policy.Rules = rules
}

func parseStale(s string, to *time.Duration) (err error) {
	if *to, err = ParseDuration(s); err == nil && *to > cachepolicy.MaxStale {
		err = fmt.Errorf("%q is too long: at most %s", s, FormatDuration(cachepolicy.MaxStale))
	}
	return err
}

func (f *file) list(node ast.Node, path string) ([]ast.Node, bool) {
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, false
	case *ast.SequenceNode:
		return n.Values, true
	}
	f.refuse(node, path, "a list")
	return nil, false
}

func (f *file) rule(node ast.Node, path string, r *cachepolicy.Rule) {
	entries, ok := f.entries(node, path)
	if !ok {
		return
	}
	if len(entries) == 0 {
		f.fail(lineOf(node), path, "an empty rule: it needs match and one of %s", strings.Join(ruleActs, ", "))
		return
	}
	acts := false
	for _, e := range entries {
		at := join(path, e.key)
		f.lines[at] = e.line
		acts = acts || slices.Contains(ruleActs, e.key)
		if e.key == "match" {
			f.match(e.value, at, &r.Match)
			continue
		}
		var set func(string) error
		switch e.key {
		case "name":
			set = func(s string) error { r.Name = s; return nil }
		case "ttl":
			set = func(s string) (err error) {
				if r.TTL, err = ParseDuration(s); err == nil && r.TTL < time.Millisecond {
					err = fmt.Errorf(`%q is too short: at least 1ms; "cache: never" turns the cache off`, s)
				}
				return err
			}
		case "stale_while_revalidate":
			set = func(s string) error { return parseStale(s, &r.StaleWhileRevalidate) }
		case "stale_if_error":
			set = func(s string) error { return parseStale(s, &r.StaleIfError) }
		case "cache":
			set = func(s string) error {
				switch s {
				case "never", "auto":
					r.Cache = cachepolicy.Caching(strings.TrimPrefix(s, "auto"))
					return nil
				}
				return oneOf(s, "never", "auto")
			}
		case "max_result":
			set = func(s string) error {
				n, err := boundedBytes(s, 1, 1<<30)
				r.MaxResult = cachepolicy.Bytes(n)
				return err
			}
		case "consistency":
			set = func(s string) error {
				level, err := parseConsistency(s)
				r.Consistency = &level
				return err
			}
		default:
			f.fail(e.line, at, "unknown key%s", suggestion(e.key, append([]string{"name", "match"}, ruleActs...)))
			continue
		}
		if v, ok := f.scalar(e.value, at); ok {
			if err := set(v); err != nil {
				f.fail(e.line, at, "%v", err)
			}
		}
	}
	if !acts && len(entries) > 0 {
		f.fail(lineOf(node), path, "the rule says nothing: it needs one of %s", strings.Join(ruleActs, ", "))
	}
}

func (f *file) match(node ast.Node, path string, m *cachepolicy.Match) {
	entries, ok := f.entries(node, path)
	if !ok {
		return
	}
	for _, e := range entries {
		at := join(path, e.key)
		f.lines[at] = e.line
		var field *string
		switch e.key {
		case "tables":
			f.tables(e, at, m)
			continue
		case "schema":
			field = &m.Schema
		case "database":
			field = &m.Database
		case "user":
			field = &m.User
		case "fingerprint":
			field = &m.Fingerprint
		case "query":
			field = &m.Query
		default:
			f.fail(e.line, at, "unknown key%s", suggestion(e.key,
				[]string{"tables", "schema", "database", "user", "fingerprint", "query"}))
			continue
		}
		v, ok := f.scalar(e.value, at)
		if ok && v == "" {
			f.fail(e.line, at, "empty: leave the key out to match everything")
		}
		*field = v
	}
}

// tables takes a list or one pattern. A rule whose list is empty would match everything, which
// is not what anybody means who writes one.
func (f *file) tables(e entry, path string, m *cachepolicy.Match) {
	items := []ast.Node{e.value}
	if list, ok := e.value.(*ast.SequenceNode); ok {
		items = list.Values
	}
	if len(items) == 0 {
		f.fail(e.line, path, "an empty list: leave the key out to match every table")
	}
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		f.lines[at] = lineOf(item)
		v, ok := f.scalar(item, at)
		if ok && v == "" {
			f.fail(lineOf(item), at, "an empty name")
		}
		m.Tables = append(m.Tables, v)
	}
}
