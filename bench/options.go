package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// build is a pgrecall binary to measure, with the name of its rows in the table.
type build struct {
	name string
	path string
}

// builds collects a repeatable flag of the form name=path.
type builds []build

func (b *builds) String() string { return fmt.Sprint([]build(*b)) }

// Set implements flag.Value.
func (b *builds) Set(value string) error {
	name, path, found := strings.Cut(value, "=")
	if !found || name == "" || path == "" {
		return errors.New("want name=path")
	}
	*b = append(*b, build{name: name, path: path})
	return nil
}

// options are the command's flags. Durations are whole seconds, as pgbench takes them.
type options struct {
	rounds      int
	seconds     int // per cell
	warmSeconds int // before each cell
	clients     int
	threads     int // of pgbench
	keys        int // hot keys
	modes       []string
	peers       []string // empty: all
	builds      builds

	entries      int // filled to measure the memory of an entry; 0: not measured
	idleClients  int // opened to measure the memory of a client; 0: not measured
	staleSeconds int // of the race for stale reads; 0: no race

	l2Rounds int  // of the measurements of L2; 0: not measured
	l2Only   bool // nothing else is

	dsn        string
	postgres   string // major version of the throw-away server; empty: the newest installed
	jsonFile   string
	page       string // gets the table between its markers
	profileDir string
}

// queryModes are pgbench's -M.
var queryModes = [...]string{"simple", "extended", "prepared"}

// parseOptions reads the command line; usage and errors go to output.
func parseOptions(arguments []string, output io.Writer) (options, error) {
	var o options
	var modes, peers string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.IntVar(&o.rounds, "rounds", 6, "interleaved rounds")
	flags.IntVar(&o.seconds, "seconds", 5, "seconds per cell")
	flags.IntVar(&o.warmSeconds, "warm", 1, "seconds of the same load before each cell, not counted")
	flags.IntVar(&o.clients, "clients", 8, "concurrent clients")
	flags.IntVar(&o.threads, "threads", 2, "threads of pgbench")
	flags.IntVar(&o.keys, "keys", 1000, "hot keys")
	flags.StringVar(&modes, "modes", strings.Join(queryModes[:], ","), "query modes, comma separated")
	flags.StringVar(&peers, "peers", "", "measure only these, comma separated (direct, floor and relay are what ratios refer to)")
	flags.Var(&o.builds, "pgrecall", "another pgrecall binary, `name=path`; repeatable")
	flags.IntVar(&o.entries, "entries", 100_000, "cache entries for the memory of an entry; 0: not measured")
	flags.IntVar(&o.idleClients, "idle", 1000, "idle clients for the memory of a client; 0: not measured")
	flags.IntVar(&o.staleSeconds, "stale", 5, "seconds of the race for stale reads, per server; 0: no race")
	flags.IntVar(&o.l2Rounds, "l2", 5, "interleaved rounds of the measurements of L2, which need redis-server; 0: not measured")
	flags.BoolVar(&o.l2Only, "l2-only", false, "measure L2 and nothing else")
	flags.StringVar(&o.dsn, "dsn", "", "a running PostgreSQL on 127.0.0.1 that trusts its superuser; without it a throw-away server is started")
	flags.StringVar(&o.postgres, "postgres", "", "major version of the throw-away server, such as 18; empty: the newest installed")
	flags.StringVar(&o.jsonFile, "json", "", "also write everything measured to this `file`")
	flags.StringVar(&o.page, "publish", "", "also put the table into this `file`, as in docs/bench.md")
	flags.StringVar(&o.profileDir, "profile", "", "only take CPU profiles of the hit path, one per mode, into this `directory`")
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.modes, o.peers = list(modes), list(peers)
	for _, mode := range o.modes {
		if !slices.Contains(queryModes[:], mode) {
			return options{}, fmt.Errorf("-modes: %q is not one of %s", mode, strings.Join(queryModes[:], ", "))
		}
	}
	if o.rounds < 1 || o.seconds < 1 || o.clients < 1 || o.threads < 1 || o.keys < 1 || len(o.modes) == 0 {
		return options{}, errors.New("-rounds, -seconds, -clients, -threads, -keys and -modes need at least one")
	}
	if o.l2Only && o.l2Rounds < 1 {
		return options{}, errors.New("-l2-only needs at least one round of -l2")
	}
	o.threads = min(o.threads, o.clients) // pgbench refuses more
	return o, nil
}

// wants reports whether the peer is to be measured.
func (o options) wants(peer string) bool {
	return len(o.peers) == 0 || slices.Contains(o.peers, peer)
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
