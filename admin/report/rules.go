package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/admin"
)

// Bounds of what is proposed.
const (
	leastReads    = 100           // of a table: fewer say too little
	leastCompared = 100           // would-be hits that were right, to trust a longer TTL without results that were renewed
	leastWatched  = 2 * time.Hour // for any longer TTL
	watchedPerTTL = 24            // a TTL may be this part of the time that was watched
	mostLosers    = 20            // shapes with a rule of their own
	mostTables    = 100           // in one rule
)

// steps are the TTLs that are proposed.
var steps = [...]time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour} //nolint:gochecknoglobals // constant

// Proposal is what to write into the configuration.
type Proposal struct {
	Mode string `json:"mode"` // on, or shadow as long as there are differences
	Auto bool   `json:"auto"` // more shapes lose than there are rules for
	// Rules come in this order: those with First before the rules that hold now, the others after them.
	Rules []Rule `json:"rules"`
	// Declarations are functions that keep statements out of the cache. What they do is for a person to say.
	Declarations []Declaration `json:"declarations"`

	policy    admin.Policy // that holds now
	moreBytes int64
}

// Rule is a rule to write, or one to think about.
type Rule struct {
	Name        string      `json:"name"`
	Database    string      `json:"database,omitempty"`
	Tables      []RuleTable `json:"tables,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty"`
	Query       string      `json:"query,omitempty"` // of the fingerprint, for people
	Cache       string      `json:"cache,omitempty"`
	TTL         string      `json:"ttl,omitempty"`
	Consistency string      `json:"consistency,omitempty"`
	Why         string      `json:"why"`
	First       bool        `json:"first"`
	// Ask tells that a person must decide: the proposed file has it as a comment.
	Ask bool `json:"ask"`

	rank rank
}

// rank is where a rule comes: the first that matches a statement decides.
type rank uint8

const (
	rankNever rank = iota
	rankGuard
	rankLong
	rankAsk
)

// RuleTable is a table that a rule is for.
type RuleTable struct {
	Name string `json:"name"`
	Why  string `json:"why,omitempty"`
}

// Declaration is a function that could be declared.
type Declaration struct {
	Function string  `json:"function"`
	Reason   string  `json:"reason"`
	Count    int64   `json:"count"`
	Seconds  float64 `json:"seconds"`
}

// tableKey names a table.
type tableKey struct{ database, name string }

// proposer makes the proposal. It gives tables their advice.
type proposer struct {
	in        *Input
	r         *Report
	p         Proposal
	of        map[tableKey]*Table
	databases int
	rules     map[string]*Rule // that gather tables, by name and database
	order     []*Rule
}

func propose(in *Input, r *Report) Proposal {
	p := proposer{in: in, r: r, of: map[tableKey]*Table{}, rules: map[string]*Rule{}}
	p.p = Proposal{Mode: "on", Rules: []Rule{}, Declarations: declarations(in), policy: in.Traffic.Policy}
	databases := map[string]bool{}
	for i := range r.Tables {
		t := &r.Tables[i]
		p.of[tableKey{t.Database, t.Name}] = t
		databases[t.Database] = true
		t.Advice = advice(t)
	}
	p.databases = len(databases)
	if r.Summary.Differed > 0 || in.Status.Verifications["different"] > 0 || len(in.Status.Doubts) > 0 {
		p.p.Mode = "shadow"
	}
	p.differing()
	p.losing()
	p.long()
	p.aged()
	slices.SortStableFunc(p.order, func(a, b *Rule) int { return cmp.Compare(a.rank, b.rank) })
	for _, rule := range p.order {
		p.p.Rules = append(p.p.Rules, *rule)
	}
	return p.p
}

// advice is what there is to say of a table without a rule.
func advice(t *Table) string {
	switch {
	case t.Reads == 0:
		return "nothing to cache"
	case t.RenewedChanged > 0:
		return "send its writes through pgrecall, or give it a shorter TTL"
	case t.Verdict == NotCached:
		return "nothing of it is cached: see why below"
	case t.Verdict == Few:
		return "keep as it is: too little was measured"
	}
	return "keep as it is"
}

// usable tells whether a rule can name a table and nothing else: no pattern, no second dot.
func (k tableKey) usable() bool {
	schema, name, ok := strings.Cut(k.name, ".")
	return ok && schema != "" && name != "" && !strings.ContainsAny(name, ".") && !strings.ContainsAny(k.name+k.database, "*\uFFFD") &&
		strings.TrimSpace(k.name) == k.name
}

// gather returns the rule that gathers tables of a database.
func (p *proposer) gather(database string, rule Rule) *Rule {
	if p.databases > 1 {
		rule.Database = database
		rule.Name += " (" + database + ")"
	}
	if known := p.rules[rule.Name]; known != nil {
		return known
	}
	p.rules[rule.Name] = &rule
	p.order = append(p.order, &rule)
	return &rule
}

// never adds a table to a rule that turns the cache off.
func (p *proposer) never(t *Table, name, why, advice, each string) {
	if rule := p.gather(t.Database, Rule{Name: name, Cache: "never", First: true, Why: why}); len(rule.Tables) < mostTables {
		rule.Tables = append(rule.Tables, RuleTable{t.Name, each})
		t.Advice = advice
	}
}

