package cachepolicy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

func TestCompileNamesEveryDefect(t *testing.T) {
	p := Policy{
		Rules: []Rule{
			{Name: "a", TTL: -time.Second, MaxResult: -1},
			{Name: "a", Cache: "sometimes"},
			{Cache: CacheNever, TTL: time.Second, Match: Match{Tables: []string{"ok", "", "a.b.c", ".x", " y"}}},
			{Match: Match{Fingerprint: "xyz", Query: "  "}},
		},
	}
	err := p.Compile()
	var paths []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var defect *RuleError
		if !errors.As(e, &defect) {
			t.Fatalf("%T", e)
		}
		paths = append(paths, defect.Path)
	}
	want := []string{
		"default_ttl", "max_result", "rules[0].ttl", "rules[0].max_result", "rules[1].cache", "rules[1].name", "rules[2].ttl",
		"rules[2].match.tables[1]", "rules[2].match.tables[2]", "rules[2].match.tables[3]", "rules[2].match.tables[4]",
		"rules[3].match.fingerprint", "rules[3].match.query",
	}
	if !slices.Equal(paths, want) {
		t.Errorf("paths\n%s\nwant\n%s", strings.Join(paths, "\n"), strings.Join(want, "\n"))
	}
	if text := err.Error(); !strings.Contains(text, `rules[2].match.tables[2]: must be table or schema.table: "a.b.c"`) {
		t.Error(text)
	}
}

func TestPolicyFromYAML(t *testing.T) {
	p := Default()
	err := yaml.UnmarshalWithOptions([]byte(`
default_ttl: 5m
max_result: 512kB
consistency: session
rules:
- name: audit
  match: {tables: [audit_*, sales.*], user: app}
  cache: never
- match: {fingerprint: 00ff, query: "select * from t%"}
  ttl: 10s
  max_result: 4096
  consistency: ttl
`), &p, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Compile(); err != nil {
		t.Fatal(err)
	}
	if p.DefaultTTL != 5*time.Minute || p.MaxResult != 512<<10 || p.Consistency != Session || len(p.Rules) != 2 {
		t.Errorf("%+v", p)
	}
	if r := p.Rules[0]; r.Cache != CacheNever || !slices.Equal(r.Match.Tables, []string{"audit_*", "sales.*"}) || r.Consistency != nil {
		t.Errorf("%+v", r)
	}
	if r := p.Rules[1]; r.TTL != 10*time.Second || r.MaxResult != 4096 || *r.Consistency != TTL || r.Match.fingerprint != 0xff {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"consistency: weak", "max_result: 3 apples", "max_result: -1", "defaultttl: 1s"} {
		p := Default()
		if err := yaml.UnmarshalWithOptions([]byte(bad), &p, yaml.Strict()); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "17": 17, "1kB": 1024, "1 KiB": 1024, "2MB": 2 << 20, "2mib": 2 << 20, "3G": 3 << 30, "1TiB": 1 << 40, "5 B": 5,
	} {
		var b, again Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v, want %d", text, b, err, want)
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%d printed as %s was read as %d, %v", b, b, again, err)
		}
	}
	for _, text := range []string{"", "kB", "1.5MB", "-1", "9999999999GiB", "1 PB", "0x10"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, b)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"orders", "orders", true},
		{"orders", "orders2", false},
		{"", "", true},
		{"", "x", false},
		{"*", "", true},
		{"audit_*", "audit_", true},
		{"audit_*", "audit_log", true},
		{"audit_*", "my_audit_log", false},
		{"*_log", "a_log_log", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXcYb", false},
		{"**x**", "x", true},
		{"ord?rs", "orders", false},
		{"[a]", "a", false},
	} {
		if got := catalog.Glob(tc.pattern, tc.s); got != tc.want {
			t.Errorf("catalog.Glob(%q, %q) = %v", tc.pattern, tc.s, got)
		}
	}
}

func TestGlobTakesNoExponentialTime(t *testing.T) {
	if catalog.Glob(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 20000)) {
		t.Error("matched")
	}
}

func TestFirstMatchingRuleDecides(t *testing.T) {
	orders := &catalog.Relation{OID: 20000, Schema: "public", Name: "orders", Kind: 'r'}
	leads := &catalog.Relation{OID: 20001, Schema: "sales", Name: "leads", Kind: 'v'}
	stmt := parser.Analyze("SELECT * FROM orders, sales.leads WHERE id = 17")
	weak := TTL
	base := subject{
		stmt: stmt, scope: &Scope{Database: "shop", CurrentUser: "app"}, snapshot: &catalog.Snapshot{},
		named: []*catalog.Relation{orders, leads}, all: []uint32{20000, 20001},
	}
	rule := func(m Match) Rule { return Rule{Match: m, TTL: time.Second, MaxResult: 7, Consistency: &weak} }
	for _, tc := range []struct {
		match Match
		want  bool
	}{
		{Match{}, true},
		{Match{Tables: []string{"orders"}}, true},
		{Match{Tables: []string{"nothing", "lea*"}}, true},
		{Match{Tables: []string{"sales.*"}}, true},
		{Match{Tables: []string{"public.leads"}}, false},
		{Match{Tables: []string{"ORDERS"}}, false},
		{Match{Schema: "sales"}, true},
		{Match{Schema: "sales", Tables: []string{"orders"}}, false},
		{Match{Database: "shop"}, true},
		{Match{Database: "shop", User: "admin"}, false},
		{Match{User: "a*"}, true},
		{Match{Fingerprint: "1"}, false},
		{Match{Query: "SELECT *  FROM orders, sales.leads WHERE id = $1"}, true},
		{Match{Query: "*from ORDERS*"}, true},
		{Match{Query: "*17*"}, false},
	} {
		p := Policy{DefaultTTL: time.Minute, MaxResult: 1000, Rules: []Rule{rule(tc.match), {Name: "last", Cache: CacheNever}}}
		if err := p.Compile(); err != nil {
			t.Fatal(err)
		}
		s := base
		d := p.decide(&s)
		if tc.want && (d.Verdict != Cache || d.Rule != &p.Rules[0] || d.TTL != time.Second || d.MaxResult != 7 || d.Consistency != TTL) {
			t.Errorf("%+v: %+v", tc.match, d)
		}
		if !tc.want && (d.Verdict != Bypass || d.Reason != ReasonRuleNever || d.Detail != "last") {
			t.Errorf("%+v: %+v", tc.match, d)
		}
	}

	p := Policy{DefaultTTL: time.Minute, MaxResult: 1000, Consistency: Session, Rules: []Rule{{Match: Match{User: "other"}}}}
	s := base
	if d := p.decide(&s); d.Rule != nil || d.TTL != time.Minute || d.MaxResult != 1000 || d.Consistency != Session || d.Verdict != Cache {
		t.Errorf("without a rule: %+v", d)
	}
}
