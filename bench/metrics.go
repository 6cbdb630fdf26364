package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics reads pgrecall's Prometheus page.
type metrics struct{ url string }

// sample is one line of the page.
type metricSample struct {
	name   string
	labels string // as written, without braces
	value  float64
}

// read fetches the page.
func (m metrics) read(ctx context.Context) ([]metricSample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", m.url, response.Status)
	}
	return parseMetrics(response.Body)
}

// scrape reads the page and throws it away, at once and then at intervals, until the function that it returns is called.
func (m metrics) scrape(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			_, _ = m.read(ctx) // the counts after the load fail where this does
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// parseMetrics reads the text format of Prometheus. Lines that hold no sample are passed over.
func parseMetrics(page io.Reader) ([]metricSample, error) {
	var samples []metricSample
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		var s metricSample
		var rest string
		if open := strings.IndexByte(line, '{'); open >= 0 {
			end := strings.LastIndexByte(line, '}')
			if end < open {
				continue
			}
			s.name, s.labels, rest = line[:open], line[open+1:end], line[end+1:]
		} else {
			s.name, rest, _ = strings.Cut(line, " ")
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			continue
		}
		s.value = value
		samples = append(samples, s)
	}
	return samples, lines.Err()
}

// sum adds the samples of a metric whose labels hold a text such as `tier="l1"`.
func sum(samples []metricSample, name, label string) float64 {
	total := 0.0
	for _, s := range samples {
		if s.name == name && strings.Contains(s.labels, label) {
			total += s.value
		}
	}
	return total
}

// statements returns the statements so far and how many of them were answered from the cache.
func (m metrics) statements(ctx context.Context) (answered, hits float64, err error) {
	samples, err := m.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	const name = "pgrecall_statements_total"
	return sum(samples, name, ""), sum(samples, name, `outcome="hit_l1"`) + sum(samples, name, `outcome="hit_l2"`), nil
}
