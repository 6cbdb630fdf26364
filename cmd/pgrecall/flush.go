package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/config"
)

// flush asks a running pgrecall, at its admin address, to flush. The address and the token come from where serve has them.
func (p *process) flush(ctx context.Context) int {
	var all bool
	var token string
	what := map[string]*string{"database": new(string), "table": new(string), "tenant": new(string), "fingerprint": new(string)}
	c, rest, err := config.LoadArgs(p.args, p.env, func(f *flag.FlagSet) {
		f.BoolVar(&all, "all", false, "")
		for name, value := range what {
			f.StringVar(value, name, "", "")
		}
		f.StringVar(&token, "token", "", "")
	})
	if errors.Is(err, config.ErrHelp) {
		return p.help()
	}
	if err != nil {
		return p.fail(err)
	}
	query := url.Values{}
	for name, value := range what {
		if *value != "" {
			query.Set(name, *value)
		}
	}
	switch {
	case len(rest) > 0:
		return p.fail(fmt.Errorf("unexpected argument %q", rest[0]))
	case all && len(query) > 0:
		return p.fail(errors.New("--all goes with nothing else"))
	case !all && len(query) == 0:
		return p.fail(errors.New("flush what? --all, or any of --database, --table, --tenant, --fingerprint"))
	case c.Admin == "":
		return p.fail(errNoAdmin)
	}
	if token == "" {
		token = c.AdminToken
	}
	var done admin.Flushed
	if err := askJSON(ctx, http.MethodPost, c.Admin, "/api/flush?"+query.Encode(), token, &done); err != nil {
		return p.fail(fmt.Errorf("flush: %w", err))
	}
	return p.flushed(done)
}

// flushed tells what came of it. What other pgrecalls do not know of yet is no success.
func (p *process) flushed(done admin.Flushed) int {
	fmt.Fprintf(p.stdout, "l1: %d removed\n", done.L1)
	switch {
	case done.L2Error != "":
		fmt.Fprintf(p.stdout, "l2: %s\n", done.L2Error)
	case done.L2 != nil && *done.L2 < 0:
		fmt.Fprintln(p.stdout, "l2: removed")
	case done.L2 != nil:
		fmt.Fprintf(p.stdout, "l2: %d removed\n", *done.L2)
	}
	if done.Others != "" {
		fmt.Fprintf(p.stdout, "others: %s\n", done.Others)
	}
	if done.Others == "unreachable" || done.Others == "unknown" {
		return exitFailure
	}
	return exitOK
}
