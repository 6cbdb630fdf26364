package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// otherSeries is the label of what has no time series of its own. No table is called so: names have their schema before them.
const otherSeries = "other"

var (
	descTable      = prometheus.NewDesc("pgrecall_table_statements_total", "Statements that read or write a table, by outcome; one with several tables counts for each.", []string{"database", "table", "outcome"}, nil)
	descTableSaved = prometheus.NewDesc("pgrecall_table_upstream_seconds_saved_total", "Time that the upstream took for the answers that came from the cache, by table.", []string{"database", "table"}, nil)
	descTableDrops = prometheus.NewDesc("pgrecall_table_invalidations_total", "Invalidations of what depends on a table, by source; the table * is everything in the database.", []string{"database", "table", "source"}, nil)
	descRule       = prometheus.NewDesc("pgrecall_rule_statements_total", "Statements by the rule that decides on them and outcome; the rule \"\" are the policy's defaults.", []string{"rule", "outcome"}, nil)
	descShape      = prometheus.NewDesc("pgrecall_shape_statements_total", "Statements of a shape by outcome.", []string{"database", "fingerprint", "outcome"}, nil)
	descShapeSaved = prometheus.NewDesc("pgrecall_shape_upstream_seconds_saved_total", "Time that the upstream took for the answers that came from the cache, by shape.", []string{"database", "fingerprint"}, nil)
	descShapeAsked = prometheus.NewDesc("pgrecall_shape_upstream_seconds_total", "Time that the upstream took for what did not come from the cache, by shape.", []string{"database", "fingerprint"}, nil)
)

// trafficCollector reports what became of statements by table, rule and shape: of those with the most traffic.
type trafficCollector struct{ registry *traffic.Registry }

// Describe implements prometheus.Collector.
func (c trafficCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descTable, descTableSaved, descTableDrops, descRule, descShape, descShapeSaved, descShapeAsked} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c trafficCollector) Collect(ch chan<- prometheus.Metric) {
	outcomes := func(desc *prometheus.Desc, t *Totals, labels ...string) {
		for _, n := range []struct {
			of outcome
			n  int64
		}{{outcomeHit, t.Hits}, {outcomeHitShared, t.SharedHits}, {outcomeMiss, t.Misses}, {outcomeBypass, t.Bypasses}, {outcomeWrite, t.Writes}} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n.n), append(labels[:len(labels):len(labels)], outcomeNames[n.of])...)
		}
	}
	count := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	shapes, tables, rules := c.registry.Series()
	for i := range shapes {
		s := &shapes[i]
		if s.Fingerprint == "" {
			s.Fingerprint = otherSeries
		}
		outcomes(descShape, &s.Totals, s.Database, s.Fingerprint)
		count(descShapeSaved, s.Saved.Seconds(), s.Database, s.Fingerprint)
		count(descShapeAsked, (s.Asked + s.BypassTime + s.WriteTime).Seconds(), s.Database, s.Fingerprint)
	}
	for i := range tables {
		t := &tables[i]
		if t.Name == "" {
			t.Name = otherSeries
		}
		outcomes(descTable, &t.Totals, t.Database, t.Name)
		count(descTableSaved, t.Saved.Seconds(), t.Database, t.Name)
		for source, n := range t.Invalidations {
			count(descTableDrops, float64(n), t.Database, t.Name, traffic.Source(source).String())
		}
	}
	for i := range rules {
		outcomes(descRule, &rules[i].Totals, rules[i].Name)
	}
}
