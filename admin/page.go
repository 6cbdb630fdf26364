package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// closedPolicy is the Content-Security-Policy of all but the page.
const closedPolicy = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// page is the status page: one document with its style and its script.
type page struct {
	template *template.Template
	style    template.CSS
	script   template.JS
	policy   string // its Content-Security-Policy
}

// scripts are the parts of the script, in order.
func scripts() []string {
	return []string{"values.js", "live.js", "lists.js", "curves.js", "figures.js", "details.js", "act.js", "start.js"}
}

// newPage puts the page together.
func newPage() (*page, error) {
	read := func(names ...string) (string, error) {
		var all strings.Builder
		for _, name := range names {
			content, err := pageFiles.ReadFile("page/" + name)
			if err != nil {
				return "", err
			}
			all.Write(content)
		}
		return all.String(), nil
	}
	markup, err := read("page.html")
	if err != nil {
		return nil, err
	}
	style, err := read("style.css", "curves.css")
	if err != nil {
		return nil, err
	}
	script, err := read(scripts()...)
	if err != nil {
		return nil, err
	}
	p := &page{style: template.CSS(style), script: template.JS(script)} // ours: part of the binary
	p.policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
		sourceHash(style), sourceHash(script))
	p.template, err = parsePage(markup)
	return p, err
}

// sourceHash names an inline style or script in a Content-Security-Policy.
func sourceHash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// row is a counter with its part of the whole in percent.
type row struct {
	Name  string
	Count uint64
	Share float64
}

type pageData struct {
	statusReply
	Style      template.CSS
	Script     template.JS
	Secured    bool
	Uptime     string
	Hits       uint64
	Reads      uint64
	Outcomes   []row
	Reasons    []row
	Sources    []row // of invalidations
	Results    []row // of verifications
	ListenText string
}

func (s *Server) showPage(w http.ResponseWriter, _ *http.Request) {
	r := s.reply(uncachedOnPage)
	var b strings.Builder
	err := s.page.template.Execute(&b, pageData{
		statusReply: r,
		Style:       s.page.style,
		Script:      s.page.script,
		Secured:     s.secured,
		Uptime:      r.Now.Sub(r.Started).Round(time.Second).String(),
		Hits:        r.Hits(),
		Reads:       r.Reads(),
		Outcomes:    rows(r.Statements),
		Reasons:     rows(r.Bypasses),
		Sources:     rows(r.Invalidations),
		Results:     rows(r.Verifications),
		ListenText:  strings.Join(r.Listen, ", "),
	})
	if err != nil {
		s.logger.Error("cannot render the status page", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", s.page.policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprint(w, b.String())
}

// rows sorts counters by size and leaves those out that are zero.
func rows(counters map[string]uint64) []row {
	var total uint64
	for _, n := range counters {
		total += n
	}
	var list []row
	for name, n := range counters {
		if n > 0 {
			list = append(list, row{name, n, 100 * float64(n) / float64(total)})
		}
	}
	slices.SortFunc(list, func(a, b row) int {
		if a.Count != b.Count {
			if a.Count > b.Count {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

func parsePage(markup string) (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"percent": func(f float64) string { return fmt.Sprintf("%.1f%%", f) },
		"times":   func(a float64, b float64) float64 { return a * b },
		"bytes":   formatBytes,
		"mode":    modeMeaning,
		"counters": func(all map[string]uint64) string {
			var parts []string
			for _, r := range rows(all) {
				parts = append(parts, fmt.Sprintf("%d %s", r.Count, r.Name))
			}
			return strings.Join(parts, ", ")
		},
		"seconds":      func(f float64) string { return fmt.Sprintf("%.1f s", f) },
		"milliseconds": func(f float64) string { return fmt.Sprintf("%.1f ms", 1000*f) },
		"stamp":        func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).Parse(markup)
}

// modeMeaning says what a state of the cache other than on means.
func modeMeaning(mode string) string {
	switch mode {
	case "shadow":
		return "Shadow mode: every statement goes to PostgreSQL, the cache works alongside and is compared."
	case "off":
		return "The cache is off: everything goes to PostgreSQL."
	case "paused":
		return "The cache is paused: nothing is served from it and nothing enters it."
	}
	return ""
}

func formatBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
