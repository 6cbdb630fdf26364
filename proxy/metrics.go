package proxy

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// outcome is what became of a statement: the label of pgrecall_statements_total.
type outcome uint8

const (
	outcomeOther outcome = iota
	outcomeHit
	outcomeHitShared
	outcomeMiss
	outcomeBypass
	outcomeWrite
	outcomeProbe // pgrecall's own: not counted
	outcomes
)

var outcomeNames = [...]string{outcomeOther: "other", outcomeHit: "hit_l1", outcomeHitShared: "hit_l2", outcomeMiss: "miss", outcomeBypass: "bypass", outcomeWrite: "write"}

// metrics are the server's figures, by the names of INTERFACE.md. What is counted per statement has its counter looked up beforehand.
type metrics struct {
	statements    [outcomes]prometheus.Counter
	durations     [outcomes]prometheus.Observer
	bypasses      map[cachepolicy.Reason]prometheus.Counter
	bypassOther   prometheus.Counter
	invalidations [traffic.Sources]prometheus.Counter
	probes        map[string]prometheus.Counter
	verifications [verdicts]prometheus.Counter
	verdictCounts [verdicts]atomic.Int64
	confused      prometheus.Counter
	refused       prometheus.Counter
	upstreamFails [upstreamFailures]prometheus.Counter
	refreshes     [refreshReasons]atomic.Int64
	stale         [staleReasons]atomic.Int64
	orphans       atomic.Int64
	clients       atomic.Int64
	upstreams     atomic.Int64
	saved         atomic.Int64 // nanoseconds of upstream time
	counts        [outcomes]atomic.Int64
	bypassCounts  map[cachepolicy.Reason]*atomic.Int64
}

func newMetrics(r prometheus.Registerer, srv *Server) *metrics {
	m := &metrics{
		bypasses: map[cachepolicy.Reason]prometheus.Counter{},
		probes:   map[string]prometheus.Counter{}, bypassCounts: map[cachepolicy.Reason]*atomic.Int64{},
	}
	statements := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_statements_total", Help: "Statements by outcome."}, []string{"outcome"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "pgrecall_statement_duration_seconds", Help: "Time from a statement's arrival to the end of its answer, by outcome.",
		Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"outcome"})
	for o, name := range outcomeNames {
		if name != "" {
			m.statements[o] = statements.WithLabelValues(name)
			m.durations[o] = durations.WithLabelValues(name)
		}
	}
	bypasses := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_bypass_total", Help: "Reads that were forwarded without the cache, and misses whose results were too large to keep, by reason."}, []string{"reason"})
	for _, reason := range cachepolicy.Reasons {
		m.bypasses[reason] = bypasses.WithLabelValues(string(reason))
		m.bypassCounts[reason] = &atomic.Int64{}
	}
	m.bypassOther = bypasses.WithLabelValues("unnamed")
	invalidations := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_invalidations_total", Help: "Invalidations by what caused them."}, []string{"source"})
	for source := range m.invalidations {
		m.invalidations[source] = invalidations.WithLabelValues(traffic.Source(source).String())
	}
	probes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_setting_probes_total", Help: "Times that a session's settings were read from the server."}, []string{"result"})
	for _, result := range []string{"done", "failed"} {
		m.probes[result] = probes.WithLabelValues(result)
	}
	verifications := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_verifications_total", Help: "Comparisons of what is cached with what the server answers, by result."}, []string{"result"})
	for v, name := range verdictNames {
		m.verifications[v] = verifications.WithLabelValues(name)
	}
	m.confused = prometheus.NewCounter(prometheus.CounterOpts{Name: "pgrecall_protocol_surprises_total", Help: "Sessions relayed without the cache because the upstream sent what was not expected."})
	m.refused = prometheus.NewCounter(prometheus.CounterOpts{Name: "pgrecall_clients_refused_total", Help: "Clients that were refused because there were limits.max_connections already."})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_upstream_errors_total", Help: "Errors of the upstream, and connections to it that failed, by kind."}, []string{"kind"})
	for kind, name := range upstreamFailureNames {
		m.upstreamFails[kind] = failures.WithLabelValues(name)
	}
	current := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	r.MustRegister(statements, durations, bypasses, invalidations, probes, verifications, m.confused, m.refused, failures,
		current("pgrecall_client_connections", "Clients that are connected.", func() float64 { return float64(m.clients.Load()) }),
		current("pgrecall_client_connections_limit", "Clients above which new ones are refused.", func() float64 { return float64(srv.Limits.MaxConnections) }),
		current("pgrecall_paused", "Whether the cache rests since PAUSE at the console.", func() float64 { return truth(srv.Paused()) }),
		current("pgrecall_upstream_connections", "Connections to the upstream on behalf of clients.", func() float64 { return float64(m.upstreams.Load()) }),
		current("pgrecall_unknown_outcomes", "Sessions that ended while the outcome of their writes was unknown, and whose backend may still run.", func() float64 { return float64(m.orphans.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "pgrecall_upstream_seconds_saved_total", Help: "Time that the upstream took for the answers that came from the cache."},
			func() float64 { return float64(m.saved.Load()) / 1e9 }),
		&tierCollector{srv: srv}, &refreshCollector{m}, trafficCollector{srv.traffic}, catalogCollector{srv},
	)
	return m
}

