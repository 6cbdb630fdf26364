package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
		return p.fail(errors.New("no admin address: give --admin ADDR"))
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, adminURL(c.Admin)+path, nil)
	if err != nil {
		return p.fail(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return p.fail(err)
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	if err != nil {
		return p.fail(err)
	}
	if reply.StatusCode != http.StatusOK {
		return p.fail(errors.New(strings.TrimSpace(string(body))))
	}
	fmt.Fprintln(p.stdout, strings.TrimSpace(string(body)))
	return exitOK
}