// neverShape adds a rule for one shape.
func (p *proposer) neverShape(s *Statement, name, why string) {
	rule := Rule{Name: name + " " + s.Fingerprint, Fingerprint: s.Fingerprint, Query: s.Query, Cache: "never", First: true, Why: why}
	if p.databases > 1 && !strings.ContainsAny(s.Database, "*\uFFFD") {
		rule.Database = s.Database
		rule.Name += " (" + s.Database + ")"
	}
	p.order = append(p.order, &rule)
}

// differing keeps out of the cache what was, or would have been, answered wrongly: the table where the statement reads no other, else the shape.
func (p *proposer) differing() {
	done := map[*Table]bool{}
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		if s.Verdict != Differs {
			continue
		}
		var only *Table
		if key := (tableKey{s.Database, strings.Join(s.Tables, ",")}); len(s.Tables) == 1 && key.usable() {
			only = p.of[key]
		}
		if only == nil {
			p.neverShape(s, "differed", fmt.Sprintf("%s differed from PostgreSQL's.", plural(max(s.Differed, 1), "answer")))
			continue
		}
		if !done[only] {
			done[only] = true
			p.never(only, "differed", "Answers from the cache differed from PostgreSQL's. Take this out when the cause is found.", "cache: never, until the cause is found",
				fmt.Sprintf("%s of %s compared differed", count(max(only.Differed, 1)), count(max(only.Compared, 1))))
		}
	}
}

// losing keeps out of the cache what costs more than it saves: the table where nothing that reads it pays, else the shape.
func (p *proposer) losing() {
	pays := map[tableKey]bool{}
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		for _, name := range s.Tables {
			key := tableKey{s.Database, name}
			pays[key] = pays[key] || s.Verdict != Loses && s.Verdict != NotCached
		}
	}
	whole := map[tableKey]bool{}
	for i := range p.r.Tables {
		t := &p.r.Tables[i]
		key := tableKey{t.Database, t.Name}
		if t.Verdict != Loses || t.Reads < leastReads || pays[key] || !key.usable() {
			continue
		}
		whole[key] = true
		each := fmt.Sprintf("%s of lookups hit, it pays from %s on; %s, %s", percent(t.LookupRate), percent(t.BreakEven), plural(t.Reads, "read"), plural(t.Writes, "write"))
		p.never(t, "loses", "Misses cost more than hits save.", "cache: never", each)
	}
	var losers int
	for i := range p.r.Statements {
		s := &p.r.Statements[i]
		covered := slices.ContainsFunc(s.Tables, func(name string) bool { return whole[tableKey{s.Database, name}] })
		if s.Verdict != Loses || s.Reads < leastReads || covered {
			continue
		}
		if losers++; losers > mostLosers {
			p.p.Auto = true
			break
		}
		p.neverShape(s, "loses", fmt.Sprintf("%s of lookups hit, it pays from %s on; %s.", percent(s.LookupRate), percent(s.BreakEven), plural(s.Reads, "read")))
	}
}

// aged adds, as comments, tables of which most misses are because of writes: results that may be old would help.
func (p *proposer) aged() {
	for i := range p.r.Tables {
		t := &p.r.Tables[i]
		key := tableKey{t.Database, t.Name}
		if !key.usable() || t.Reads < leastReads || t.Misses == 0 || t.Writes == 0 || 2*t.Invalidated < t.Misses || t.Verdict == Differs || t.Verdict == NotCached {
			continue
		}
		rule := p.gather(t.Database, Rule{
			Name: "may be old", Ask: true, rank: rankAsk, TTL: p.in.Traffic.Policy.DefaultTTL, Consistency: "ttl",
			Why: "Most misses come from writes. If the application bears answers as old as the TTL, consistency: ttl would keep them. It gives up that reads see the latest write.",
		})
		if len(rule.Tables) < mostTables {
			each := fmt.Sprintf("%s of %s after a write, %s", count(t.Invalidated), plural(t.Misses, "miss"), plural(t.Writes, "write"))
			if t.WrittenEvery > 0 {
				each += ", one every " + seconds(t.WrittenEvery)
			}
			rule.Tables = append(rule.Tables, RuleTable{t.Name, each})
		}
	}
}

// declarations gathers functions that keep statements out of the cache, but for those of PostgreSQL that are known.
func declarations(in *Input) []Declaration {
	list := []Declaration{}
	for i := range in.Uncached {
		u := &in.Uncached[i]
		if u.Reason != "volatile_function" && u.Reason != "stable_function" || u.Detail == "" || builtin(u.Detail) {
			continue
		}
		at := slices.IndexFunc(list, func(d Declaration) bool { return d.Function == u.Detail })
		if at < 0 {
			at = len(list)
			list = append(list, Declaration{Function: u.Detail, Reason: u.Reason})
		}
		list[at].Count, list[at].Seconds = list[at].Count+u.Count, list[at].Seconds+u.Seconds
	}
	return list
}

// builtin tells whether a function is one of PostgreSQL's that nobody can declare. Not all of them are here: what is not is a comment too many.
func builtin(name string) bool {
	name = strings.TrimPrefix(name, "pg_catalog.")
	switch name {
	case "now", "random", "setseed", "nextval", "currval", "lastval", "setval", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday",
		"current_setting", "set_config", "gen_random_uuid", "uuidv7", "txid_current", "inet_client_addr", "version", "age":
		return true
	}
	return strings.HasPrefix(name, "pg_")
}
