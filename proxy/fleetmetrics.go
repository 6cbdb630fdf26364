package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/invalidator/bus"
)

// figure is a number of L2 or of the fleet that is read when somebody asks for the metrics.
type figure[T any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(T) float64
}

func counter[T any](name, help string, of func(T) float64) figure[T] {
	return figure[T]{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, of}
}

func gauge[T any](name, help string, of func(T) float64) figure[T] {
	return figure[T]{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, of}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// fleetFigures are of the log between pgrecalls and its members.
var fleetFigures = [...]figure[*bus.Stats]{
	gauge("pgrecall_fleet_member", "Whether this process is a member of the fleet.", func(s *bus.Stats) float64 { return truth(s.Member) }),
	gauge("pgrecall_fleet_live", "Whether this process is certain of what the others do: without that nothing is answered out of the cache under strict.", func(s *bus.Stats) float64 { return truth(s.Live) }),
	gauge("pgrecall_fleet_members", "Members of the fleet, this process among them.", func(s *bus.Stats) float64 { return float64(s.Members) + truth(s.Member) }),
	gauge("pgrecall_fleet_outside_processes", "Processes that may write without the log: while there are any nothing is answered out of the cache under strict.", func(s *bus.Stats) float64 { return float64(s.Outside) }),
	gauge("pgrecall_fleet_lag_events", "Events that the slowest other member had not applied when it was last heard of.", func(s *bus.Stats) float64 { return float64(s.Lag) }),
	gauge("pgrecall_fleet_queue_events", "Events that wait for their place in the log.", func(s *bus.Stats) float64 { return float64(s.Queued) }),
	gauge("pgrecall_fleet_fences", "Writes of other members that are under way.", func(s *bus.Stats) float64 { return float64(s.OtherFences) }),
	counter("pgrecall_fleet_appended_events_total", "Events that this process put into the log.", func(s *bus.Stats) float64 { return float64(s.Appended) }),
	counter("pgrecall_fleet_applied_events_total", "Events of the log that this process applied.", func(s *bus.Stats) float64 { return float64(s.Applied) }),
	counter("pgrecall_fleet_epochs_total", "Times that the log was found to be another one: Redis restarted, failed over or lost its data.", func(s *bus.Stats) float64 { return float64(s.Epochs) }),
	counter("pgrecall_fleet_memberships_lost_total", "Times that this process was no member any more without having left.", func(s *bus.Stats) float64 { return float64(s.Lost) }),
	counter("pgrecall_fleet_silent_members_total", "Times that a member fell silent.", func(s *bus.Stats) float64 { return float64(s.Missing) }),
	counter("pgrecall_fleet_gaps_total", "Times that the log was trimmed before this process had read it.", func(s *bus.Stats) float64 { return float64(s.Gaps) }),
	counter("pgrecall_fleet_forks_total", "Times that the log had lost events that were acknowledged.", func(s *bus.Stats) float64 { return float64(s.Forks) }),
	counter("pgrecall_fleet_flushes_total", "Times that everything was invalidated because of the fleet.", func(s *bus.Stats) float64 { return float64(s.Everything) }),
	counter("pgrecall_fleet_alone_writes_total", "Writes that went on without the log because Redis did not answer.", func(s *bus.Stats) float64 { return float64(s.Alone) }),
	counter("pgrecall_fleet_failures_total", "Questions to Redis and to PostgreSQL about the fleet that failed.", func(s *bus.Stats) float64 { return float64(s.Failures) }),
}

// sharedFigures are of L2.
var sharedFigures = [...]figure[*SharedStatus]{
	counter("pgrecall_l2_breaker_opened_total", "Times that L2 was given up because it failed or hung; it is asked again when it answers.", func(s *SharedStatus) float64 { return float64(s.Store.Opened) }),
	counter("pgrecall_l2_hangs_total", "Lookups that were left because L2 did not answer in time.", func(s *SharedStatus) float64 { return float64(s.Store.Hangs) }),
	counter("pgrecall_l2_errors_total", "Calls to L2 that failed, hangs among them.", func(s *SharedStatus) float64 { return float64(s.Store.Errors) }),
	counter("pgrecall_l2_read_bytes_total", "Bytes of results read from L2.", func(s *SharedStatus) float64 { return float64(s.Store.BytesRead) }),
	counter("pgrecall_l2_written_bytes_total", "Bytes of results written to L2.", func(s *SharedStatus) float64 { return float64(s.Store.BytesWritten) }),
	counter("pgrecall_l2_writes_total", "Results written to L2.", func(s *SharedStatus) float64 { return float64(s.Store.Written) }),
	gauge("pgrecall_l2_queue_writes", "Results that wait to be written to L2.", func(s *SharedStatus) float64 { return float64(s.Store.Queued) }),
	gauge("pgrecall_l2_queue_bytes", "Bytes of the results that wait to be written to L2.", func(s *SharedStatus) float64 { return float64(s.Store.QueuedBytes) }),
	gauge("pgrecall_l2_connections", "Open connections to L2.", func(s *SharedStatus) float64 { return float64(s.Store.Connections) }),
}

var (
	descRequests = prometheus.NewDesc("pgrecall_l2_requests_total", "Lookups in L2 by what came of them.", []string{"result"}, nil)
	descRefused  = prometheus.NewDesc("pgrecall_l2_refused_total", "Values found in L2 that are no results for what was asked, by reason.", []string{"reason"}, nil)
	descDropped  = prometheus.NewDesc("pgrecall_l2_dropped_writes_total", "Results that were never written to L2, by reason.", []string{"reason"}, nil)
	descWait     = prometheus.NewDesc("pgrecall_fleet_write_wait_seconds", "Time that writes waited until no other pgrecall could answer what they change out of its cache.", nil, nil)
)

// refusals are the reasons for which values in L2 are refused; see codec.Reason.
var refusals = [...]string{"version", "unknown_key", "authentication", "checksum", "not_sealed", "malformed", "too_large"}

// droppedOffers is the reason for results that waited in vain to be encoded; the others are the store's.
const droppedOffers = "busy"

// collectShared reports L2, if there is one.
func (c *tierCollector) collectShared(ch chan<- prometheus.Metric) {
	s := c.srv.shared.status()
	if s == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, truth(s.Store.Up), "l2")
	refused := uint64(0)
	for _, reason := range refusals {
		s.Refused[reason] += 0 // so that it shows before the first
	}
	for reason, n := range s.Refused {
		refused += n
		ch <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(n), reason)
	}
	for result, n := range map[string]uint64{"hit": s.Hits, "miss": s.Misses, "stale": s.Stale, "refused": refused} {
		ch <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(n), result)
	}
	ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(s.Dropped), droppedOffers)
	for reason, n := range s.Store.Dropped {
		ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(n), reason)
	}
	for _, f := range sharedFigures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(s))
	}
}

// collectFleet reports the fleet, if this process is in one.
func (c *tierCollector) collectFleet(ch chan<- prometheus.Metric) {
	if c.srv.fleet == nil {
		return
	}
	s := c.srv.fleet.Stats()
	for _, f := range fleetFigures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(&s))
	}
	ch <- prometheus.MustNewConstSummary(descWait, s.Waits, s.Waited.Seconds(), nil)
}
