package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// ErrHelp is what Load returns for --help. The caller prints Usage.
var ErrHelp = flag.ErrHelp

// Load returns the configuration that the arguments, the environment and the file named by
// --config or PGRECALL_CONFIG make together, valid, with its policy compiled. env is os.Getenv.
// Arguments that are no flags are errors. The error is ErrHelp or Errors.
func Load(args []string, env func(string) string) (*Config, error) {
	c, rest, err := LoadArgs(args, env)
	if err == nil && len(rest) > 0 {
		err = Errors{{What: fmt.Sprintf("unexpected argument %q", rest[0])}}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// LoadFile returns the defaults with a file over them, without flags and environment.
func LoadFile(name string) (*Config, error) {
	return build(name, nil, nil, func(string) string { return "" })
}

// LoadArgs is Load for subcommands that take arguments: it returns them. Flags and arguments may
// be mixed; "--" ends the flags. Further flags of the subcommand are bound by each of extra.
func LoadArgs(args []string, env func(string) string, extra ...func(*flag.FlagSet)) (*Config, []string, error) {
	table := settings()
	given := make(map[string][]string, len(table))
	set := flag.NewFlagSet("pgrecall", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	file := env("PGRECALL_CONFIG")
	set.StringVar(&file, "config", file, "")
	for i := range table {
		name, list := table[i].flag, table[i].list
		set.Func(name, "", func(v string) error {
			if list {
				given[name] = append(given[name], strings.Split(v, ",")...)
			} else {
				given[name] = []string{v} // the last one counts, as usual
			}
			return nil
		})
	}
	for _, bind := range extra {
		bind(set)
	}
	rest, err := parseMixed(set, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil, nil, ErrHelp
	}
	if err != nil {
		what := err.Error()
		// The package's own words are "flag provided but not defined: -foo".
		if name, ok := strings.CutPrefix(what, "flag provided but not defined: -"); ok {
			flags := []string{"config"}
			for i := range table {
				flags = append(flags, table[i].flag)
			}
			what = fmt.Sprintf("unknown flag --%s%s", name, suggestion(name, flags))
		}
		return nil, nil, Errors{{What: what}}
	}
	c, err := build(file, given, table, env)
	return c, rest, err
}

// parseMixed parses flags before, between and after arguments.
func parseMixed(set *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		left := set.Args()
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" || len(left) == 0 {
			return append(rest, left...), nil
		}
		rest = append(rest, left[0])
		args = left[1:]
	}
}

// build lays the sources over each other and checks the whole.
func build(name string, given map[string][]string, table []setting, env func(string) string) (*Config, error) {
	f := &file{name: name, config: Defaults()}
	f.config.File = name
	f.config.Upstream = env("DATABASE_URL")
	f.openTelemetry(env)
	if name != "" {
		data, err := readFile(name)
		if err != nil {
			return nil, err
		}
		f.decode(data)
	}
	for i := range table {
		s := &table[i]
		if v := env(s.variable()); v != "" {
			values := []string{v}
			if s.list {
				values = strings.Split(v, ",")
			}
			f.override(s, s.variable(), values)
		}
		if values, ok := given[s.flag]; ok {
			f.override(s, "--"+s.flag, values)
		}
	}
	f.check(table != nil)
	if err := f.errs.err(); err != nil {
		return nil, err
	}
	f.config.lines = f.lines
	return f.config, nil
}

func (f *file) override(s *setting, source string, values []string) {
	for i := range values {
		values[i] = strings.TrimSpace(values[i])
	}
	// A better source makes an error of the file's value moot, but not silent: the file stays wrong.
	delete(f.lines, s.path)
	if f.config.sources == nil {
		f.config.sources = make(map[string]string)
	}
	f.config.sources[s.path] = source
	if err := s.set(f.config, values); err != nil {
		f.errs = append(f.errs, &Error{Source: source, What: err.Error()})
	}
}

// check looks at what single values can't tell and compiles the policy.
func (f *file) check(environment bool) {
	c := f.config
	broken := func(path string) bool {
		return slices.ContainsFunc(f.errs, func(e *Error) bool { return e.Path == path })
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		path, other := "tls.cert", "tls.key"
		if c.TLSCert == "" {
			path, other = other, path
		}
		f.failAt(path, "needs %s, too", other)
	}
	if slices.Contains(c.Listen, c.Admin) && !strings.HasSuffix(c.Admin, ":0") {
		f.failAt("admin.listen", "%q is in listen, too", c.Admin)
	}
	if c.Cache == "off" && c.Redis != "" {
		f.failAt("cache.mode", "off excludes cache.redis: the other pgrecalls would not be told of this one's writes; with shadow they are, and all reads go upstream, too")
	}
	if !slices.ContainsFunc(f.errs, func(e *Error) bool { return strings.HasPrefix(e.Path, "warm.") }) {
		f.checkWarm()
	}
	f.checkConsole()
	f.checkObserve()
	f.checkResults(broken("cache.l1_size"))
	if environment && c.Upstream != "" && !broken("upstream") {
		if err := checkDSN(c.Upstream); err != nil && len(f.errs) == 0 {
			f.errs = append(f.errs, &Error{Source: "DATABASE_URL", What: err.Error()})
		}
	}
	f.compile()
}

// L1Share is the part of L1 that one result may take at most, one in so many (cache/memory).
const L1Share = 32

// checkResults refuses bounds that L1 would not keep. The default bound shrinks with L1 instead.
func (f *file) checkResults(broken bool) {
	limit := f.config.L1Size / L1Share
	refuse := func(path string, size cachepolicy.Bytes) {
		if int64(size) > limit && !broken {
			f.failAt(path, "%s is more than a %dnd of cache.l1_size, %s", FormatBytes(int64(size)), L1Share, FormatBytes(limit))
		}
	}
	p := f.config.Policy
	if p.MaxResult != cachepolicy.Default().MaxResult {
		refuse("cache.max_result", p.MaxResult)
	}
	for i := range p.Rules {
		refuse(fmt.Sprintf("rules[%d].max_result", i), p.Rules[i].MaxResult)
	}
}

// failAt reports a defect at the place where the setting was given, which is the file or none.
func (f *file) failAt(path, format string, args ...any) {
	e := &Error{Path: path, What: fmt.Sprintf(format, args...)}
	if line, ok := f.lines[path]; ok {
		e.Source, e.Line = f.name, line
	}
	f.errs = append(f.errs, e)
}

// Usage writes every flag with its variable, its place in the file and its default.
func Usage(w io.Writer) {
	defaults := Defaults()
	fmt.Fprintf(w, "  --config FILE\n        YAML file, as config.example.yaml (PGRECALL_CONFIG)\n")
	for _, s := range settings() {
		fmt.Fprintf(w, "  --%s %s\n        %s\n", s.flag, s.value, s.usage)
		fmt.Fprintf(w, "        (%s, file: %s", s.variable(), s.path)
		if v := strings.Join(s.get(defaults), ","); v != "" {
			fmt.Fprintf(w, ", default %s", v)
		}
		fmt.Fprintln(w, ")")
	}
}
