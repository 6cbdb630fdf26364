package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// uncached is a shape of reads that went to the server for one reason, as pgrecall's status tells it: count and seconds
// are its estimates.
type uncached struct {
	Query, Reason, Detail string
	Count                 int64
	Seconds               float64
}

// uncachedShown is how many shapes a report lists for each reason.
const uncachedShown = 3

// readUncached asks pgrecall at its admin address for all that it remembers.
func readUncached(ctx context.Context, admin string) ([]uncached, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/api/status?uncached=1000", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	var status struct{ Uncached []uncached }
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return nil, fmt.Errorf("%s: %w", request.URL, err)
	}
	return status.Uncached, nil
}

// uncachedTable writes for each reason how much time its reads took, and the shapes that took the most.
func uncachedTable(w io.Writer, reports []*report) {
	for _, r := range reports {
		if len(r.uncached) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s, %s: the reads that were not cached, by the time that they took\n\n", r.suite.name, r.route)
		fmt.Fprint(w, "| reason | seconds | count | statements that took the most |\n|---|---:|---:|---|\n")
		for _, group := range byReason(r.uncached) {
			seconds, count := 0.0, int64(0)
			var shapes []string
			for i, u := range group {
				seconds, count = seconds+u.Seconds, count+u.Count
				if i < uncachedShown {
					shapes = append(shapes, u.cell())
				}
			}
			fmt.Fprintf(w, "| `%s` | %.1f | %d | %s |\n", group[0].Reason, seconds, count, strings.Join(shapes, "<br>"))
		}
	}
}

// byReason groups what is sorted by time; the groups are sorted by the time of their first.
func byReason(all []uncached) [][]uncached {
	var groups [][]uncached
	for _, u := range all {
		at := slices.IndexFunc(groups, func(group []uncached) bool { return group[0].Reason == u.Reason })
		if at < 0 {
			at = len(groups)
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], u)
	}
	return groups
}

// longestQuery is how many characters of a statement a report shows.
const longestQuery = 160

// cell is one shape in a cell of a Markdown table.
func (u uncached) cell() string {
	query := []rune(strings.Join(strings.Fields(u.Query), " "))
	if len(query) > longestQuery {
		query = append(query[:longestQuery], '…')
	}
	text := "`" + strings.ReplaceAll(strings.ReplaceAll(string(query), "`", "'"), "|", "\\|") + "`"
	if u.Detail != "" {
		text += " (" + u.Detail + ")"
	}
	return text
}
