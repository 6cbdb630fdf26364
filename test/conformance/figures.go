package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// figures are pgrecall's own counters, by metric and label.
type figures map[string]map[string]float64

// The metrics that the report is made of.
const (
	statementsMetric    = "pgrecall_statements_total"
	bypassMetric        = "pgrecall_bypass_total"
	verificationsMetric = "pgrecall_verifications_total"
	surprisesMetric     = "pgrecall_protocol_surprises_total"
)

// readFigures reads the Prometheus page.
func readFigures(ctx context.Context, url string) (figures, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return parseFigures(response.Body)
}

// sample is a line of Prometheus's text format with one label or none.
var sample = regexp.MustCompile(`^(pgrecall_\w+)(?:\{\w+="([^"]*)"\})? (\S+)$`)

func parseFigures(page io.Reader) (figures, error) {
	f := figures{}
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		m := sample.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m[1], err)
		}
		if f[m[1]] == nil {
			f[m[1]] = map[string]float64{}
		}
		f[m[1]][m[2]] = value
	}
	return f, lines.Err()
}

// since returns what was counted after an earlier reading.
func (f figures) since(earlier figures) figures {
	difference := figures{}
	for metric, values := range f {
		difference[metric] = map[string]float64{}
		for label, value := range values {
			difference[metric][label] = value - earlier[metric][label]
		}
	}
	return difference
}

// cacheable returns how many reads were answered from the cache or could have entered it.
func (f figures) cacheable() (hits, misses, bypassed float64) {
	s := f[statementsMetric]
	return s["hit_l1"] + s["hit_l2"], s["miss"], s["bypass"]
}
