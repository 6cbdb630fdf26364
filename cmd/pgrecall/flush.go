package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

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
		return p.fail(errors.New("no admin address: give --admin ADDR"))
	}
	if token == "" {
		token = c.AdminToken
	}
	done, err := askFlush(ctx, c.Admin, token, query)
	if err != nil {
		return p.fail(fmt.Errorf("flush: %w", err))
	}
	return p.flushed(done)
}

// adminURL is where a client on this machine finds what listens on an address.
func adminURL(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// askFlush sends the request.
func askFlush(ctx context.Context, address, token string, query url.Values) (done admin.Flushed, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, adminURL(address)+"/api/flush?"+query.Encode(), nil)
	if err != nil {
		return done, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return done, err
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	if err != nil {
		return done, err
	}
	if reply.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		if json.Unmarshal(body, &refusal) != nil || refusal.Error == "" {
			refusal.Error = string(bytes.TrimSpace(body))
		}
		return done, fmt.Errorf("%s: %s", strings.ToLower(http.StatusText(reply.StatusCode)), refusal.Error)
	}
	if err := json.Unmarshal(body, &done); err != nil {
		return done, fmt.Errorf("the answer: %w", err)
	}
	return done, nil
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
