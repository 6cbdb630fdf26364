package report

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/admin"
)

// document writes a configuration's file line by line.
type document struct{ b strings.Builder }

// YAML writes a configuration's file: the policy that holds now, with what is proposed. It has no secrets, addresses or limits.
func YAML(w io.Writer, r *Report) error {
	d := &document{}
	d.head(r)
	d.cache(r)
	d.rules(r)
	d.declarations(r)
	_, err := io.WriteString(w, d.b.String())
	return err
}

// put writes a line at a depth of two blanks each.
func (d *document) put(depth int, format string, a ...any) {
	d.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&d.b, format, a...)
	d.b.WriteByte('\n')
}

// say writes a comment, in lines of some hundred characters.
func (d *document) say(depth int, text string) {
	for _, l := range wrap(line(text), 110-2*depth) {
		d.put(depth, "# %s", l)
	}
}

func (d *document) head(r *Report) {
	d.say(0, fmt.Sprintf("Proposed by `pgrecall report` for %s, from %s of cache: %s (%s to %s).", r.Upstream, seconds(r.Seconds), r.Cache, stamp(r.From), stamp(r.To)))
	d.say(0, "It holds the rules that were in force, and what is proposed with the figures behind it. Addresses, accounts, TLS, limits and logs are not in it: "+
		"take them from your own file, its variables or flags. Look at it with `pgrecall check FILE` before you use it.")
	if r.Memory.SharedToo {
		d.say(0, "This pgrecall shares an L2: without your own cache.redis, cache.memcached and cache.l2 it would NOT see what the others write.")
	}
	for i := range r.Risks {
		if risk := &r.Risks[i]; risk.Severity == Wrong {
			d.put(0, "#")
			d.say(0, "WRONG ANSWERS: "+risk.What+" "+risk.Do)
			for _, on := range risk.On {
				d.say(0, "  "+on)
			}
		}
	}
}

func (d *document) cache(r *Report) {
	p, policy := &r.Proposal, &r.Proposal.policy
	d.put(0, "cache:")
	if p.Mode == "shadow" {
		d.say(1, "Answers differed: nothing should be served until the cause is found.")
	} else {
		d.say(1, fmt.Sprintf("%s of %s reads came from the cache, or would have: %s of PostgreSQL's time.", percent(r.Summary.HitRate), count(r.Summary.Reads), seconds(r.Summary.SecondsSaved)))
	}
	d.put(1, "mode: %s", p.Mode)
	d.say(1, "One in a thousand answers is checked in the background; keep your own share where it is larger.")
	d.put(1, "verify: 0.1%%")
	d.say(1, fmt.Sprintf("%s of results now, about %s expected with the rules below.", size(r.Memory.Bytes), size(r.Memory.Expected)))
	if r.Memory.Proposed > r.Memory.Limit {
		d.say(1, fmt.Sprintf("More than the %s of now: the machine must have it.", size(r.Memory.Limit)))
	}
	d.put(1, "l1_size: %s", sizeWord(max(r.Memory.Proposed, r.Memory.Limit)))
	if p.Auto {
		d.say(1, "More shapes lose than have a rule here.")
		d.put(1, "auto: true")
	}
	if policy.DefaultTTL != "" {
		d.put(1, "default_ttl: %s", quoted(policy.DefaultTTL))
	}
	if policy.MaxResult != "" {
		d.put(1, "max_result: %s", quoted(policy.MaxResult))
	}
	if policy.Consistency != "" {
		d.put(1, "consistency: %s", quoted(policy.Consistency))
	}
}

func (d *document) rules(r *Report) {
	d.put(0, "")
	d.put(0, "# The first rule that matches a statement decides.")
	d.put(0, "rules:")
	write := func(when func(*Rule) bool) {
		for i := range r.Proposal.Rules {
			if rule := &r.Proposal.Rules[i]; when(rule) {
				d.rule(rule)
			}
		}
	}
	write(func(rule *Rule) bool { return rule.First && !rule.Ask })
	for i := range r.Proposal.policy.Rules {
		if i == 0 {
			d.say(1, "The rules that are in force.")
		}
		d.present(&r.Proposal.policy.Rules[i])
	}
	write(func(rule *Rule) bool { return !rule.First && !rule.Ask })
	write(func(rule *Rule) bool { return rule.Ask })
}

