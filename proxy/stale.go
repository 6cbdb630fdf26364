package proxy

import "github.com/prometheus/client_golang/prometheus"

// staleReason is why an answer was given past its lifetime: the label of pgrecall_stale_answers_total.
type staleReason uint8

const (
	staleRevalidate staleReason = iota // while it is filled anew
	staleError                         // in place of an error
	staleReasons
)

var staleNames = [...]string{staleRevalidate: "revalidate", staleError: "error"}

// refreshCollector reports refreshes and stale answers.
type refreshCollector struct{ m *metrics }

var (
	descRefreshes = prometheus.NewDesc("pgrecall_refreshes_total", "Entries that were asked for anew in the background, by reason.", []string{"reason"}, nil)
	descStale     = prometheus.NewDesc("pgrecall_stale_answers_total", "Answers that were given past their lifetime, as a rule allows, by reason.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (c *refreshCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- descRefreshes
	ch <- descStale
}

// Collect implements prometheus.Collector.
func (c *refreshCollector) Collect(ch chan<- prometheus.Metric) {
	for reason, name := range refreshNames {
		ch <- prometheus.MustNewConstMetric(descRefreshes, prometheus.CounterValue, float64(c.m.refreshes[reason].Load()), name)
	}
	for reason, name := range staleNames {
		ch <- prometheus.MustNewConstMetric(descStale, prometheus.CounterValue, float64(c.m.stale[reason].Load()), name)
	}
}
