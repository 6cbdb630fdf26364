package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/admin"
)

// Severity says how bad a risk is.
type Severity string

// Severities, the worst first.
const (
	Wrong   Severity = "wrong answers"
	Caution Severity = "caution"
	Note    Severity = "note"
)

// Risk is something to know before the cache is turned on, or left on.
type Risk struct {
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind"` // one word for programs
	What     string   `json:"what"`
	Do       string   `json:"do"`
	On       []string `json:"on"` // tables, statements, functions or rules that it is about; the first ones
	More     int      `json:"more,omitempty"`
}

// mostOn is how many names a risk has.
const mostOn = 10

// Bounds above which something is a risk.
const (
	bigResult    = 256 << 10 // bytes, on average
	leastSeconds = 3600.0    // of watching, to say something of a day
	unclearShare = 20        // one in so many comparisons
)

type riskList struct{ list []Risk }

// add adds a risk unless it is about a list that is empty.
func (l *riskList) add(severity Severity, kind string, on []string, what, do string) {
	r := Risk{Severity: severity, Kind: kind, What: what, Do: do, On: on}
	if r.On == nil {
		r.On = []string{}
	}
	if len(r.On) > mostOn {
		r.On, r.More = r.On[:mostOn], len(r.On)-mostOn
	}
	l.list = append(l.list, r)
}

func risks(in *Input, r *Report) []Risk {
	l := &riskList{list: []Risk{}}
	wrong(l, in, r)
	changed(l, r)
	policyRisks(l, &in.Traffic.Policy)
	trafficRisks(l, in, r)
	past(l, r)
	slices.SortStableFunc(l.list, func(a, b Risk) int { return cmp.Compare(rankOf(a.Severity), rankOf(b.Severity)) })
	return l.list
}

func rankOf(s Severity) int { return slices.Index([]Severity{Wrong, Caution, Note}, s) }

// wrong tells of differences that comparisons found.
func wrong(l *riskList, in *Input, r *Report) {
	var on []string
	for i := range r.Statements {
		if s := &r.Statements[i]; s.Verdict == Differs {
			on = append(on, s.label())
		}
	}
	for _, d := range in.Status.Doubts {
		if !slices.ContainsFunc(r.Statements, func(s Statement) bool { return s.Fingerprint == d.Fingerprint }) {
			on = append(on, d.Fingerprint+" ("+d.Tables+")")
		}
	}
	n := max(int64(in.Status.Verifications["different"]), r.Summary.Differed, int64(len(on)))
	if n == 0 {
		return
	}
	what := fmt.Sprintf("%s from the cache differed from PostgreSQL's.", plural(n, "answer"))
	if r.Shadow() {
		what = fmt.Sprintf("%s would have been wrong: the cache and PostgreSQL differed.", plural(n, "answer"))
	}
	l.add(Wrong, "differed", on, what, "Find the cause before the cache is on: most likely somebody writes past pgrecall, or a function is declared IMMUTABLE and is not. "+
		"The log has a line for each. Until then these statements are better not cached.")
}

// changed tells of results that were found changed when they were too old, though nothing was written.
func changed(l *riskList, r *Report) {
	var on []string
	for i := range r.Tables {
		if t := &r.Tables[i]; t.RenewedChanged > 0 {
			on = append(on, fmt.Sprintf("%s (%s of %s)", r.tableLabel(t), count(t.RenewedChanged), count(t.RenewedChanged+t.RenewedUnchanged)))
		}
	}
	if len(on) > 0 {
		l.add(Caution, "changed_unseen", on, "Results that were asked for anew when they were too old had changed, though pgrecall saw no write.",
			"Somebody writes these tables past pgrecall, or a query returns any rows of many (LIMIT without ORDER BY). Until the TTL is over clients get the old answer: "+
				"send those writes through pgrecall, or give the tables a short TTL.")
	}
}

// policyRisks tells of what the configuration allows.
func policyRisks(l *riskList, p *admin.Policy) {
	var old, stale, declared, cached []string
	name := func(r *admin.RuleText, i int) string { return line(cmp.Or(r.Name, fmt.Sprintf("rules[%d]", i))) }
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.Consistency != "" && r.Consistency != "strict" {
			old = append(old, name(r, i)+" ("+r.Consistency+")")
		}
		if r.StaleWhileRevalidate != "" || r.StaleIfError != "" {
			stale = append(stale, name(r, i))
		}
	}
	if p.Consistency != "" && p.Consistency != "strict" {
		old = append([]string{"cache.consistency (" + p.Consistency + ")"}, old...)
	}
	for _, f := range p.Functions {
		if f.Cache {
			cached = append(cached, line(f.Name))
		} else {
			declared = append(declared, line(f.Name))
		}
	}
	for _, t := range p.Triggers {
		declared = append(declared, line(strings.TrimSuffix(t.Name+" on "+t.Table, " on ")))
	}
	for _, risk := range []struct {
		on             []string
		kind, what, do string
	}{
		{old, "consistency", "Rules let answers be older than the latest write: with ttl up to the TTL, with session for other clients.", "Be sure that whoever reads them bears that."},
		{stale, "stale", "Rules let answers stand in past their TTL (stale_while_revalidate, stale_if_error).", "Be sure that whoever reads them bears that."},
		{cached, "declared_cacheable", "Functions are declared so that answers with them are cached, whatever their volatility says.", "A wrong declaration gives wrong answers: look at their bodies again when they change."},
		{declared, "declared_effects", "Functions and triggers are declared to write nothing, or only some tables.", "A wrong declaration gives wrong answers: look at their bodies again when they change."},
	} {
		if len(risk.on) > 0 {
			l.add(Caution, risk.kind, risk.on, risk.what, risk.do)
		}
	}
}

