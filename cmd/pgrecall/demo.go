package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
)

// phaseLength is how long each of the four measurements runs: some ten seconds together.
const phaseLength = 2500 * time.Millisecond

// readyTimeout bounds the wait for pgrecall's first look at the catalog.
const readyTimeout = 30 * time.Second

// demo shows on this machine what pgrecall does: the same load straight at PostgreSQL and through
// pgrecall, with a checker that looks for stale answers.
func (p *process) demo(ctx context.Context) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ofFleet := false
	c, rest, err := config.LoadArgs(p.args, p.env, func(flags *flag.FlagSet) { flags.BoolVar(&ofFleet, "fleet", false, "") })
	if errors.Is(err, config.ErrHelp) {
		return p.help()
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unexpected argument %q", rest[0])
	}
	if err == nil {
		err = supported(c)
	}
	switch {
	case err != nil:
	case ofFleet:
		err = p.runFleetDemo(ctx, c, fleetPhaseLength)
	default:
		err = p.runDemo(ctx, c, phaseLength)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted before the end")
	}
	if err != nil {
		return p.fail(err)
	}
	return exitOK
}

func (p *process) runDemo(ctx context.Context, c *config.Config, length time.Duration) (err error) {
	database, err := openDemoDatabase(ctx, p, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close()) }()
	fmt.Fprintln(p.stdout, "loading sample data")
	if err := database.load(ctx); err != nil {
		return err
	}
	i, err := p.startDemoProxy(ctx, c, database.upstream)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// Whoever is still connected in the end was told how to come back: nothing to report.
		_ = i.close(ctx)
	}()
	direct := database.upstream.config
	cached := throughProxy(direct, i)
	if err := awaitCatalog(ctx, i, cached); err != nil {
		return err
	}
	report, err := p.measure(ctx, length, database, i, direct, cached)
	if err != nil {
		return err
	}
	staysUp := p.env("DEMO_EXIT") != "1"
	if staysUp {
		report.addresses(p.stdout, direct, cached, i)
	}
	report.print(p.stdout)
	if report.stale > 0 {
		return fmt.Errorf("%d stale reads: this is a defect, please report it", report.stale)
	}
	if staysUp {
		fmt.Fprintln(p.stdout, "\nstill running; Ctrl-C ends it")
		select {
		case <-ctx.Done():
		case err := <-i.failed:
			return err
		}
	}
	return nil
}

// startDemoProxy starts pgrecall in this process, L1 only, on free ports where the usual ones are
// taken.
func (p *process) startDemoProxy(ctx context.Context, c *config.Config, up upstream) (*instance, error) {
	var level slog.LevelVar
	logger := newLogger(p.stderr, c, &level)
	if c.LogLevel == "info" {
		level.Set(slog.LevelWarn) // the table is the news here
	}
	i, err := start(ctx, c, up, logger)
	if errors.Is(err, syscall.EADDRINUSE) {
		elsewhere := *c
		elsewhere.Listen, elsewhere.Admin = []string{"127.0.0.1:0"}, "127.0.0.1:0"
		return start(ctx, &elsewhere, up, logger)
	}
	return i, err
}

// throughProxy is the way to the same database through pgrecall.
func throughProxy(direct *pgx.ConnConfig, i *instance) *pgx.ConnConfig {
	host, port := i.hostPort()
	return at(direct, host, port)
}

// at is a way with the same account to a pgrecall on this machine.
func at(direct *pgx.ConnConfig, host string, port uint16) *pgx.ConnConfig {
	to := direct.Copy()
	to.Host, to.Port = host, port
	to.TLSConfig, to.Fallbacks = nil, nil // this machine's loopback
	return to
}

// awaitCatalog connects once, which makes pgrecall load the database's catalog, and waits for it.
func awaitCatalog(ctx context.Context, i *instance, cached *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cached)
	if err != nil {
		return fmt.Errorf("cannot connect through pgrecall: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("cannot query through pgrecall: %w", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i.Ready() != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("pgrecall is not ready: %w", i.Ready())
		case <-tick.C:
		}
	}
	return nil
}
