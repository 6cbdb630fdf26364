package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Numbers of what the text and the page show. JSON has all.
const (
	shownTables     = 25
	shownStatements = 25
	shownShapes     = 3 // of one reason
	shownBars       = 12
)

// width is that of the text, in columns.
const width = 110

// JSON writes the report for programs.
func JSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Text writes the report for a terminal.
func Text(w io.Writer, r *Report) error {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }
	paragraph := func(indent, text string) {
		for _, l := range wrap(text, width-len(indent)) {
			p("%s%s\n", indent, l)
		}
	}
	item := func(text string) {
		mark := "    - "
		for _, l := range wrap(text, width-len(mark)) {
			p("%s%s\n", mark, l)
			mark = "      "
		}
	}
	head := func(title string) { p("\n%s\n%s\n", title, strings.Repeat("-", utf8.RuneCountInString(title))) }

	p("pgrecall %s in front of %s\n", r.Version, r.Upstream)
	p("%s of cache: %s, %s to %s\n", seconds(r.Seconds), r.Cache, stamp(r.From), stamp(r.To))
	for i := range r.Risks {
		if risk := &r.Risks[i]; risk.Severity == Wrong {
			p("\n!! %s !!\n", strings.ToUpper(string(risk.Severity)))
			paragraph("!! ", risk.What)
			for _, on := range risk.On {
				paragraph("!!   ", on)
			}
			paragraph("!! ", risk.Do)
		}
	}
	head(r.headline())
	for _, f := range r.keyFigures() {
		p("%-34s %16s   %s\n", f.Name, f.Value, f.More)
	}

	head("Tables")
	p("%-30s %11s %10s %6s %6s %10s  %s\n", "table", "reads", "writes", "hits", "from", "saved", "advice")
	for i := range min(len(r.Tables), shownTables) {
		t := &r.Tables[i]
		p("%-30s %11s %10s %6s %6s %10s  %s\n", short(r.tableLabel(t), 30), count(t.Reads), count(t.Writes), percent(t.HitRate), t.from(), seconds(t.SecondsSaved), short(t.Advice, 40))
	}
	more(&b, len(r.Tables), shownTables, "table")
	paragraph("", "from: the hit rate from which on caching pays. A statement with several tables counts for each of them.")

	head("Statements")
	p("%-9s %10s %6s %6s %9s %9s %9s %10s  %s\n", "verdict", "reads", "hits", "from", "origin", "hit", "miss +", "saved", "statement")
	for i := range min(len(r.Statements), shownStatements) {
		s := &r.Statements[i]
		p("%-10s%10s %6s %6s %9s %9s %9s %10s  %s\n", s.Verdict, count(s.Reads), percent(s.HitRate), s.from(), s.time(0), s.time(1), s.time(2), seconds(s.SecondsSaved), s.Fingerprint)
		text := s.Query
		if text == "" {
			text = "(no text without constants)"
		}
		for _, l := range wrap(short(text, 2*(width-4)), width-4) {
			p("    %s\n", l)
		}
		if s.Verdict == NotCached && s.Why != "" {
			p("    not cached: %s\n", s.Why)
		}
	}
	more(&b, len(r.Statements), shownStatements, "shape")

	if len(r.Uncached) > 0 {
		head("Reads that are not cached")
		for i := range r.Uncached {
			u := &r.Uncached[i]
			p("%s: %s, %s\n", u.Reason, plural(u.Count, "read"), seconds(u.Seconds))
			paragraph("    ", u.Meaning+" "+u.Change)
			for j := range min(len(u.Shapes), shownShapes) {
				p("    - %s\n", short(u.Shapes[j].text(), width-6))
			}
		}
	}

	head("What is risky")
	for i := range r.Risks {
		risk := &r.Risks[i]
		if risk.Severity == Wrong { // at the top
			continue
		}
		paragraph("", strings.ToUpper(string(risk.Severity))+": "+risk.What)
		for _, on := range risk.On {
			p("    - %s\n", short(on, width-6))
		}
		if risk.More > 0 {
			p("    - and %d more\n", risk.More)
		}
		paragraph("    ", risk.Do)
	}

	head("Rules to write")
	for i := range r.Proposal.Rules {
		rule := &r.Proposal.Rules[i]
		paragraph("", rule.title())
		for _, t := range rule.Tables {
			item(t.Name + ifAny(": ", t.Why))
		}
		if rule.Query != "" {
			p("    - %s\n", short(rule.Query, width-6))
		}
		paragraph("    ", rule.Why)
	}
	if len(r.Proposal.Rules) == 0 {
		p("None.\n")
	}
	paragraph("", fmt.Sprintf("cache.mode: %s, cache.l1_size: %s. `pgrecall report --propose FILE` writes a configuration with all this.", r.Proposal.Mode, sizeWord(max(r.Memory.Proposed, r.Memory.Limit))))
	_, err := io.WriteString(w, b.String())
	return err
}

