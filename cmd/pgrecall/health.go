package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/config"
)

// healthTimeout bounds the question: who asks kills what is too slow.
const healthTimeout = 3 * time.Second

// health asks a running pgrecall, at its admin address, whether it is alive, or ready. It is for images without a shell.
func (p *process) health(ctx context.Context) int {
	var ready bool
	c, rest, err := config.LoadArgs(p.args, p.env, func(f *flag.FlagSet) { f.BoolVar(&ready, "ready", false, "") })
	switch {
	case errors.Is(err, config.ErrHelp):
		return p.help()
	case err != nil:
		return p.fail(err)
	case len(rest) > 0:
		return p.fail(fmt.Errorf("unexpected argument %q", rest[0]))
	case c.Admin == "":
		return p.fail(errNoAdmin)
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	said, err := ask(ctx, http.MethodGet, c.Admin, path, "")
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintln(p.stdout, strings.TrimSpace(string(said)))
	return exitOK
}
