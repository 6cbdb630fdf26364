package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/traffic"
)

// TestTrafficIsCounted: by shape, by table and by rule, whatever the protocol.
func TestTrafficIsCounted(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := start(t, "CREATE TABLE t AS SELECT generate_series(1, 10) AS id", "CREATE TABLE u (n int)")
		c := r.connect(parameters...)
		value(t, c, "SELECT count(*)::text FROM t")
		before := r.hits()
		for range 40 {
			value(t, c, "SELECT count(*)::text FROM t")
		}
		hits := r.hits() - before
		value(t, c, "SELECT random()::text FROM t LIMIT 1")
		mustExec(t, c, "UPDATE t SET id = id + 1")
		mustExec(t, c, "INSERT INTO u SELECT 1")
		flush(t, r, proxy.Selection{Table: "u"})
		flush(t, r, proxy.Selection{Table: "none"})
		mustExec(t, c, "CREATE TABLE made ()")

		shapes, _ := r.Shapes()
		find := func(query string) proxy.Shape {
			for _, s := range shapes {
				if s.Query == query {
					return s
				}
			}
			t.Fatalf("%s is not among %+v", query, shapes)
			return proxy.Shape{}
		}
		read := find("select count(*)::text from t")
		if read.Hits < hits || hits == 0 || read.Misses == 0 || read.Saved <= 0 || read.Asked <= 0 || read.Overhead <= 0 || read.Timed == 0 || read.HitTime <= 0 || read.Bytes <= 0 ||
			!slices.Equal(read.Tables, []string{"public.t"}) || read.Database != r.Database {
			t.Errorf("%d hits: %+v", hits, read)
		}
		if s := find("select random()::text from t limit $1"); s.Bypasses == 0 || s.BypassTime <= 0 || s.Hits != 0 {
			t.Errorf("%+v", s)
		}
		if s := find("update t set id = id + $1"); s.Writes != 1 || s.WriteTime <= 0 || !slices.Equal(s.Tables, []string{"public.t"}) {
			t.Errorf("%+v", s)
		}
		tables := r.Tables()
		if i := slices.IndexFunc(tables, func(t proxy.Table) bool { return t.Name == "public.t" }); i < 0 || tables[i].Hits != read.Hits || tables[i].Writes != 1 {
			t.Errorf("%+v", tables)
		}
		if i := slices.IndexFunc(tables, func(t proxy.Table) bool { return t.Name == "public.u" }); i < 0 || tables[i].Writes != 1 || tables[i].Reads() != 0 {
			t.Errorf("%+v", tables)
		}
		for name, want := range map[string][traffic.Sources]int64{
			"public.t": {traffic.InBand: 1}, "public.u": {traffic.InBand: 1, traffic.Admin: 1}, traffic.Everything: {traffic.DDL: 1},
		} {
			i := slices.IndexFunc(tables, func(t proxy.Table) bool { return t.Name == name })
			if i >= 0 && name == traffic.Everything { // a look at the catalog may have noticed what the harness made, too
				tables[i].Invalidations[traffic.DDL] = min(1, tables[i].Invalidations[traffic.DDL])
			}
			if i < 0 || tables[i].Invalidations != want {
				t.Errorf("%s: %+v, want %v", name, tables, want)
			}
		}
		series := map[string]float64{}
		families, err := r.Registerer.(prometheus.Gatherer).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				labels := []string{family.GetName()}
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				series[strings.Join(labels, " ")] = m.GetCounter().GetValue()
			}
		}
		id := fmt.Sprintf("%016x", read.Fingerprint)
		for name, want := range map[string]float64{
			"pgrecall_table_statements_total " + r.Database + " hit_l1 public.t":      float64(read.Hits),
			"pgrecall_table_statements_total " + r.Database + " write public.u":       1,
			"pgrecall_table_statements_total  hit_l1 other":                           0,
			"pgrecall_table_upstream_seconds_saved_total " + r.Database + " public.t": read.Saved.Seconds(),
			"pgrecall_table_invalidations_total " + r.Database + " admin public.u":    1,
			"pgrecall_rule_statements_total hit_l1 ":                                  float64(read.Hits),
			"pgrecall_shape_statements_total " + r.Database + " " + id + " hit_l1":    float64(read.Hits),
			"pgrecall_shape_upstream_seconds_total " + r.Database + " " + id:          read.Asked.Seconds(),
		} {
			if got, there := series[name]; !there || got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		if rules := r.Rules(); len(rules) != 1 || rules[0].Name != "" || rules[0].Hits != read.Hits {
			t.Errorf("%+v", rules)
		}
	})
}

// TestInvalidationsOfOthersAreCounted: by the table that they are of.
func TestInvalidationsOfOthersAreCounted(t *testing.T) {
	fleet, _ := startFleet(t, 2, true, "CREATE TABLE t AS SELECT 1 AS id")
	value(t, fleet[1].connect(), "SELECT id::text FROM t")
	mustExec(t, fleet[0].connect(), "UPDATE t SET id = 2")
	eventually(t, "the other has counted it", func() bool {
		return slices.ContainsFunc(fleet[1].Tables(), func(t proxy.Table) bool {
			return t.Name == "public.t" && t.Invalidations == [traffic.Sources]int64{traffic.Bus: 1}
		})
	})
}
