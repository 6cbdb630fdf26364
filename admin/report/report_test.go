package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/config"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

func render(t *testing.T, write func(io.Writer, *Report) error, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden: every form of the report of one day. `go test ./admin/report -update` writes them anew; look at the difference.
func TestGolden(t *testing.T) {
	r := Make(day())
	for name, write := range map[string]func(io.Writer, *Report) error{"day.txt": Text, "day.html": HTML, "day.yaml": YAML, "day.json": JSON} {
		got, file := render(t, write, r), filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is another one (-update writes it anew)", file)
		}
		if again := render(t, write, Make(day())); again != got {
			t.Errorf("%s: another one from the same figures", name)
		}
	}
}

// TestProposalIsAConfiguration: config accepts it, and it says what was proposed and what was in force.
func TestProposalIsAConfiguration(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"a day": func(*Input) {},
		"nothing": func(in *Input) {
			in.Traffic.Tables, in.Traffic.Statements, in.Traffic.Rules, in.Uncached = nil, nil, nil, nil
		},
		"no policy":     func(in *Input) { in.Traffic.Policy = admin.Policy{} },
		"two databases": func(in *Input) { in.Traffic.Tables[0].Database = hostile },
		"hostile rules": func(in *Input) {
			in.Traffic.Policy.Rules = []admin.RuleText{{Name: hostile, Match: admin.MatchText{Query: hostile, User: hostile, Database: "null", Schema: "1e3"}}, {Name: "", TTL: "5s"}}
			in.Traffic.Policy.Functions, in.Uncached[1].Detail = nil, hostile
		},
	} {
		in := day()
		change(&in)
		text := render(t, YAML, Make(in))
		file := filepath.Join(t.TempDir(), "pgrecall.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load([]string{"--config", file, "--upstream", "postgres://a:b@localhost/c"}, func(string) string { return "" })
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		rules := c.Policy.Rules
		find := func(name string) int {
			for i := range rules {
				if rules[i].Name == name {
					return i
				}
			}
			return -1
		}
		switch name {
		case "a day":
			guard, long := find("read together with those"), find("never written")
			if find("ledger") < 0 || guard < find("ledger") || long < guard || c.Cache != "shadow" || c.Verify != .001 || c.L1Size != 256<<20 {
				t.Errorf("%+v, %s, %v, %d", rules, c.Cache, c.Verify, c.L1Size)
			}
			if long >= 0 && (!slices.Equal(rules[long].Match.Tables, []string{"public.country"}) || !slices.Equal(rules[guard].Match.Tables, []string{"public.orders"})) {
				t.Errorf("%+v", rules)
			}
			if p := rules[find(`prices "of" today`)]; p.Match.User != "metabase" || p.StaleIfError == 0 || p.Consistency == nil || p.MaxResult != 8<<20 {
				t.Errorf("%+v", p)
			}
			if d := c.Policy.Declared; len(d.Functions) != 1 || len(d.Triggers) != 1 || !d.Functions[0].Cache {
				t.Errorf("%+v", d)
			}
		case "hostile rules":
			if i := find(hostile); i < 0 || rules[i].Match.Query != hostile || rules[i].Match.User != hostile || rules[i].Match.Database != "null" || rules[i].Match.Schema != "1e3" {
				t.Errorf("%+v", rules)
			}
		}
		for i := range rules {
			if p := &rules[i]; p.Consistency != nil && p.Name != `prices "of" today` {
				t.Errorf("%s: a weaker consistency is proposed: %+v", name, p)
			}
		}
	}
}

// TestHostileNames: nothing in names and texts leads an output astray.
func TestHostileNames(t *testing.T) {
	in := day()
	in.Traffic.Policy.Rules[0].Name = hostile
	in.Traffic.Statements[0].Rule, in.Status.Version = hostile, hostile
	in.Status.Doubts = []admin.Doubt{{Fingerprint: hostile, Tables: hostile}}
	r := Make(in)
	page := render(t, HTML, r)
	for _, bad := range []string{"<script", "\x1b", "\u202e", "alert('1')"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, asks := range []string{`src=`, `href=`, `url\(`, `https?:`, `@import`, `<link`, `<iframe`} {
		if at := regexp.MustCompile(asks).FindStringIndex(page); at != nil {
			t.Errorf("the page may ask for something: %s", page[at[0]:min(at[1]+40, len(page))])
		}
	}
	for name, text := range map[string]string{"text": render(t, Text, r), "yaml": render(t, YAML, r)} {
		if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\n- name: \x1b") {
			t.Errorf("%s: %q", name, text)
		}
	}
	for l := range strings.Lines(render(t, Text, Make(day()))) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > 120 {
			t.Errorf("%d columns: %s", n, l)
		}
	}
	var back Report
	if err := json.Unmarshal([]byte(render(t, JSON, r)), &back); err != nil || len(back.Tables) != len(r.Tables) || back.Summary != r.Summary {
		t.Errorf("%v %+v", err, back.Summary)
	}
}

