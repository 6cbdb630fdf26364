package report

import (
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/admin"
)

// hostile is a name that breaks out of whatever does not escape it.
const hostile = "x\"><script>alert('1')</script>\n- name: \x1b[31mevil\u202e</svg>--> ${{.}} `#"

// counted returns what a statement counts in shadow mode: reads of which so many miss, at a millisecond each.
func counted(reads, misses int64, each float64) admin.Counts {
	would := reads - misses
	return admin.Counts{
		Misses: misses, Bypasses: would, WouldHits: would, Seconds: float64(reads) * each, WouldSecondsSaved: float64(would) * each,
		OverheadSeconds: float64(misses) * 40e-6, Kept: misses, FilledBytes: misses * 2048,
	}
}

func worthOf(c *admin.Counts, origin, hit float64) *admin.Worth {
	over := c.OverheadSeconds / float64(max(c.Misses, 1))
	w := &admin.Worth{Origin: origin, Miss: origin + over, Hit: hit, HitRate: float64(c.WouldHits+c.Hits) / float64(c.WouldHits+c.Hits+c.Misses+c.Differed)}
	w.BreakEven = over / (w.Miss - hit)
	w.Pays = w.HitRate > w.BreakEven
	return w
}

// day is a day of shadow mode in front of a shop, with something of everything.
func day() Input {
	from := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	in := Input{Status: admin.Status{
		Version: "v1.2.3", Upstream: "db.internal:5432", Started: from, Now: from.Add(24 * time.Hour), Cache: "shadow",
		Verifications: map[string]uint64{"same": 2_800_000, "different": 3, "inconclusive": 40},
		Doubts:        []admin.Doubt{}, Stopped: []admin.Stopped{},
		Tiers: []admin.Tier{{Name: "l1", Entries: 41_000, Bytes: 90 << 20, LimitBytes: 256 << 20, Evictions: map[string]uint64{"size": 0}}},
	}}
	in.Traffic.Policy = admin.Policy{
		DefaultTTL: "60s", MaxResult: "1MiB", Consistency: "strict",
		Rules: []admin.RuleText{
			{Name: "ledger", Match: admin.MatchText{Schema: "ledger"}, Cache: "never"},
			{Name: "prices \"of\" today", Match: admin.MatchText{Tables: []string{"price_*"}, User: "metabase"}, TTL: "5s", StaleIfError: "10m", MaxResult: "8MiB", Consistency: "ttl"},
		},
		Functions: []admin.Declared{{Name: "exchange_rate", Reads: []string{"public.rates"}, Cache: true}},
		Triggers:  []admin.Declared{{Name: "orders_search", Table: "public.orders", Writes: []string{"public.search_index"}}},
	}
	var totals admin.Counts
	shape := func(n int, query string, c admin.Counts, each float64, tables ...string) *admin.Statement {
		s := admin.Statement{Fingerprint: fmt.Sprintf("%016x", 0xa0+n), Database: "shop", Query: query, Tables: tables, Last: in.Status.Now, Counts: c}
		if c.Misses >= 10 {
			s.Worth = worthOf(&c, each, 15e-6)
		}
		in.Traffic.Statements = append(in.Traffic.Statements, s)
		add(&totals, &c)
		return &in.Traffic.Statements[len(in.Traffic.Statements)-1]
	}
	country := counted(900_000, 1_300, .0004)
	country.RenewedUnchanged = 1_250
	shape(1, "select code, name from country order by name", country, .0004, "public.country")
	product := counted(1_400_000, 90_000, .0021)
	product.Invalidated, product.RenewedUnchanged = 2_000, 70_000
	shape(2, "select * from product where id = $1", product, .0021, "public.product")
	joined := counted(400_000, 30_000, .0089)
	joined.Invalidated = 25_000
	shape(3, "select o.id, o.total, c.name from orders o join country c on c.code = o.country where o.customer = $1 order by o.id desc limit $2", joined, .0089, "public.country", "public.orders")
	event := counted(220_000, 219_900, .0001)
	shape(4, "select count(*) from event where session = $1", event, .0001, "public.event")
	stock := counted(80_000, 60_000, .0006)
	stock.Invalidated, stock.WouldHits, stock.Differed = 58_000, stock.WouldHits-3, 3
	shape(5, "select quantity from stock where product = $1", stock, .0006, "public.stock")
	odd := counted(5_000, 400, .003)
	shape(6, "select * from \""+hostile+"\" where a = $1", odd, .003, "public."+hostile)
	late := admin.Counts{Bypasses: 20_417, Seconds: 912.4}
	shape(7, "select id, total from orders where placed_at > now() - $1", late, 0, "public.orders")
	report := counted(900, 45, 1.4)
	report.FilledBytes = report.Kept * 600 << 10
	shape(8, "select * from monthly_report($1)", report, 1.4, "public.orders", "public.product").RowSecurity = true
	call := admin.Counts{Writes: 12, Seconds: .4}
	shape(9, "", call, 0).WholeWrites = 12
	imported := admin.Counts{Writes: 96_000, Seconds: 80}
	shape(10, "update stock set quantity = $1 where product = $2", imported, 0, "public.stock")
	rates := counted(20_000, 2_000, .0004)
	rates.RenewedUnchanged, rates.RenewedChanged = 1_700, 40
	shape(11, "select rate from rates where currency = $1", rates, .0004, "public.rates")
	settings := counted(40, 5, .0004)
	shape(12, "select value from setting where key = $1", settings, .0004, "public.setting")

	writes := map[string]int64{"public.orders": 61_000, "public.product": 700, "public.event": 2_400_000, "public.stock": 96_000, "public.audit": 50_000}
	byTable := map[string]*admin.Counts{"public.audit": {}}
	for i := range in.Traffic.Statements {
		s := &in.Traffic.Statements[i]
		for _, name := range s.Tables {
			if byTable[name] == nil {
				byTable[name] = &admin.Counts{}
			}
			add(byTable[name], &s.Counts)
		}
	}
	for name, c := range byTable {
		c.Writes = writes[name]
		t := admin.Table{Database: "shop", Name: name, Counts: *c}
		if c.Misses >= 10 {
			t.Worth = worthOf(c, (c.Seconds-c.WouldSecondsSaved)/float64(c.Misses), 15e-6)
		}
		in.Traffic.Tables = append(in.Traffic.Tables, t)
	}
	totals.Writes += 2_610_000
	totals.Seconds += 1_900
	in.Traffic.Rules = []admin.Rule{{Name: "", Counts: totals}, {Name: "ledger", Counts: admin.Counts{Bypasses: 7_000, Seconds: 12}}}
	in.Uncached = []admin.Uncached{
		{Fingerprint: "00000000000000a7", Database: "shop", Query: "select id, total from orders where placed_at > now() - $1", Reason: "stable_function", Detail: "now",
			Meaning: "A STABLE function may read the clock.", Change: "Pass the time as a parameter, rounded.", Count: 20_417, Seconds: 912.4},
		{Fingerprint: "00000000000000b1", Database: "shop", Query: "select shipping_cost($1)", Reason: "volatile_function", Detail: "shop.shipping_cost",
			Meaning: "A volatile function may return something else, or write, at each call.", Change: "Declare it under functions in the configuration.", Count: 9_000, Seconds: 41},
		{Fingerprint: "00000000000000b2", Database: "shop", Query: "select * from \"" + hostile + "\"", Reason: "result_too_large",
			Meaning: "The result is larger than what is kept.", Change: "Raise max_result, in a rule for this statement.", Count: 12, Seconds: 30},
	}
	return in
}
