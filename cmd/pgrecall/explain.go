package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/cachepolicy/lint"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
)

// explainTimeout bounds everything that explain asks of the upstream.
const explainTimeout = 30 * time.Second

// explanation is what explain tells of one text.
type explanation struct {
	Verdict     string `json:"verdict"` // cache, bypass, or write
	Reason      string `json:"reason,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Meaning     string `json:"meaning,omitempty"`
	Change      string `json:"change,omitempty"` // what would make it cacheable
	TTL         string `json:"ttl,omitempty"`
	Consistency string `json:"consistency,omitempty"`
	MaxResult   int    `json:"max_result_bytes,omitempty"`
	// How long past its TTL an answer may be given, "" for not at all.
	StaleWhileRevalidate string `json:"stale_while_revalidate,omitempty"`
	StaleIfError         string `json:"stale_if_error,omitempty"`

	Rule        string   `json:"rule,omitempty"`
	Relations   []string `json:"relations,omitempty"` // that the answer depends on
	Settings    []string `json:"settings,omitempty"`  // custom ones, likewise
	Invalidated []string `json:"invalidated_by,omitempty"`
	Touches     []string `json:"touches,omitempty"` // what it invalidates itself
	Declare     string   `json:"declare,omitempty"` // what to write into the configuration, so that it invalidates less
	Database    string   `json:"database"`
	User        string   `json:"user"`
	Schemas     []string `json:"schemas"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Notes       []string `json:"notes,omitempty"`
}

// explain tells what pgrecall would do with a statement as the first one of a session.
func (p *process) explain(ctx context.Context) int {
	var (
		asJSON         bool
		user, database string
	)
	c, rest, err := config.LoadArgs(p.args, p.env, func(set *flag.FlagSet) {
		set.BoolVar(&asJSON, "json", false, "")
		set.StringVar(&user, "user", "", "")
		set.StringVar(&database, "database", "", "")
	})
	switch {
	case errors.Is(err, config.ErrHelp):
		return p.help()
	case err != nil:
		return p.fail(err)
	case len(rest) != 1 || strings.TrimSpace(rest[0]) == "":
		return p.fail(errors.New(`explain needs one argument: pgrecall explain "SELECT ..."`))
	}
	up, err := parseUpstream(c, p.env)
	if err != nil {
		return p.fail(err)
	}
	if database != "" {
		up.config.Database = database
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	v, err := look(ctx, up, user)
	if err != nil {
		return p.fail(err)
	}
	e := explainStatement(rest[0], c, v)
	if asJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(e); err != nil {
			return p.fail(err)
		}
		return exitOK
	}
	e.print(p.stdout)
	return exitOK
}

// explainStatement judges a text as the proxy would.
func explainStatement(text string, c *config.Config, v *view) explanation {
	statement, directive := analyze(text)
	e := explanation{
		Database: v.scope.Database,
		User:     v.scope.CurrentUser,
		Schemas:  v.scope.Schemas,
		Notes:    v.notes,
	}
	if fingerprint := statement.Fingerprint(); fingerprint != 0 {
		e.Fingerprint = fmt.Sprintf("%016x", fingerprint)
	}
	d := cachepolicy.Decide(statement, v.scope, v.snapshot, c.Policy)
	e.Relations, e.Settings = names(v.snapshot, d.Relations), d.Settings
	touched := invalidator.Touches(statement, v.scope.Schemas, catalog.Temporary{}, v.snapshot, c.Policy.Declared)
	e.Touches = touches(touched, v.snapshot)
	if touched.Culprit != "" {
		e.Declare = lint.Advice(lint.Input{Policy: c.Policy, Snapshot: v.snapshot, Scope: v.scope}, &touched)
	}
	switch {
	case d.Verdict == cachepolicy.Cache && (!touched.Nothing() || touched.Definition || touched.Settings || touched.Locks):
		d.Verdict, d.Reason = cachepolicy.Bypass, cachepolicy.ReasonNotRead // a function that claims to be STABLE
	case c.Cache == "off" && d.Verdict == cachepolicy.Cache:
		d.Verdict, d.Reason = cachepolicy.Bypass, cachepolicy.ReasonCacheOff
	case directive.Off && d.Verdict == cachepolicy.Cache:
		d.Verdict, d.Reason = cachepolicy.Bypass, cachepolicy.ReasonDirective
	}
	if d.Rule != nil {
		e.Rule = ruleName(c.Policy, d.Rule)
	}
	if d.Verdict != cachepolicy.Cache {
		e.bypass(d, touched)
		return e
	}
	e.Verdict = "cache"
	e.cached(d, directive)
	return e
}

func (e *explanation) bypass(d cachepolicy.Decision, touched invalidator.Touched) {
	e.Verdict, e.Reason, e.Detail = "bypass", string(d.Reason), d.Detail
	if d.Reason == cachepolicy.ReasonNotRead && !touched.Nothing() {
		e.Verdict = "write"
	}
	e.Meaning, e.Change = d.Reason.Meaning()
}

func (e *explanation) cached(d cachepolicy.Decision, directive parser.Directive) {
	ttl := d.TTL
	if directive.TTL != "" {
		if own, err := config.ParseDuration(directive.TTL); err == nil && own > 0 {
			ttl = own
			e.Notes = append(e.Notes, "the comment in the statement sets the TTL")
		} else {
			e.Notes = append(e.Notes, fmt.Sprintf("the comment's ttl=%s is not a duration and ignored", directive.TTL))
		}
	}
	e.TTL = config.FormatDuration(ttl)
	if d.StaleWhileRevalidate > 0 {
		e.StaleWhileRevalidate = config.FormatDuration(d.StaleWhileRevalidate)
	}
	if d.StaleIfError > 0 {
		e.StaleIfError = config.FormatDuration(d.StaleIfError)
	}
	e.Consistency = config.ConsistencyWord(d.Consistency)
	e.MaxResult = d.MaxResult
	if len(e.Relations) > 0 {
		e.Invalidated = append(e.Invalidated, "a write through pgrecall to "+strings.Join(e.Relations, ", "))
	}
	e.Invalidated = append(e.Invalidated,
		"a change of definitions or rights in the database",
		"a write of unknown effect (a function or trigger that can't be read and isn't declared)",
		"its TTL, which also bounds the age after writes that bypass pgrecall",
		"POST /api/flush")
}

// analyze reads a text as a session does.
func analyze(text string) (*parser.Statement, parser.Directive) {
	canonical, directive, ok := parser.Canonicalize(nil, text)
	if !ok {
		return parser.Analyze(text), directive
	}
	return parser.Analyze(string(canonical)), directive
}

// ruleName is the rule's name, or its place where it has none.
func ruleName(p *cachepolicy.Policy, r *cachepolicy.Rule) string {
	if r.Name != "" {
		return r.Name
	}
	for i := range p.Rules {
		if &p.Rules[i] == r {
			return fmt.Sprintf("rules[%d]", i)
		}
	}
	return "a rule without a name"
}

func names(s *catalog.Snapshot, oids []uint32) []string {
	var list []string
	for _, oid := range oids {
		if r := s.ByOID(oid); r != nil {
			list = append(list, r.Schema+"."+r.Name)
		} else {
			list = append(list, fmt.Sprintf("oid %d", oid))
		}
	}
	return list
}

func touches(t invalidator.Touched, s *catalog.Snapshot) []string {
	switch {
	case t.Cluster:
		return []string{because("everything in every database", t.Reason)}
	case t.Whole:
		return []string{because("everything in this database", t.Reason)}
	}
	return names(s, t.Relations)
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + " (" + reason + ")"
}
