package main

import (
	"context"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/proxy"
)

var _ admin.Proxy = (*instance)(nil)

// Ready passes on what the engine says.
func (i *instance) Ready() error { return i.engine.Ready() }

// Flush passes on what the operator wants.
func (i *instance) Flush(ctx context.Context, what admin.Selection) (admin.Flushed, error) {
	done, err := i.engine.Flush(ctx, proxy.Selection(what))
	return admin.Flushed(done), err
}

// Allow passes on what the operator wants.
func (i *instance) Allow(ctx context.Context, fingerprint uint64) int {
	return i.engine.Allow(ctx, fingerprint)
}

// Uncached adds what the reasons mean.
func (i *instance) Uncached(n int) []admin.Uncached {
	list := []admin.Uncached{} // an empty one is [] in JSON
	for _, u := range i.engine.Uncached(n) {
		meaning, change := u.Reason.Meaning()
		list = append(list, admin.Uncached{Fingerprint: u.Fingerprint, Database: u.Database, Query: u.Query, Reason: string(u.Reason), Detail: u.Detail,
			Meaning: meaning, Change: change, Count: u.Count, Seconds: u.Seconds, MaxSeconds: u.MaxSeconds, Last: u.Last.UTC().Truncate(time.Second)})
	}
	return list
}

// Status reads the figures from the metrics, so that the status page and a board never disagree.
func (i *instance) Status() admin.Status {
	s := admin.Status{
		Version:       buildVersion(),
		Upstream:      i.upstream.address(),
		Started:       i.started.UTC().Truncate(time.Second),
		Now:           time.Now().UTC(),
		Cache:         i.config.Cache,
		Statements:    map[string]uint64{},
		Bypasses:      map[string]uint64{},
		Invalidations: map[string]uint64{},
		Verifications: map[string]uint64{},
		Doubts:        []admin.Doubt{},
	}
	for _, d := range i.engine.Doubts() {
		s.Doubts = append(s.Doubts, admin.Doubt{Fingerprint: d.Fingerprint, Tables: d.Tables, Since: d.Since.UTC().Truncate(time.Second)})
	}
	s.Stopped = i.stopped()
	for _, l := range i.listeners {
		s.Listen = append(s.Listen, l.Addr().String())
	}
	l1 := i.l1.Stats()
	s.Tiers = []admin.Tier{{Name: "l1", Entries: l1.Entries, Bytes: l1.Bytes, LimitBytes: l1.LimitBytes, Evictions: l1.Evictions}}
	state := i.engine.Status()
	s.L2 = shared(state.L2)
	if f := state.Fleet; f != nil {
		s.Fleet = &admin.Fleet{Live: f.Live, Member: f.Member, Members: f.Members, Outside: f.Outside, Lag: f.Lag, Queued: f.Queued, Fences: f.OtherFences}
		if f.Member {
			s.Fleet.Members++ // others are counted there
		}
	}
	if i.engine.Paused() {
		s.Cache = "paused"
	}
	families, err := i.registry.Gather()
	if err != nil {
		i.logger.Warn("some figures are missing", "error", err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "pgrecall_statements_total":
			byLabel(s.Statements, f)
		case "pgrecall_bypass_total":
			byLabel(s.Bypasses, f)
		case "pgrecall_invalidations_total":
			byLabel(s.Invalidations, f)
		case "pgrecall_verifications_total":
			byLabel(s.Verifications, f)
		case "pgrecall_upstream_seconds_saved_total":
			s.UpstreamSecondsSaved = sum(f)
		case "pgrecall_client_connections":
			s.ClientConnections = int(sum(f))
		}
	}
	return s
}

// byLabel adds up counters by the value of their only label.
func byLabel(to map[string]uint64, f *dto.MetricFamily) {
	for _, m := range f.GetMetric() {
		if labels := m.GetLabel(); len(labels) == 1 {
			to[labels[0].GetValue()] += uint64(m.GetCounter().GetValue())
		}
	}
}

func sum(f *dto.MetricFamily) (total float64) {
	for _, m := range f.GetMetric() {
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return total
}
