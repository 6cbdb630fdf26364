package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/pgrecall/pgrecall/config"
)

// serve runs the proxy until a signal or a broken listener ends it.
func (p *process) serve(ctx context.Context) int {
	c, err := config.Load(p.args, p.env)
	if errors.Is(err, config.ErrHelp) {
		return p.help()
	}
	if err == nil {
		err = supported(c)
	}
	if err != nil {
		return p.fail(err)
	}
	up, err := parseUpstream(c, p.env)
	if err != nil {
		return p.fail(err)
	}
	// From here on signals are ours, so that none is lost between start and the first wait.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	stopProfile, err := p.profile()
	if err != nil {
		return p.fail(err)
	}
	defer stopProfile()

	var level slog.LevelVar
	logger := newLogger(p.stderr, c, &level)
	starting, started := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	i, err := start(starting, c, up, logger)
	stopped := starting.Err() != nil && ctx.Err() == nil
	started()
	switch {
	case err != nil && stopped:
		logger.Info("asked to end before it was ready")
		return exitOK
	case err != nil:
		return p.fail(err)
	}
	if c.Replication == "auto" {
		logger.Info("logical replication is off in this version: writes that bypass pgrecall show when the TTL is over")
	}
	if !up.hasAccount {
		logger.Warn("the upstream names no user: pgrecall can't read the catalog, nothing is cached")
	}
	for _, l := range i.listeners {
		fmt.Fprintf(p.stdout, "listening on %s\n", l.Addr())
	}
	if i.admin != nil {
		logger.Info("admin server", "address", i.adminAddr.String())
	}
	r := &reloader{process: p, instance: i, level: &level, running: c, epoch: c.Policy.Epoch}
	i.reloader.Store(r)
	p.tell(logger, notifyReady)
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				p.tell(logger, notifyReloading, monotonic())
				_, _ = r.reload() // the log tells
				p.tell(logger, notifyReady)
				continue
			}
			logger.Info("shutting down", "signal", s.String(), "grace", c.ShutdownGrace.String())
			return p.shutdown(ctx, i, signals)
		case err := <-i.failed:
			logger.Error("shutting down", "error", err)
			_ = p.shutdown(ctx, i, signals)
			return exitFailure
		case <-ctx.Done():
			return p.shutdown(context.WithoutCancel(ctx), i, signals)
		}
	}
}

// shutdown ends in order within the grace; a second signal ends at once.
func (p *process) shutdown(ctx context.Context, i *instance, signals <-chan os.Signal) int {
	p.tell(i.logger, notifyStopping)
	ctx, cancel := context.WithTimeout(ctx, i.config.ShutdownGrace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- i.close(ctx) }()
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				i.logger.Warn("ending running statements", "signal", s.String())
				cancel()
			}
		case err := <-done:
			if err != nil {
				i.logger.Warn("some clients were cut off", "error", err)
			}
			i.logger.Info("stopped")
			return exitOK
		}
	}
}

// reloader applies what can change while clients are connected.
type reloader struct {
	process  *process
	instance *instance
	level    *slog.LevelVar
	running  *config.Config // what the process started with: holds for what needs a restart

	mu    sync.Mutex // one reload at a time
	epoch uint64
}

// reload reads all sources again. A configuration with a defect changes nothing. It returns what the log says.
func (r *reloader) reload() (warnings []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	logger := r.instance.logger
	r.instance.observers.reopen() // whatever else is wrong
	fresh, err := config.Load(r.process.args, r.process.env)
	if err == nil {
		err = supported(fresh)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			logger.Error("configuration not reloaded", "error", line)
		}
		return nil, err
	}
	if f := r.instance.fleet; f != nil && f.fleet != nil && !f.fleet.Strict && strictAnywhere(fresh.Policy) {
		err := errors.New("strict consistency in a fleet needs a restart: the other pgrecalls do not wait for this one")
		logger.Error("configuration not reloaded", "error", err)
		return nil, err
	}
	applied, _ := config.Changed(r.instance.current.Load(), fresh)
	_, restart := config.Changed(r.running, fresh)
	if _, err := r.instance.cert.load(r.running); err != nil {
		logger.Error("certificate not reloaded", "error", err)
		warnings = append(warnings, "certificate not reloaded: "+err.Error())
	}
	r.level.Set(logLevel(fresh.LogLevel))
	r.epoch++
	r.instance.setPolicy(fresh.Policy, r.epoch, longestTTL(fresh))
	r.instance.engine.SetVerify(fresh.Verify)
	r.instance.engine.SetEarlyRefresh(fresh.EarlyRefresh)
	r.instance.engine.SetAuto(fresh.Auto)
	r.instance.engine.SetLogOptions(logOptions(fresh))
	r.instance.observers.set(fresh)
	logger.Info("configuration reloaded", "file", fresh.File, "changed", strings.Join(applied, ", "))
	if len(restart) > 0 {
		logger.Warn("some changes need a restart", "settings", strings.Join(restart, ", "))
		warnings = append(warnings, "these need a restart: "+strings.Join(restart, ", "))
	}
	r.instance.current.Store(fresh)
	return warnings, nil
}
