package config

import (
	"errors"
	"fmt"
	"github.com/pgrecall/pgrecall/catalog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

func noEnv(string) string { return "" }

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// write puts text into a file and returns its name.
func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSourcesWinInOrder(t *testing.T) {
	name := write(t, "cache:\n  l1_size: 10MiB\n  default_ttl: 10s\nlimits:\n  max_connections: 10\n")
	c, err := Load([]string{"--config", name, "--l1-size", "30MiB"},
		env("PGRECALL_L1_SIZE", "20MiB", "PGRECALL_DEFAULT_TTL", "20s"))
	if err != nil {
		t.Fatal(err)
	}
	if c.L1Size != 30<<20 {
		t.Errorf("flag must win: %d", c.L1Size)
	}
	if c.Policy.DefaultTTL != 20*time.Second {
		t.Errorf("variable must win over file: %v", c.Policy.DefaultTTL)
	}
	if c.MaxConnections != 10 {
		t.Errorf("file must win over default: %d", c.MaxConnections)
	}
	if c.StatementCache != 64<<20 {
		t.Errorf("default must stay: %d", c.StatementCache)
	}
}

func TestUpstreamDefaultsToDatabaseURL(t *testing.T) {
	c, err := Load(nil, env("DATABASE_URL", "postgres://u@h/d"))
	if err != nil || c.Upstream != "postgres://u@h/d" {
		t.Fatalf("%v %v", c, err)
	}
	c, err = Load([]string{"--upstream=postgres://other/d"}, env("DATABASE_URL", "postgres://u@h/d"))
	if err != nil || c.Upstream != "postgres://other/d" {
		t.Fatalf("%v %v", c, err)
	}
}

func TestListenMayBeSeveral(t *testing.T) {
	want := []string{"127.0.0.1:1", "unix:/tmp"}
	for name, load := range map[string]func() (*Config, error){
		"flags":    func() (*Config, error) { return Load([]string{"--listen", want[0], "--listen", want[1]}, noEnv) },
		"commas":   func() (*Config, error) { return Load([]string{"--listen", want[0] + "," + want[1]}, noEnv) },
		"variable": func() (*Config, error) { return Load(nil, env("PGRECALL_LISTEN", want[0]+", "+want[1])) },
		"file":     func() (*Config, error) { return LoadFile(write(t, "listen:\n- 127.0.0.1:1\n- unix:/tmp\n")) },
		"flow":     func() (*Config, error) { return LoadFile(write(t, "listen: ['127.0.0.1:1', unix:/tmp]\n")) },
	} {
		c, err := load()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Equal(c.Listen, want) {
			t.Errorf("%s: %q", name, c.Listen)
		}
	}
}

func TestRules(t *testing.T) {
	c, err := LoadFile(write(t, `
rules:
  - name: prices
    match:
      tables: [prices, "shop.offer_*"]
      database: app
    ttl: 5s
  - match: {user: metabase, tables: big}
    max_result: 2MiB
    consistency: ttl
  - {name: ledger, match: {schema: ledger}, cache: never}
`))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Policy.Rules
	if len(r) != 3 || r[0].Name != "prices" || r[0].TTL != 5*time.Second || r[0].Match.Database != "app" ||
		!slices.Equal(r[0].Match.Tables, []string{"prices", "shop.offer_*"}) {
		t.Errorf("%+v", r)
	}
	if r[1].Match.User != "metabase" || r[1].MaxResult != 2<<20 || r[1].Consistency == nil ||
		*r[1].Consistency != cachepolicy.TTL || !slices.Equal(r[1].Match.Tables, []string{"big"}) {
		t.Errorf("%+v", r[1])
	}
	if r[2].Cache != cachepolicy.CacheNever || r[2].Match.Schema != "ledger" {
		t.Errorf("%+v", r[2])
	}
}

func TestDeclarations(t *testing.T) {
	c, err := LoadFile(write(t, `
functions:
  - {name: audit.*, effects: none}
  - name: refresh
    reads: orders
    writes: [public.totals, "log_*"]
  - name: rate
    reads: [rates]
    cache: true
triggers:
  - name: orders_audit
    table: public.orders
    effects: none
  - {name: "*", writes: log}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &catalog.Declarations{
		Functions: []catalog.FunctionDeclaration{
			{Name: "audit.*", Effects: catalog.EffectsNone},
			{Name: "refresh", Reads: []string{"orders"}, Writes: []string{"public.totals", "log_*"}},
			{Name: "rate", Reads: []string{"rates"}, Cache: true},
		},
		Triggers: []catalog.TriggerDeclaration{
			{Name: "orders_audit", Table: "public.orders", Effects: catalog.EffectsNone},
			{Name: "*", Writes: []string{"log"}},
		},
	}
	if !reflect.DeepEqual(c.Policy.Declared, want) {
		t.Errorf("%+v", c.Policy.Declared)
	}
	other, err := LoadFile(write(t, "functions: [{name: f, effects: none}]\ntriggers: [{name: g, effects: none}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if applied, restart := Changed(c, other); !slices.Equal(applied, []string{"functions", "triggers"}) || len(restart) > 0 {
		t.Errorf("changed %v %v", applied, restart)
	}
}

func TestShares(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "off": 0, "0%": 0, "0.1%": 0.001, "0.1 %": 0.001, ".5%": 0.005, "0.001": 0.001, "0.07%": 0.0007, "100%": 1, "0.000001%": 1e-8,
	} {
		for source, load := range map[string]func() (*Config, error){
			"flag":     func() (*Config, error) { return Load([]string{"--verify", text}, noEnv) },
			"variable": func() (*Config, error) { return Load(nil, env("PGRECALL_VERIFY", text)) },
			"file":     func() (*Config, error) { return LoadFile(write(t, "cache:\n  verify: "+text+"\n")) },
		} {
			c, err := load()
			if err != nil || math.Abs(c.Verify-want) > want/1e9 {
				t.Errorf("%s %s: %v, %v", source, text, c, err)
			}
		}
	}
	for share, want := range map[float64]string{0: "0", 0.001: "0.1%", 0.0007: "0.07%", 1: "100%", 1e-8: "0.000001%", 1.0 / 3: "33.3333333333%"} {
		if got := FormatShare(share); got != want {
			t.Errorf("%v: %s, want %s", share, got, want)
		}
	}
}

func TestFlagErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		env  []string
		want string
	}{
		{args: []string{"--l1-sise=1MiB"}, want: `unknown flag --l1-sise, did you mean "l1-size"?`},
		{args: []string{"--l1-size"}, want: "flag needs an argument: -l1-size"},
		{args: []string{"--l1-size=much"}, want: `--l1-size: "much" is not a size in bytes, such as 256MiB, 512kB or 1000`},
		{args: []string{"extra"}, want: `unexpected argument "extra"`},
		{env: []string{"PGRECALL_LOG_LEVEL", "loud"}, want: `PGRECALL_LOG_LEVEL: "loud" is not one of debug, info, warn, error`},
		{env: []string{"DATABASE_URL", "postgres://u:secret@h:port/d"}, want: `DATABASE_URL: not a DSN: `},
		{args: []string{"--upstream", "postgres://u:secret@h:port/d"}, want: `--upstream: not a DSN: `},
		{args: []string{"--upstream", "postgres://u:se cret@h:1/%zz"}, want: `--upstream: not a DSN: `},
		{args: []string{"--upstream", "host=h password=secret port=x"}, want: `--upstream: not a DSN: `},
		{args: []string{"--redis", "redis://:secret@"}, want: `--redis: not a Redis URL: a host is missing: want redis://host:port`},
		{args: []string{"--admin-token", "sec ret"}, want: `--admin-token: a token is made of printable ASCII without spaces`},
		{args: []string{"--tls-cert", "x"}, want: `tls.cert: needs tls.key, too`},
		{args: []string{"--tls-key", "x"}, want: `tls.key: needs tls.cert, too`},
	} {
		_, err := Load(test.args, env(test.env...))
		if err == nil {
			t.Errorf("%q: no error", test.args)
			continue
		}
		got := err.Error()
		if strings.HasSuffix(test.want, ": ") { // the cause is pgx's wording
			got = got[:min(len(got), len(test.want))]
		}
		if got != test.want {
			t.Errorf("%q %q:\n got %s\nwant %s", test.args, test.env, err, test.want)
		}
		for _, secret := range []string{"secret", "se cret", "sec ret"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: a secret shows: %v", test.args, err)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--l1-size=1MiB", "--help"}} {
		if _, err := Load(args, noEnv); !errors.Is(err, ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var b strings.Builder
	Usage(&b)
	for _, s := range settings() {
		for _, want := range []string{"--" + s.flag + " ", s.variable(), s.path} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %s in --help", want)
			}
		}
	}
}

func TestArgumentsBetweenFlags(t *testing.T) {
	c, rest, err := LoadArgs([]string{"SELECT 1", "--log-level=debug", "x", "--", "--y"}, noEnv)
	if err != nil || c.LogLevel != "debug" || !slices.Equal(rest, []string{"SELECT 1", "x", "--y"}) {
		t.Errorf("%+v %q %v", c, rest, err)
	}
}

func TestChangedTellsWhatNeedsARestart(t *testing.T) {
	old, err := LoadFile(write(t, "log: {level: info}\nrules: [{ttl: 5s}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := LoadFile(write(t, "log: {level: debug}\nlisten: 127.0.0.1:1\ncache: {default_ttl: 1s, l1_size: 1GiB}\nrules: [{ttl: 6s}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	applied, restart := Changed(old, next)
	if want := "[cache.default_ttl log.level rules]"; fmt.Sprint(applied) != want {
		t.Errorf("applied %v, want %v", applied, want)
	}
	if want := "[listen cache.l1_size]"; fmt.Sprint(restart) != want {
		t.Errorf("restart %v, want %v", restart, want)
	}
	if a, r := Changed(old, old); len(a)+len(r) > 0 {
		t.Errorf("%v %v", a, r)
	}
}

func TestUnreadableFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none.yaml")
	_, err := LoadFile(name)
	if want := name + ": cannot read the file: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	dir := t.TempDir()
	if _, err = LoadFile(dir); err == nil || err.Error() != dir+": cannot read the file: is a directory" {
		t.Errorf("got %v", err)
	}
	if _, err = LoadFile(write(t, strings.Repeat("#", maxFile+1))); err == nil || !strings.HasSuffix(err.Error(), "the file is larger than 512KiB") {
		t.Errorf("got %v", err)
	}
}

func TestPlace(t *testing.T) {
	name := write(t, "cache:\n  default_ttl: 5s\n  max_result: 1kB\nrules:\n  - match:\n      tables: [a, b]\n    ttl: 5s\n")
	c, err := Load([]string{"--config", name, "--default-ttl", "6s"}, func(v string) string {
		return map[string]string{"PGRECALL_MAX_RESULT": "2kB"}[v]
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"rules[0].match.tables[1]": name + ":6",
		"rules[0].ttl":             name + ":7",
		"rules[0].consistency":     name + ":5", // not given: the rule
		"rules[0]":                 name + ":5",
		"cache.default_ttl":        "--default-ttl:0",
		"cache.max_result":         "PGRECALL_MAX_RESULT:0",
		"log.level":                ":0",
	} {
		if source, line := c.Place(path); fmt.Sprintf("%s:%d", source, line) != want {
			t.Errorf("%s: %s:%d, want %s", path, source, line, want)
		}
	}
	if source, line := Defaults().Place("rules[0]"); source != "" || line != 0 {
		t.Errorf("of nothing: %s:%d", source, line)
	}
}