// TestAdvice: what is said of each kind of table, and what is proposed for it.
func TestAdvice(t *testing.T) {
	r := Make(day())
	for name, want := range map[string]struct {
		verdict Verdict
		advice  string
	}{
		"public.country": {Pays, "ttl: 1h"},
		"public.orders":  {Pays, "keep as it is"},
		"public.event":   {Loses, "cache: never"},
		"public.stock":   {Differs, "cache: never, until the cause is found"},
		"public.audit":   {OnlyWritten, "nothing to cache"},
		"public.rates":   {Pays, "send its writes through pgrecall, or give it a shorter TTL"},
	} {
		i := slices.IndexFunc(r.Tables, func(t Table) bool { return t.Name == name })
		if i < 0 || r.Tables[i].Verdict != want.verdict || r.Tables[i].Advice != want.advice {
			t.Errorf("%s: %+v", name, r.Tables)
		}
	}
	if r.Risks[0].Severity != Wrong || !strings.Contains(r.Risks[0].What, "3 answers would have been wrong") || r.Risks[len(r.Risks)-1].Kind != "writes_past" {
		t.Errorf("%+v", r.Risks)
	}
	kinds := map[string]bool{}
	for _, risk := range r.Risks {
		kinds[risk.Kind] = true
	}
	for _, kind := range []string{"differed", "changed_unseen", "consistency", "stale", "declared_cacheable", "declared_effects", "whole_database", "row_security", "big_results", "writes_past"} {
		if !kinds[kind] {
			t.Errorf("no %s in %+v", kind, r.Risks)
		}
	}
	if s := r.Summary; s.SecondsSavedPerDay != s.SecondsSaved || s.SavedShare <= 0 || s.SavedShare >= 1 || s.Differed != 3 {
		t.Errorf("%+v", s)
	}
}

// TestLongerLifetimesNeedEvidence: without it they are for a person to decide, or not proposed at all.
func TestLongerLifetimesNeedEvidence(t *testing.T) {
	country := func(in *Input) (*admin.Table, *admin.Statement) {
		i := slices.IndexFunc(in.Traffic.Tables, func(t admin.Table) bool { return t.Name == "public.country" })
		return &in.Traffic.Tables[i], &in.Traffic.Statements[0]
	}
	for name, test := range map[string]struct {
		change func(*Input)
		active bool
		asked  bool
	}{
		"a day":           {func(*Input) {}, true, false},
		"an hour":         {func(in *Input) { in.Status.Started = in.Status.Now.Add(-leastWatched / 2) }, false, true},
		"too many shapes": {func(in *Input) { in.Traffic.Rest.Misses = 1_000_000 }, false, true},
		"one write": {func(in *Input) {
			table, _ := country(in)
			table.Writes = 1
		}, false, false},
		"changed unseen": {func(in *Input) {
			table, _ := country(in)
			table.RenewedChanged = 1
		}, false, false},
		"nothing compared": {func(in *Input) {
			_, s := country(in)
			s.RenewedUnchanged, s.WouldHits, s.Hits = 0, 0, s.WouldHits
		}, false, true},
		"written through another pgrecall": {func(in *Input) {
			table, _ := country(in)
			table.Invalidations = map[string]int64{"bus": 1}
		}, false, false},
		"defined anew": {func(in *Input) {
			table, _ := country(in)
			table.Invalidations = map[string]int64{"ddl": 1}
			in.Traffic.Tables = append(in.Traffic.Tables, admin.Table{Name: "*", Invalidations: map[string]int64{"ddl": 3}})
		}, true, false},
		"written by others": {func(in *Input) {
			_, s := country(in)
			s.Invalidated = s.WouldHits / 10
		}, false, false},
		"a rule of its own": {func(in *Input) {
			_, s := country(in)
			s.Rule = "countries"
		}, false, false},
		"only joined": {func(in *Input) {
			_, s := country(in)
			s.Tables = []string{"public.country", "public.orders"}
		}, false, false},
		"joined with what can't be named": {func(in *Input) { in.Traffic.Statements[2].Tables = []string{"public.country", "public.a*"} }, false, false},
		"another view of it that is written": {func(in *Input) {
			_, s := country(in)
			s.Tables = []string{"public.country", "public.product"}
		}, false, false},
	} {
		in := day()
		test.change(&in)
		var active, asked bool
		for _, rule := range Make(in).Proposal.Rules {
			if slices.ContainsFunc(rule.Tables, func(r RuleTable) bool { return r.Name == "public.country" }) && rule.TTL != "" && strings.HasPrefix(rule.Name, "never written") {
				active, asked = active || !rule.Ask, asked || rule.Ask
			}
		}
		if active != test.active || asked != test.asked {
			t.Errorf("%s: proposed %v, asked %v", name, active, asked)
		}
	}
}

// TestLosersInTablesThatPay: a table of which anything pays has rules for the shapes that lose, not for all of it; where there are too many, cache.auto.
func TestLosersInTablesThatPay(t *testing.T) {
	in := day()
	loser := in.Traffic.Statements[3]
	winner := in.Traffic.Statements[1]
	winner.Fingerprint, winner.Tables = "00000000000000ff", loser.Tables
	in.Traffic.Statements = append(in.Traffic.Statements, winner)
	find := func(r *Report) (n int) {
		for _, rule := range r.Proposal.Rules {
			if slices.ContainsFunc(rule.Tables, func(t RuleTable) bool { return t.Name == loser.Tables[0] }) && rule.Cache == "never" {
				t.Errorf("a table of which something pays: %+v", rule)
			}
			if rule.Cache == "never" && rule.Fingerprint != "" && rule.First && !rule.Ask {
				n++
			}
		}
		return n
	}
	if r := Make(in); find(r) != 1 || r.Proposal.Auto {
		t.Errorf("%+v", r.Proposal)
	}
	for range mostLosers {
		in.Traffic.Statements = append(in.Traffic.Statements, loser)
	}
	r := Make(in)
	if find(r) != mostLosers || !r.Proposal.Auto {
		t.Errorf("%+v", r.Proposal)
	}
	if text := render(t, YAML, r); !strings.Contains(text, "auto: true") || !strings.Contains(text, "fingerprint: \"00000000000000a4\"") {
		t.Error(text)
	}
}