func (m *metrics) count(o outcome) {
	if o < outcomeProbe {
		m.statements[o].Inc()
		m.counts[o].Add(1)
	}
}

func (m *metrics) observe(o outcome, nanoseconds int64) {
	if o < outcomeProbe {
		m.durations[o].Observe(float64(nanoseconds) / 1e9)
	}
}

func (m *metrics) hit(o outcome, origin int64) {
	m.count(o)
	m.saved.Add(origin)
}

func (m *metrics) verified(v verdict) {
	m.verifications[v].Inc()
	m.verdictCounts[v].Add(1)
}

func (m *metrics) bypass(reason cachepolicy.Reason) {
	if c := m.bypasses[reason]; c != nil {
		c.Inc()
		m.bypassCounts[reason].Add(1)
		return
	}
	m.bypassOther.Inc()
}

// tierCollector reports the tiers' own figures.
type tierCollector struct{ srv *Server }

var (
	descEntries   = prometheus.NewDesc("pgrecall_cache_entries", "Entries in a tier.", []string{"tier"}, nil)
	descBytes     = prometheus.NewDesc("pgrecall_cache_bytes", "Bytes that a tier takes, keys and bookkeeping included.", []string{"tier"}, nil)
	descLimit     = prometheus.NewDesc("pgrecall_cache_limit_bytes", "Bytes that a tier may take.", []string{"tier"}, nil)
	descEvictions = prometheus.NewDesc("pgrecall_evictions_total", "Entries that left a tier, by reason.", []string{"tier", "reason"}, nil)
	descUp        = prometheus.NewDesc("pgrecall_tier_up", "Whether a tier works.", []string{"tier"}, nil)
)

// Describe implements prometheus.Collector.
func (c *tierCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descEntries, descBytes, descLimit, descEvictions, descUp, descRequests, descRefused, descDropped, descWait} {
		ch <- d
	}
	for i := range fleetFigures {
		ch <- fleetFigures[i].desc
	}
	for i := range sharedFigures {
		ch <- sharedFigures[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *tierCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.srv.L1.Stats()
	ch <- prometheus.MustNewConstMetric(descEntries, prometheus.GaugeValue, float64(stats.Entries), "l1")
	ch <- prometheus.MustNewConstMetric(descBytes, prometheus.GaugeValue, float64(stats.Bytes), "l1")
	ch <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(stats.LimitBytes), "l1")
	ch <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, 1, "l1")
	c.collectShared(ch)
	c.collectFleet(ch)
	for reason, n := range stats.Evictions {
		ch <- prometheus.MustNewConstMetric(descEvictions, prometheus.CounterValue, float64(n), "l1", reason)
	}
}