// rule writes a proposed rule. One that a person must decide on is a comment altogether.
func (d *document) rule(rule *Rule) {
	to := d
	if rule.Ask {
		to = &document{}
	}
	to.say(1, rule.Why)
	if rule.Query != "" {
		to.say(1, short(rule.Query, 300))
	}
	to.put(1, "- name: %s", quoted(rule.Name))
	to.put(2, "match:")
	if rule.Database != "" {
		to.put(3, "database: %s", quoted(rule.Database))
	}
	if rule.Fingerprint != "" {
		to.put(3, "fingerprint: %s", quoted(rule.Fingerprint))
	}
	if len(rule.Tables) > 0 {
		to.put(3, "tables:")
	}
	for _, t := range rule.Tables {
		if t.Why != "" {
			to.say(4, t.Why)
		}
		to.put(4, "- %s", quoted(t.Name))
	}
	to.field(2, "cache", rule.Cache)
	to.field(2, "ttl", rule.TTL)
	to.field(2, "consistency", rule.Consistency)
	if !rule.Ask {
		return
	}
	d.put(1, "# FOR YOU TO DECIDE:")
	for l := range strings.Lines(to.b.String()) {
		if l = strings.TrimPrefix(l, "  "); !strings.HasPrefix(l, "#") {
			l = "#" + l
		}
		d.b.WriteString("  " + l)
	}
}

func (d *document) field(depth int, key, value string) {
	if value != "" {
		d.put(depth, "%s: %s", key, quoted(value))
	}
}

func (d *document) list(depth int, key string, values []string) {
	if len(values) == 0 {
		return
	}
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = quoted(v)
	}
	d.put(depth, "%s: [%s]", key, strings.Join(words, ", "))
}

// present writes a rule that is in force.
func (d *document) present(rule *admin.RuleText) {
	of := &document{}
	of.field(2, "name", rule.Name)
	if m := &rule.Match; len(m.Tables) > 0 || m.Schema+m.Database+m.User+m.Fingerprint+m.Query != "" {
		of.put(2, "match:")
		of.list(3, "tables", m.Tables)
		of.field(3, "schema", m.Schema)
		of.field(3, "database", m.Database)
		of.field(3, "user", m.User)
		of.field(3, "fingerprint", m.Fingerprint)
		of.field(3, "query", m.Query)
	}
	if rule.Cache == "" && rule.TTL+rule.MaxResult+rule.Consistency+rule.StaleWhileRevalidate+rule.StaleIfError == "" {
		of.put(2, "cache: auto")
	}
	of.field(2, "cache", rule.Cache)
	of.field(2, "ttl", rule.TTL)
	of.field(2, "max_result", rule.MaxResult)
	of.field(2, "consistency", rule.Consistency)
	of.field(2, "stale_while_revalidate", rule.StaleWhileRevalidate)
	of.field(2, "stale_if_error", rule.StaleIfError)
	d.b.WriteString("  - " + strings.TrimPrefix(of.b.String(), "    "))
}

func (d *document) declarations(r *Report) {
	policy := &r.Proposal.policy
	if len(policy.Functions)+len(r.Proposal.Declarations) > 0 {
		d.put(0, "")
		d.put(0, "functions:")
	}
	d.declared(policy.Functions)
	for i, f := range r.Proposal.Declarations {
		if i == 0 {
			d.say(1, "FOR YOU TO DECIDE: with these, statements are not cached. Where a function is your own and you know what it reads, say so; a wrong declaration gives wrong answers.")
		}
		d.say(1, fmt.Sprintf("%s, %s: %s", plural(f.Count, "read"), seconds(f.Seconds), f.Reason))
		d.put(1, "#- name: %s", quoted(f.Function))
		d.put(1, "#  reads: []")
		if f.Reason == "volatile_function" {
			d.put(1, "#  cache: true")
		}
	}
	if len(policy.Triggers) > 0 {
		d.put(0, "")
		d.put(0, "triggers:")
		d.declared(policy.Triggers)
	}
}

func (d *document) declared(list []admin.Declared) {
	for i := range list {
		f := &list[i]
		d.put(1, "- name: %s", quoted(f.Name))
		d.field(2, "table", f.Table)
		d.field(2, "effects", f.Effects)
		d.list(2, "reads", f.Reads)
		d.list(2, "writes", f.Writes)
		if f.Cache {
			d.put(2, "cache: true")
		}
	}
}

// plain finds words that YAML reads as themselves: names, and numbers with a unit.
var plain = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_.]*|([0-9]+(ms|s|m|h))+|[0-9]+(KiB|MiB|GiB|TiB))$`) //nolint:gochecknoglobals // constant

// quoted writes a value so that YAML reads it as this string: plain where that is certain, else in double quotes, which know all escapes of Go's
// (YAML 1.2, section 5.7).
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan":
	default:
		if plain.MatchString(s) {
			return s
		}
	}
	return strconv.Quote(s)
}

// sizeWord writes a size as the configuration does.
func sizeWord(n int64) string {
	if n >= 1<<30 && n%(1<<30) == 0 {
		return fmt.Sprintf("%dGiB", n>>30)
	}
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprint(n)
}
