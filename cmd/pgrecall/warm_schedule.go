package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/warm"
)

// warmer warms its own pgrecall by the schedule of the configuration, one run at a time.
type warmer struct {
	instance *instance
	target   *pgx.ConnConfig // nil: the instance's own address and account
	stop     func()          // ends a run under way, and waits for that

	runs, queries *prometheus.CounterVec
	took, ended   prometheus.Gauge
}

// Pauses and bounds of the schedule.
const (
	readyPause   = 250 * time.Millisecond // between two looks whether pgrecall can cache
	longestSleep = time.Minute            // then the clock is looked at again: it may have been set
	loggedMost   = 3                      // reasons in a line of the log
)

// newWarmer prepares what the configuration asks for.
func newWarmer(i *instance) (*warmer, error) {
	w := &warmer{
		instance: i, stop: func() {},
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_warm_runs_total",
			Help: "Runs of warming by schedule, by result: complete, stopped (errors, or nothing to be had)."}, []string{"result"}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pgrecall_warm_queries_total",
			Help: "Queries of these runs by outcome: loaded, present, skipped, error."}, []string{"outcome"}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pgrecall_warm_last_run_seconds", Help: "How long the last run took."}),
		ended: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pgrecall_warm_last_run_timestamp_seconds",
			Help: "When the last run ended, in seconds since 1970; 0 for never."}),
	}
	i.registry.MustRegister(w.runs, w.queries, w.took, w.ended)
	for _, result := range []string{complete, stopped} {
		w.runs.WithLabelValues(result)
	}
	for _, outcome := range []string{warm.Loaded, warm.Present, warm.Skipped, warm.Failed} {
		w.queries.WithLabelValues(outcome)
	}
	if settings := &i.config.Warm; settings.Scheduled() {
		if !i.upstream.hasAccount {
			return nil, &config.Error{Path: "warm", What: "a schedule needs an account of pgrecall's own: --upstream must name a user"}
		}
		var err error
		if settings.Target != "" {
			if w.target, err = pgx.ParseConfig(settings.Target); err != nil {
				return nil, &config.Error{Path: "warm.target", What: "not a DSN"}
			}
		}
	}
	return w, nil
}

// Results of runs.
const (
	complete = "complete"
	stopped  = "stopped"
)

// start begins the schedule, once clients are accepted. The caller calls stop.
func (w *warmer) start() {
	if !w.instance.config.Warm.Scheduled() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.stop = func() { cancel(); <-done }
	w.instance.work.Go(func() {
		defer close(done)
		w.schedule(ctx)
	})
}

func (w *warmer) schedule(ctx context.Context) {
	settings := &w.instance.config.Warm
	if slices.Contains(settings.At, config.AtStart) {
		w.run(ctx)
	}
	for {
		next := nextRun(settings, time.Now())
		if next.IsZero() || !sleepUntil(ctx, next) {
			return
		}
		w.run(ctx)
	}
}

// nextRun tells when the first run after a moment is due, the zero time where none is.
func nextRun(settings *config.Warm, now time.Time) (next time.Time) {
	if settings.Every > 0 {
		next = now.Add(settings.Every)
	}
	for _, text := range settings.At {
		at, err := config.ParseTimeOfDay(text)
		if err != nil {
			continue // the start
		}
		due := func(days int) time.Time {
			return time.Date(now.Year(), now.Month(), now.Day()+days, int(at.Hours()), int(at.Minutes())%60, 0, 0, now.Location())
		}
		candidate := due(0)
		if !candidate.After(now) {
			candidate = due(1)
		}
		if next.IsZero() || candidate.Before(next) {
			next = candidate
		}
	}
	return next
}

// sleepUntil returns false when ctx ended before.
func sleepUntil(ctx context.Context, next time.Time) bool {
	for {
		left := time.Until(next)
		if left <= 0 {
			return true
		}
		select {
		case <-time.After(min(left, longestSleep)):
		case <-ctx.Done():
			return false
		}
	}
}

// run warms once, as soon as pgrecall can cache, and tells what came of it.
func (w *warmer) run(ctx context.Context) {
	for w.instance.engine.Ready() != nil {
		if !sleepUntil(ctx, time.Now().Add(readyPause)) {
			return
		}
	}
	begun := time.Now()
	report, err := w.warm(ctx)
	if ctx.Err() != nil {
		return // the process ends
	}
	w.took.Set(time.Since(begun).Seconds())
	w.ended.SetToCurrentTime()
	w.queries.WithLabelValues(warm.Loaded).Add(float64(report.Loaded))
	w.queries.WithLabelValues(warm.Present).Add(float64(report.Present))
	w.queries.WithLabelValues(warm.Skipped).Add(float64(report.Skipped))
	w.queries.WithLabelValues(warm.Failed).Add(float64(report.Errors))
	reasons := report.Frequent()
	log := w.instance.logger.With("loaded", report.Loaded, "present", report.Present, "skipped", report.Skipped, "errors", report.Errors,
		"seconds", report.Seconds, "role", report.User, "database", report.Database, "reasons", strings.Join(reasons[:min(loggedMost, len(reasons))], "; "))
	if err != nil {
		w.runs.WithLabelValues(stopped).Inc()
		log.Warn("warming ended early", "error", err)
		return
	}
	w.runs.WithLabelValues(complete).Inc()
	log.Info("warmed")
}

// warm does one run. The report is never nil.
func (w *warmer) warm(ctx context.Context) (*warm.Report, error) {
	i := w.instance
	settings := &i.config.Warm
	options := warm.Options{Target: w.target, Upstream: i.upstream.config, Policy: i.policy.Load(), Concurrency: settings.Concurrency}
	if options.Target == nil {
		options.Target = throughProxy(i.upstream.config, i)
	}
	items, err := warmItems(ctx, settings.File, settings.Top, options, func() ([]warm.Query, error) {
		if settings.From != "" {
			return warm.Fetch(ctx, settings.From, i.config.AdminToken, 0)
		}
		hot, _ := i.Hot(warm.HotLimit)
		return hot, nil
	})
	if err != nil {
		return &warm.Report{}, err
	}
	return warm.Run(ctx, items, options)
}

// warmItems reads what is to be asked for: of a file, or the costliest shapes with the parameters of the hot keys, or these.
func warmItems(ctx context.Context, file string, top int, options warm.Options, hot func() ([]warm.Query, error)) ([]warm.Item, error) {
	if file != "" {
		return warm.ReadFile(file)
	}
	queries, err := hot()
	if err != nil {
		return nil, err
	}
	if top > 0 {
		return warm.Statements(ctx, options, top, queries)
	}
	return warm.Items("hot", queries), nil
}
