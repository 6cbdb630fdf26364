package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

// chart is a plot of horizontal bars. Its widths are percents of its own width, so that texts keep their size on any screen.
type chart struct {
	ID, Title, Desc string
	Parts           [2]string // what the two parts of the bars are; the second is "" where there is one
	Height          int
	Bars            []bar
}

// bar is a row of a chart: a label and a value above a bar of two parts.
type bar struct {
	Label, Value string
	TextY, BarY  int
	First, Whole string // percents; Whole is where the second part ends
	Kind         string // a: good, b: neither, c: bad
}

// Heights in a chart, in pixels.
const (
	barHeight = 12
	rowHeight = 42
	textBelow = 14
	barBelow  = 20
)

// row adds a bar. What it says has to be complete without the bar.
func (c *chart) row(kind, label, value string, first, whole, most float64) {
	y := len(c.Bars) * rowHeight
	part := func(v float64) string {
		if most <= 0 || v <= 0 {
			return "0%"
		}
		return fmt.Sprintf("%.2f%%", max(100*v/most, 0.3)) // something can be seen of whatever is there
	}
	c.Bars = append(c.Bars, bar{Label: short(label, 34), Value: value, TextY: y + textBelow, BarY: y + barBelow, First: part(first), Whole: part(whole), Kind: kind})
	c.Height = len(c.Bars) * rowHeight
	c.Desc = strings.TrimPrefix(c.Desc+"; "+label+": "+value, "; ")
}

func (r *Report) charts() []chart {
	tables := chart{ID: "tables", Title: "PostgreSQL's time by table", Parts: [2]string{"saved by the cache", "still spent"}}
	if r.Shadow() {
		tables.Parts = [2]string{"would be saved", "would still be spent"}
	}
	var most float64
	shown := r.Tables[:min(len(r.Tables), shownBars)]
	for i := range shown {
		most = max(most, shown[i].DatabaseSeconds)
	}
	for i := range shown {
		t := &shown[i]
		if t.DatabaseSeconds == 0 {
			continue
		}
		tables.row("a", r.tableLabel(t), seconds(t.SecondsSaved)+" of "+seconds(t.DatabaseSeconds), t.SecondsSaved, t.DatabaseSeconds, most)
	}

	s := &r.Summary
	outcomes := chart{ID: "outcomes", Title: "Statements by outcome"}
	hits := "from the cache"
	if r.Shadow() {
		hits = "would come from the cache"
	}
	all := float64(s.Reads + s.Writes)
	for _, o := range []struct {
		kind, label string
		n           int64
	}{
		{"a", hits, s.Hits}, {"b", "misses", s.Misses}, {"b", "not cached", s.Bypass}, {"b", "compared without result", s.Inconclusive},
		{"c", "differed", s.Differed}, {"b", "writes", s.Writes},
	} {
		if o.n > 0 {
			outcomes.row(o.kind, o.label, count(o.n)+" ("+percent(float64(o.n)/all)+")", float64(o.n), float64(o.n), all)
		}
	}

	reasons := chart{ID: "reasons", Title: "PostgreSQL's time of reads that are not cached"}
	if len(r.Uncached) > 0 {
		most = r.Uncached[0].Seconds
	}
	for i := range min(len(r.Uncached), shownBars) {
		u := &r.Uncached[i]
		reasons.row("b", u.Reason, seconds(u.Seconds)+", "+plural(u.Count, "read"), u.Seconds, u.Seconds, most)
	}
	list := []chart{}
	for _, c := range []chart{tables, outcomes, reasons} {
		if len(c.Bars) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// page is what the template sees.
type page struct {
	*Report
	Headline string
	Keys     []keyFigure
	Charts   []chart
	Shown    []Statement
	ShownOf  []Table
	Hidden   []string // what is left out
	YAML     string
}

// HTML writes the report as one page that asks for nothing else.
func HTML(w io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"count": count, "seconds": seconds, "percent": percent, "size": size, "stamp": stamp, "short": short,
		"label": func(t Table) string { return r.tableLabel(&t) },
		"title": func(rule Rule) string { return rule.title() },
		"text":  func(u UncachedShape) string { return u.text() },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var proposed strings.Builder
	if err := YAML(&proposed, r); err != nil {
		return err
	}
	p := page{
		Report: r, Headline: r.headline(), Keys: r.keyFigures(), Charts: r.charts(), YAML: proposed.String(),
		Shown: r.Statements[:min(len(r.Statements), shownStatements)], ShownOf: r.Tables[:min(len(r.Tables), shownTables)],
	}
	if n := len(r.Statements) - len(p.Shown); n > 0 {
		p.Hidden = append(p.Hidden, plural(int64(n), "shape"))
	}
	if n := len(r.Tables) - len(p.ShownOf); n > 0 {
		p.Hidden = append(p.Hidden, plural(int64(n), "table"))
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}
