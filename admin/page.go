package admin

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML string

// row is a counter with its part of the whole in percent.
type row struct {
	Name  string
	Count uint64
	Share float64
}

type pageData struct {
	statusReply
	Uptime     string
	Hits       uint64
	Reads      uint64
	Outcomes   []row
	Reasons    []row
	Results    []row // of verifications
	ListenText string
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	r := s.reply(uncachedOnPage)
	var b strings.Builder
	err := pageTemplate().Execute(&b, pageData{
		statusReply: r,
		Uptime:      r.Now.Sub(r.Started).Round(time.Second).String(),
		Hits:        r.Hits(),
		Reads:       r.Reads(),
		Outcomes:    rows(r.Statements),
		Reasons:     rows(r.Bypasses),
		Results:     rows(r.Verifications),
		ListenText:  strings.Join(r.Listen, ", "),
	})
	if err != nil {
		s.logger.Error("cannot render the status page", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
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

func pageTemplate() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"percent": func(f float64) string { return fmt.Sprintf("%.1f%%", f) },
		"times":   func(a float64, b float64) float64 { return a * b },
		"bytes":   formatBytes,
		"part": func(a, b int64) float64 {
			if b <= 0 {
				return 0
			}
			return 100 * float64(a) / float64(b)
		},
		"seconds":      func(f float64) string { return fmt.Sprintf("%.1f s", f) },
		"milliseconds": func(f float64) string { return fmt.Sprintf("%.1f ms", 1000*f) },
		"stamp":        func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).Parse(pageHTML))
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
