package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/warm"
)

const warmHelp = `pgrecall warm asks a running pgrecall for results before clients do.

Usage:
  pgrecall warm --file F            statements of a file: SQL with semicolons, or JSON as of GET /api/hot
  pgrecall warm --top N             the N costliest cacheable shapes of pg_stat_statements, with parameters
                                    that the running pgrecall has seen (at its --admin address, or --from)
  pgrecall warm --from URL          the hot keys of another pgrecall, by its admin address

  --target DSN        the way through the pgrecall to warm, and the role to warm for
                      (default: the first --listen address with the account of --upstream)
  --concurrency N     statements at a time (default 4)
  --timeout DUR       for each statement (default 30s)
  --max-errors N      errors in a row that end the run (default 10)
  --token TOKEN       the other pgrecall's admin token (default: this configuration's, or PGRECALL_ADMIN_TOKEN)
  --dry-run           tell what would be asked for, and ask for nothing
  --json              the report as JSON

It connects as a client does: what is warmed answers clients with the same role, database and settings, and
nobody else. To warm for an application give --target with its role, and with the settings that its driver
sends (?TimeZone=UTC&extra_float_digits=3). SET ROLE makes a session another one than that role's own.
Only what pgrecall's analysis takes for a cacheable read is sent, in read-only transactions. --upstream is
needed to read the catalog, and --config for the rules. Progress goes to stderr, the report to stdout.
Exit status: 0 when it was through with all, 1 when it ended early.
`

// warming are the flags of warm.
type warming struct {
	file, from, target, token   string
	top, concurrency, maxErrors int
	timeout                     time.Duration
	asJSON, dry                 bool
}

func (w *warming) bind(set *flag.FlagSet) {
	set.StringVar(&w.file, "file", "", "")
	set.StringVar(&w.from, "from", "", "")
	set.StringVar(&w.target, "target", "", "")
	set.StringVar(&w.token, "token", "", "")
	set.IntVar(&w.top, "top", 0, "")
	set.IntVar(&w.concurrency, "concurrency", 4, "")
	set.IntVar(&w.maxErrors, "max-errors", 10, "")
	set.DurationVar(&w.timeout, "timeout", 30*time.Second, "")
	set.BoolVar(&w.asJSON, "json", false, "")
	set.BoolVar(&w.dry, "dry-run", false, "")
}

func (w *warming) check() error {
	switch {
	case w.file == "" && w.top == 0 && w.from == "":
		return errors.New("warm needs --file, --top or --from; pgrecall warm --help tells more")
	case w.file != "" && (w.top != 0 || w.from != ""):
		return errors.New("--file goes alone; --top takes parameters from --from")
	case w.top < 0:
		return errors.New("--top: want a number from 1")
	case w.concurrency < 1 || w.concurrency > config.MaxWarmConcurrency:
		return fmt.Errorf("--concurrency: want a number from 1 to %d", config.MaxWarmConcurrency)
	case w.maxErrors < 1:
		return errors.New("--max-errors: want a number from 1")
	case w.timeout < time.Millisecond:
		return errors.New("--timeout: want at least 1ms")
	}
	return nil
}

func (p *process) warm(ctx context.Context) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var w warming
	c, rest, err := config.LoadArgs(p.args, p.env, w.bind)
	switch {
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(p.stdout, warmHelp)
		return exitOK
	case err != nil:
		return p.fail(err)
	case len(rest) > 0:
		return p.fail(fmt.Errorf("unexpected argument %q", rest[0]))
	}
	report, err := p.runWarm(ctx, &w, c)
	if report == nil {
		return p.fail(err)
	}
	if w.asJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = errors.Join(err, encoder.Encode(report))
	} else {
		printWarm(p.stdout, report)
	}
	if err != nil {
		return p.fail(err)
	}
	return exitOK
}

// runWarm returns no report where nothing was begun.
func (p *process) runWarm(ctx context.Context, w *warming, c *config.Config) (*warm.Report, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	up, err := parseUpstream(c, p.env)
	if err != nil {
		return nil, err
	}
	target, err := w.aim(c, up)
	if err != nil {
		return nil, err
	}
	show := newProgress(p.stderr)
	options := warm.Options{
		Target: target, Upstream: up.config, Policy: c.Policy, Concurrency: w.concurrency, Timeout: w.timeout, MaxErrors: w.maxErrors,
		DryRun: w.dry, Progress: show.update,
	}
	items, err := w.gather(ctx, c, options)
	if err != nil {
		return nil, err
	}
	report, err := warm.Run(ctx, items, options)
	show.end()
	if ctx.Err() != nil {
		err = errors.New("interrupted before the end")
	}
	return report, err
}

// aim returns the way through the pgrecall that is to be warmed.
func (w *warming) aim(c *config.Config, up upstream) (*pgx.ConnConfig, error) {
	if w.target != "" {
		target, err := pgx.ParseConfig(w.target)
		if err != nil {
			return nil, fmt.Errorf("--target: %w", err)
		}
		return target, nil
	}
	if dir, ok := strings.CutPrefix(c.Listen[0], "unix:"); ok {
		port, _ := strconv.ParseUint(defaultPort, 10, 16)
		return at(up.config, dir, uint16(port)), nil
	}
	host, text, err := net.SplitHostPort(c.Listen[0])
	port, numberErr := strconv.ParseUint(text, 10, 16)
	if err != nil || numberErr != nil || port == 0 {
		return nil, errors.New("--listen does not tell where the running pgrecall is: give --target")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return at(up.config, host, uint16(port)), nil
}

// gather reads what is to be asked for.
func (w *warming) gather(ctx context.Context, c *config.Config, options warm.Options) ([]warm.Item, error) {
	return warmItems(ctx, w.file, w.top, options, func() ([]warm.Query, error) {
		token := cmp.Or(w.token, c.AdminToken)
		from, name := w.from, "--from"
		if from == "" && token != "" && c.Admin != "" {
			from, name = adminURL(c.Admin), "hot keys"
		}
		if from == "" {
			return nil, nil
		}
		hot, err := warm.Fetch(ctx, from, token, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return hot, nil
	})
}
