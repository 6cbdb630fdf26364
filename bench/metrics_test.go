package main

import (
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	page := `# HELP pgrecall_statements_total Statements.
# TYPE pgrecall_statements_total counter
pgrecall_statements_total{outcome="hit_l1"} 90
pgrecall_statements_total{outcome="hit_l2"} 5
pgrecall_statements_total{outcome="miss"} 1.5e+01 1700000000
pgrecall_odd{text="a } b"} 7
go_memstats_heap_alloc_bytes 1.048576e+06

not a sample
`
	samples, err := parseMetrics(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, label string
		want        float64
	}{
		{"pgrecall_statements_total", "", 110},
		{"pgrecall_statements_total", `outcome="hit_l1"`, 90},
		{"pgrecall_odd", "", 7},
		{"go_memstats_heap_alloc_bytes", "", 1 << 20},
		{"pgrecall_statements", "", 0},
	}
	for _, test := range tests {
		if got := sum(samples, test.name, test.label); got != test.want {
			t.Errorf("%s{%s}: got %v, want %v", test.name, test.label, got, test.want)
		}
	}
}