// trafficRisks tells of what was measured.
func trafficRisks(l *riskList, in *Input, r *Report) {
	var whole, secured, big []string
	var wholes int64
	for i := range in.Traffic.Statements {
		s := &in.Traffic.Statements[i]
		if s.WholeWrites > 0 {
			wholes += s.WholeWrites
			whole = append(whole, fmt.Sprintf("%s (%s)", short(cmp.Or(s.Query, s.Fingerprint), 60), count(s.WholeWrites)))
		}
		if s.RowSecurity {
			secured = append(secured, s.Tables...)
		}
		if f := figures(&s.Counts); f.ResultBytes >= bigResult {
			big = append(big, fmt.Sprintf("%s (%s)", short(cmp.Or(s.Query, s.Fingerprint), 60), size(f.ResultBytes)))
		}
	}
	for i := range in.Uncached {
		if u := &in.Uncached[i]; u.Reason == "result_too_large" {
			big = append(big, fmt.Sprintf("%s (above max_result)", short(cmp.Or(u.Query, u.Fingerprint), 60)))
		}
	}
	slices.Sort(secured)
	if len(whole) > 0 {
		l.add(Caution, "whole_database", whole, fmt.Sprintf("%s made everything of a database invalid.", plural(wholes, "statement")),
			"`pgrecall explain` tells why, and `pgrecall check --upstream` what to declare; definitions (CREATE, ALTER) always do so.")
	}
	if m := &r.Memory; m.NoRoom > 0 || m.Expected > m.Limit {
		what := fmt.Sprintf("%s had to leave the cache or did not fit, with a limit of %s.", plural(int64(m.NoRoom), "result"), size(m.Limit))
		if m.NoRoom == 0 {
			what = fmt.Sprintf("With the proposed rules about %s of results are expected, and the limit is %s.", size(m.Expected), size(m.Limit))
		}
		l.add(Caution, "memory", nil, what, fmt.Sprintf("Set cache.l1_size to about %s, if the machine has that.", size(m.Proposed)))
	}
	if len(secured) > 0 {
		l.add(Note, "row_security", slices.Compact(secured), "Row security restricts what these statements see.",
			"Each role, and each value of the settings that a policy reads, has results of its own: that is safe, takes memory, and lowers the hit rate.")
	}
	if len(big) > 0 {
		l.add(Note, "big_results", big, "Results are large, or too large to be kept.", "They fill the cache at the cost of others. max_result bounds them, in a rule for these tables alone if need be.")
	}
	if s := r.Summary; s.Inconclusive > 0 && unclearShare*s.Inconclusive > s.Compared+s.Inconclusive {
		l.add(Note, "inconclusive", nil, fmt.Sprintf("%s proved nothing: something changed meanwhile, the answer was an error or too large.", plural(s.Inconclusive, "comparison")),
			"So many say that tables are written while they are read. They are not counted as hits here.")
	}
	if r.Seconds < leastSeconds {
		l.add(Caution, "short", nil, fmt.Sprintf("This is about %s only.", seconds(r.Seconds)), "Wait for a whole day, with its backups and nightly jobs, before you decide.")
	}
	if rest := figures(&in.Traffic.Rest); rest.Reads > 0 {
		l.add(Note, "other_shapes", nil, fmt.Sprintf("%s of shapes that are not kept apart: there are too many shapes.", plural(rest.Reads, "read")),
			"Statements that write constants into their text in ever new forms (long IN lists) make many shapes: pass arrays (= ANY($1)).")
	}
	if n := len(in.Status.Stopped); n > 0 {
		l.add(Note, "stopped", nil, fmt.Sprintf("cache.auto has stopped caching %s for now.", plural(int64(n), "shape")), "Their figures here are of the time before.")
	}
	if r.Memory.SharedToo {
		l.add(Note, "fleet", nil, "This is one pgrecall of those that share an L2.", "The others have figures of their own: ask each of them. What they write is no write here, but an invalidation of source bus.")
	}
	if in.Status.Cache == "off" {
		l.add(Caution, "off", nil, "The cache is off: nothing was measured.", "Run it with --cache shadow for a day.")
	}
}

// past tells of writes that pgrecall can't see. It comes last: it holds always.
func past(l *riskList, r *Report) {
	var on []string
	for i := range r.Tables {
		if t := &r.Tables[i]; !t.written() && t.Hits > 0 && t.Name != "" {
			on = append(on, r.tableLabel(t))
		}
	}
	l.add(Note, "writes_past", on, "pgrecall sees the writes that go through it, or through others that share its Redis; logical replication is not in this version. What is written past it is seen when the TTL is over.",
		"Ask who writes these tables, of which it saw no write at all: a job, a migration, another service.")
}

// label names a statement for people.
func (s *Statement) label() string {
	if s.Query == "" {
		return s.Fingerprint
	}
	return s.Fingerprint + " " + short(s.Query, 70)
}

// tableLabel names a table, with its database where there are several.
func (r *Report) tableLabel(t *Table) string {
	name := cmp.Or(t.Name, "(other tables)")
	if slices.ContainsFunc(r.Tables, func(o Table) bool { return o.Database != t.Database }) {
		return t.Database + "/" + name
	}
	return name
}
