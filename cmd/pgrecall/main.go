package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pgrecall/pgrecall/config"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // configuration, usage, port in use, upstream out of reach
)

// process is what a subcommand has of the world.
type process struct {
	args   []string
	env    func(string) string
	stdout io.Writer
	stderr io.Writer
}

// fail prints one line for each thing that is wrong and returns the exit status.
func (p *process) fail(err error) int {
	var defects config.Errors
	if errors.As(err, &defects) {
		for _, d := range defects {
			fmt.Fprintf(p.stderr, "pgrecall: %s\n", oneLine(d))
		}
		return exitFailure
	}
	fmt.Fprintf(p.stderr, "pgrecall: %s\n", oneLine(err))
	return exitFailure
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

func main() {
	p := &process{args: os.Args[1:], env: os.Getenv, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(context.Background()))
}

// run finds the subcommand; without one it is serve.
func (p *process) run(ctx context.Context) int {
	if len(p.args) == 0 || strings.HasPrefix(p.args[0], "-") {
		if len(p.args) == 1 && p.args[0] == "--version" {
			return p.version()
		}
		return p.serve(ctx)
	}
	name := p.args[0]
	p.args = p.args[1:]
	switch name {
	case "serve":
		return p.serve(ctx)
	case "check":
		return p.check(ctx)
	case "explain":
		return p.explain(ctx)
	case "demo":
		return p.demo(ctx)
	case "flush":
		return p.flush(ctx)
	case "health":
		return p.health(ctx)
	case "report":
		return p.reportWorth(ctx)
	case "warm":
		return p.warm(ctx)
	case "version":
		return p.version()
	case "help":
		return p.help()
	}
	fmt.Fprintf(p.stderr, "pgrecall: unknown command %q: want serve, check, explain, demo, flush, health, report, warm, version or help\n", name)
	return exitFailure
}

func (p *process) help() int {
	fmt.Fprint(p.stdout, `pgrecall answers repeated reads of a PostgreSQL from memory.

Usage:
  pgrecall [serve] [flags]          run the proxy
  pgrecall check [FILE] [flags]     validate a configuration file
                                    (--upstream [DSN]: and hold its rules against the live schema; --user NAME,
                                    --strict: warnings count, --json)
  pgrecall explain "SQL" [flags]    why a statement is cached or not, and what invalidates it
                                    (--json, --user NAME, --database NAME)
  pgrecall demo                     a tour with a throw-away PostgreSQL, or with DATABASE_URL
                                    (--fleet: three pgrecalls and a Redis, one of them killed)
  pgrecall flush --all              remove what a running pgrecall and its fleet have cached, at its --admin address
                                    (or --database D, --table T, --tenant T, --fingerprint F; --token TOKEN)
  pgrecall health                   is a running pgrecall alive, at its --admin address (--ready: and can it cache); status 1 where not
  pgrecall report                   what the cache is worth, what is risky, which rules to write (pgrecall report --help)
  pgrecall version
  pgrecall warm                     asks a running pgrecall for results before clients do (pgrecall warm --help)

A flag wins over its variable, a variable over the file, the file over the default.
Signals: SIGTERM and SIGINT end it in order, SIGHUP reads the file again.
Exit status: 0 in order, 1 for a wrong configuration or an address in use.

Flags:
`)
	config.Usage(p.stdout)
	return exitOK
}
