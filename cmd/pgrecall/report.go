package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	reports "github.com/pgrecall/pgrecall/admin/report"
	"github.com/pgrecall/pgrecall/config"
)

const reportHelp = `pgrecall report tells what a running pgrecall's cache is worth: what it saves, or after a day of
--cache shadow what it would save, table by table; what is risky; which rules to write.

Usage:
  pgrecall report [flags]

  --admin ADDR        where it is (default: that of serve)
  --token TOKEN       its admin token (default: this configuration's, or PGRECALL_ADMIN_TOKEN)
  --json              JSON instead of text, with everything
  --html FILE         one page with plots, too, which needs nothing else
  --propose FILE      a proposed configuration, too; FILE must not be there yet

With - for FILE it goes to stdout, in place of the text. No output has parameters or rows.
`

// reportWait bounds the questions to the admin server.
const reportWait = 30 * time.Second

// reporting are the flags of report.
type reporting struct {
	token, page, proposal string
	asJSON                bool
}

func (f *reporting) bind(set *flag.FlagSet) {
	set.StringVar(&f.token, "token", "", "")
	set.StringVar(&f.page, "html", "", "")
	set.StringVar(&f.proposal, "propose", "", "")
	set.BoolVar(&f.asJSON, "json", false, "")
}

// reportWorth asks a running pgrecall what became of statements, and writes what follows from it.
func (p *process) reportWorth(ctx context.Context) int {
	var f reporting
	c, rest, err := config.LoadArgs(p.args, p.env, f.bind)
	switch {
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(p.stdout, reportHelp)
		return exitOK
	case err != nil:
		return p.fail(err)
	case len(rest) > 0:
		return p.fail(fmt.Errorf("unexpected argument %q", rest[0]))
	case c.Admin == "":
		return p.fail(errNoAdmin)
	case f.page == "-" && f.proposal == "-", f.asJSON && (f.page == "-" || f.proposal == "-"):
		return p.fail(errors.New("one thing only can go to stdout: --json, --html - or --propose -"))
	}
	ctx, cancel := context.WithTimeout(ctx, reportWait)
	defer cancel()
	in, err := askReport(ctx, c.Admin, cmp.Or(f.token, c.AdminToken))
	if err != nil {
		return p.fail(fmt.Errorf("report: %w", err))
	}
	if err := p.writeReport(&f, reports.Make(in)); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// writeReport writes all that was asked for.
func (p *process) writeReport(f *reporting, r *reports.Report) error {
	if f.page != "" {
		if err := p.writeTo(f.page, os.O_TRUNC, r, reports.HTML); err != nil {
			return err
		}
	}
	if f.proposal != "" { // never over a file that somebody may have written
		if err := p.writeTo(f.proposal, os.O_EXCL, r, reports.YAML); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("--propose: %s is there already; give another name", f.proposal)
			}
			return err
		}
	}
	switch {
	case f.page == "-" || f.proposal == "-":
		return nil
	case f.asJSON:
		return reports.JSON(p.stdout, r)
	}
	return reports.Text(p.stdout, r)
}

// writeTo writes a part of the report to a file, or to stdout where the name is -.
func (p *process) writeTo(name string, how int, r *reports.Report, write func(io.Writer, *reports.Report) error) error {
	if name == "-" {
		return write(p.stdout, r)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(file, r), file.Close())
}

// askReport fetches all that the admin server has to say.
func askReport(ctx context.Context, address, token string) (in reports.Input, err error) {
	status := struct {
		*admin.Status
		Uncached *[]admin.Uncached `json:"uncached"`
	}{&in.Status, &in.Uncached}
	if err := askJSON(ctx, http.MethodGet, address, "/api/status?uncached=1000", token, &status); err != nil {
		return in, err
	}
	if err := askJSON(ctx, http.MethodGet, address, "/api/traffic?n=1000", token, &in.Traffic); err != nil {
		return in, err
	}
	if in.Status.Started.IsZero() || in.Traffic.Policy.DefaultTTL == "" {
		return in, errors.New("the answer is not one of this version's pgrecall")
	}
	return in, nil
}