func more(b *strings.Builder, all, shown int, of string) {
	if all > shown {
		fmt.Fprintf(b, "and %s more: --json has all\n", plural(int64(all-shown), of))
	}
}

func ifAny(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// title is what a rule does, in a few words.
func (rule *Rule) title() string {
	var does []string
	if rule.Cache != "" {
		does = append(does, "cache: "+rule.Cache)
	}
	if rule.TTL != "" {
		does = append(does, "ttl: "+rule.TTL)
	}
	if rule.Consistency != "" {
		does = append(does, "consistency: "+rule.Consistency)
	}
	title := strings.Join(does, ", ") + " (" + rule.Name + ")"
	if rule.Ask {
		return "for you to decide: " + title
	}
	return title
}

// from is the hit rate from which on caching pays.
func (w *Worth) from() string {
	if !w.Judged {
		return "?"
	}
	return percent(w.BreakEven)
}

// time returns what one statement takes: 0 at PostgreSQL, 1 as a hit, 2 as a miss beside that.
func (w *Worth) time(of int) string {
	if t := [...]float64{w.Origin, w.Hit, w.MissOverhead}[of]; t > 0 {
		return seconds(t)
	}
	return "?"
}

func (u *UncachedShape) text() string {
	text := u.Query
	if text == "" {
		text = u.Fingerprint
	}
	if u.Detail != "" {
		text = u.Detail + ": " + text
	}
	return fmt.Sprintf("%s: %s", seconds(u.Seconds), text)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// headline says what the figures are.
func (r *Report) headline() string {
	if r.Shadow() {
		return "What would be saved"
	}
	return "What is saved"
}

// keyFigure is one of the main figures.
type keyFigure struct{ Name, Value, More string }

func (r *Report) keyFigures() []keyFigure {
	s := &r.Summary
	hits := "of them from the cache"
	if r.Shadow() {
		hits = "of them would come from the cache"
	}
	saved := fmt.Sprintf("%s of %s", percent(s.SavedShare), seconds(s.DatabaseSeconds))
	if r.Seconds >= leastSeconds {
		saved += "; " + seconds(s.SecondsSavedPerDay) + " a day"
	}
	list := []keyFigure{
		{"hit rate", percent(s.HitRate), fmt.Sprintf("%s reads, %s %s", count(s.Reads), count(s.Hits), hits)},
		{"PostgreSQL's time saved", seconds(s.SecondsSaved), saved},
		{"cost of misses", seconds(s.OverheadSeconds), fmt.Sprintf("beside PostgreSQL's time, for %s", plural(s.Misses, "miss"))},
		{"reads that are not cached", count(s.Bypass), "the reasons are below"},
		{"writes", count(s.Writes), fmt.Sprintf("%s were asked for anew because of them", plural(s.Invalidated, "result"))},
	}
	if s.Compared+s.Inconclusive > 0 {
		list = append(list, keyFigure{"answers compared", count(s.Compared), fmt.Sprintf("%s different, %s proved nothing", count(s.Differed), count(s.Inconclusive))})
	}
	return append(list, keyFigure{"memory", size(r.Memory.Bytes), fmt.Sprintf("%s, limit %s", plural(int64(r.Memory.Entries), "result"), size(r.Memory.Limit))})
}

// wrap cuts a text into lines of so many characters, at blanks where there are some.
func wrap(text string, width int) (lines []string) {
	var l []rune
	for word := range strings.FieldsSeq(text) {
		w := []rune(word)
		if len(l) > 0 && len(l)+1+len(w) > width {
			lines, l = append(lines, string(l)), nil
		}
		if len(l) > 0 {
			l = append(l, ' ')
		}
		l = append(l, w...)
		for len(l) > width {
			lines, l = append(lines, string(l[:width])), l[width:]
		}
	}
	return append(lines, string(l))
}
