package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy/lint"
	"github.com/pgrecall/pgrecall/config"
)

// checked is what check tells. Database and what follows are empty where the upstream was not asked.
type checked struct {
	Database string         `json:"database,omitempty"`
	User     string         `json:"user,omitempty"`
	Schemas  []string       `json:"schemas,omitempty"`
	Since    *time.Time     `json:"counted_since,omitempty"` // when the server began to count reads and writes
	Notes    []string       `json:"notes,omitempty"`
	Findings []checkFinding `json:"findings"`
}

// checkFinding is a finding with its place.
type checkFinding struct {
	Source string     `json:"source,omitempty"` // file, flag or variable
	Line   int        `json:"line,omitempty"`
	Path   string     `json:"path,omitempty"`
	Object string     `json:"object,omitempty"`
	Level  lint.Level `json:"level"`
	Code   lint.Code  `json:"code"`
	What   string     `json:"what"`
	Change string     `json:"change,omitempty"`
}

// checkOptions are check's own flags.
type checkOptions struct {
	asJSON, strict, live bool
	user                 string
}

// check validates a configuration the way serve would read it; with --upstream it asks the server as well. What is wrong goes to stdout,
// as the answer to the question that was asked.
func (p *process) check(ctx context.Context) int {
	c, options, err := p.checkArguments()
	if err == nil {
		err = supported(c)
	}
	switch {
	case errors.Is(err, config.ErrHelp):
		return p.help()
	case err != nil && options.asJSON:
		return p.report(&checked{Findings: defects(err)}, options)
	case err != nil:
		fmt.Fprintln(p.stdout, err)
		return exitFailure
	case !options.live:
		return p.report(&checked{Findings: []checkFinding{}}, options)
	}
	up, err := parseUpstream(c, p.env)
	if err != nil {
		return p.fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	result, err := checkUpstream(ctx, c, up, options.user)
	if err != nil {
		return p.fail(err)
	}
	return p.report(result, options)
}

// checkArguments reads the arguments: --upstream may stand without a DSN, and the first argument may be the file.
func (p *process) checkArguments() (*config.Config, checkOptions, error) {
	var options checkOptions
	args := make([]string, 0, len(p.args)+1)
	for i, arg := range p.args {
		if arg == "--upstream" || arg == "-upstream" {
			options.live = true
			if next := i + 1; next == len(p.args) || !strings.Contains(p.args[next], "://") && !strings.Contains(p.args[next], "=") || strings.HasPrefix(p.args[next], "-") {
				continue
			}
		}
		options.live = options.live || strings.HasPrefix(strings.TrimPrefix(arg, "-"), "-upstream=")
		args = append(args, arg)
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"--config", args[0]}, args[1:]...)
	}
	bind := func(set *flag.FlagSet) {
		set.BoolVar(&options.asJSON, "json", false, "")
		set.BoolVar(&options.strict, "strict", false, "")
		set.StringVar(&options.user, "user", "", "")
	}
	c, rest, err := config.LoadArgs(args, p.env, bind)
	if err == nil && len(rest) == 1 && c.File == "" { // the file stands behind flags
		c, rest, err = config.LoadArgs(append([]string{"--config", rest[0]}, without(args, rest[0])...), p.env, bind)
	}
	if err == nil && len(rest) > 0 {
		err = config.Errors{{What: fmt.Sprintf("unexpected argument %q", rest[0])}}
	}
	return c, options, err
}

// without returns the arguments without the last one that is this.
func without(args []string, arg string) []string {
	for i := len(args) - 1; i >= 0; i-- {
		if args[i] == arg {
			return slices.Delete(slices.Clone(args), i, i+1)
		}
	}
	return args
}

// defects turns the errors of a configuration into findings.
func defects(err error) []checkFinding {
	var all config.Errors
	var one *config.Error
	switch {
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = config.Errors{one}
	default:
		all = config.Errors{{What: err.Error()}}
	}
	var findings []checkFinding
	for _, d := range all {
		findings = append(findings, checkFinding{Source: d.Source, Line: d.Line, Path: d.Path, Level: lint.LevelError, Code: lint.CodeConfiguration, What: d.What})
	}
	return findings
}

// checkUpstream holds the configuration against the live schema. It changes nothing upstream.
func checkUpstream(ctx context.Context, c *config.Config, up upstream, user string) (*checked, error) {
	result := &checked{Findings: []checkFinding{}}
	add := func(f lint.Finding) {
		source, line := c.Place(f.Path)
		result.Findings = append(result.Findings, checkFinding{source, line, f.Path, f.Object, f.Level, f.Code, f.What, f.Change})
	}
	if !up.hasAccount {
		add(lint.Finding{Path: "upstream", Level: lint.LevelError, Code: lint.CodeRights, What: "it names no account of pgrecall's own, so nothing is cached",
			Change: "postgres://pgrecall:...@host/database: any role that may connect will do"})
	}
	server, err := askServer(ctx, up)
	if err != nil {
		return nil, err
	}
	v, err := look(ctx, up, user)
	if err != nil {
		denied, ok := lint.Denied(err, server.Account)
		if !ok {
			return nil, err
		}
		add(denied)
		return result, nil
	}
	result.Database, result.User, result.Schemas, result.Notes = v.snapshot.Database, v.scope.CurrentUser, v.scope.Schemas, v.notes
	if !server.Since.IsZero() {
		since := server.Since.UTC()
		result.Since = &since
	}
	for _, f := range lint.Check(lint.Input{
		Policy: c.Policy, Snapshot: v.snapshot, Scope: v.scope, Server: server, Interval: c.CatalogInterval, Fleet: c.Redis != "",
	}) {
		add(f)
	}
	slices.SortStableFunc(result.Findings, func(a, b checkFinding) int { // by line, what is in the database alone last
		if (a.Path == "") != (b.Path == "") {
			return strings.Compare(b.Path, a.Path)
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return result, nil
}

// report prints the result and returns the exit status.
func (p *process) report(result *checked, options checkOptions) int {
	status := exitOK
	for i := range result.Findings {
		if result.Findings[i].Level == lint.LevelError || options.strict {
			status = exitFailure
		}
	}
	if options.asJSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(result); err != nil {
			return p.fail(err)
		}
		return status
	}
	for _, note := range result.Notes {
		fmt.Fprintln(p.stderr, "pgrecall: "+note)
	}
	for i := range result.Findings {
		fmt.Fprintln(p.stdout, result.Findings[i].line(result.Database))
	}
	if len(result.Findings) == 0 {
		fmt.Fprintln(p.stdout, "ok")
	}
	return status
}

// line is "file:line: path: level: what; what to do". What is in the database alone has "database NAME: object" for a place.
func (f *checkFinding) line(database string) string {
	var parts []string
	switch {
	case f.Source != "" && f.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", f.Source, f.Line))
	case f.Source != "":
		parts = append(parts, f.Source)
	}
	switch {
	case f.Path != "":
		parts = append(parts, f.Path)
	case database != "":
		parts = append(parts, "database "+database)
		if f.Object != "" {
			parts = append(parts, f.Object)
		}
	}
	what := f.What
	if f.Change != "" {
		what += "; " + f.Change
	}
	return strings.Join(append(parts, string(f.Level), what), ": ")
}
