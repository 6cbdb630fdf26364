package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	suites  string
	routes  string
	keep    string
	publish string
	passes  int
}

func main() {
	var o options
	flag.StringVar(&o.suites, "suites", "regression,isolation,pgx,psycopg2,asyncpg", "`names` of the suites to run")
	flag.StringVar(&o.routes, "routes", "direct,relay,pgrecall,shadow", "`ways` to run them: direct, relay, pgrecall, verified, shadow, patient (waits for the catalog)")
	flag.StringVar(&o.keep, "keep", "", "`directory` for all output; a temporary one, removed after a run without differences, when empty")
	flag.StringVar(&o.publish, "publish", "", "Markdown `file` whose measured part is replaced")
	flag.IntVar(&o.passes, "passes", 0, "how often the regression suite runs in the same place; 0 for its own default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// errDifferent is the end of a run in which something passed direct and not through pgrecall.
var errDifferent = errors.New("not the same as direct")

func now() time.Time { return time.Now() }

// run runs all that was asked for.
func run(ctx context.Context, o options) (err error) {
	directory := o.keep
	if directory == "" {
		if directory, err = os.MkdirTemp("", "pgrecall-conformance-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(directory)
			}
		}()
	}
	if directory, err = filepath.Abs(directory); err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(directory, 0o755); err != nil { // the servers' user reads it
		return err
	}
	pg, err := fetchPostgres(ctx)
	if err != nil {
		return err
	}
	fmt.Println("PostgreSQL", pg.version, "with its own test suites; output in", directory)
	built, err := buildPrograms(ctx, directory)
	if err != nil {
		return err
	}
	var ways []route
	for _, r := range routes(built) {
		if slices.Contains(strings.Split(o.routes, ","), r.name) {
			ways = append(ways, r)
		}
	}
	suites, err := chosen(o, pg, directory)
	if err != nil {
		return err
	}
	reports, err := runAll(ctx, pg, suites, ways, directory)
	if err != nil {
		return err
	}
	return conclude(o, pg, ways, reports)
}

// chosen returns the suites that were asked for.
func chosen(o options, pg *postgres, directory string) ([]*suite, error) {
	known := map[string]*suite{
		"regression": regressionSuite(pg), "isolation": isolationSuite(pg), "pgx": pgxSuite(directory),
		"psycopg2": sqlalchemySuite("psycopg2", directory), "asyncpg": sqlalchemySuite("asyncpg", directory),
		"gitea": giteaSuite(),
	}
	var suites []*suite
	for name := range strings.SplitSeq(o.suites, ",") {
		s := known[name]
		if s == nil {
			return nil, fmt.Errorf("unknown suite %q", name)
		}
		if o.passes > 0 && s.passes > 1 {
			s.passes = o.passes
		}
		suites = append(suites, s)
	}
	return suites, nil
}

// runAll runs every suite by every way and tells of each as it ends.
func runAll(ctx context.Context, pg *postgres, suites []*suite, ways []route, directory string) ([]*report, error) {
	var reports []*report
	for _, s := range suites {
		if s.fetch != nil {
			if err := s.fetch(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for _, way := range ways {
			if way.serial && !s.verified {
				continue
			}
			place := filepath.Join(directory, strings.ReplaceAll(s.name, " ", "-")+"-"+way.name)
			r := way.run(ctx, pg, s, place)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			reports = append(reports, &r)
			fmt.Printf("%s, %s: %s\n", s.name, way.name, r.cell())
			if r.err != nil {
				fmt.Printf("  %v\n", r.err)
			}
			if direct := find(reports, s.name, "direct"); direct != nil && direct != &r {
				for _, test := range r.differences(direct) {
					fmt.Printf("  passes direct, not here: %s\n", test)
				}
			}
		}
	}
	return reports, nil
}

// conclude prints the tables and judges.
func conclude(o options, pg *postgres, ways []route, reports []*report) error {
	names := make([]string, len(ways))
	for i, way := range ways {
		names[i] = way.name
	}
	var out strings.Builder
	fmt.Fprintf(&out, "PostgreSQL %s.\n\n", pg.version)
	table(&out, names, reports)
	out.WriteByte('\n')
	cacheTable(&out, reports)
	out.WriteByte('\n')
	reasonTable(&out, reports)
	uncachedTable(&out, reports)
	fmt.Print("\n", out.String())
	if o.publish != "" {
		if err := publish(o.publish, out.String()); err != nil {
			return err
		}
	}
	different := false
	for _, r := range reports {
		direct := find(reports, r.suite.name, "direct")
		if r.err != nil || direct != nil && len(r.differences(direct)) > 0 {
			different = true
		}
		for _, f := range r.figures {
			different = different || f[verificationsMetric]["different"] > 0
		}
	}
	if different {
		return errDifferent
	}
	return nil
}

// Marks around the measured part of a document.
const (
	measuredBegin = "<!-- measured: begin -->\n"
	measuredEnd   = "<!-- measured: end -->"
)

// publish replaces the measured part of a document.
func publish(path, measured string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), measuredBegin)
	_, after, closed := strings.Cut(rest, measuredEnd)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the measured part", path)
	}
	return os.WriteFile(path, []byte(before+measuredBegin+"\n"+measured+"\n"+measuredEnd+after), 0o644)
}
