package main

import (
	"strings"
	"testing"
)

const pgbench15 = `pgbench (15.14 (Debian 15.14-0+deb12u1))
transaction type: select.sql
scaling factor: 1
query mode: prepared
number of clients: 8
number of threads: 2
maximum number of tries: 1
duration: 5 s
number of transactions actually processed: 123456
number of failed transactions: 0 (0.000%)
latency average = 0.324 ms
initial connection time = 12.345 ms
tps = 24691.202153 (without initial connection time)
`

const pgbench13 = `transaction type: select.sql
scaling factor: 1
query mode: simple
number of clients: 8
number of threads: 2
duration: 5 s
number of transactions actually processed: 1000
latency average = 1.500 ms
tps = 190.000000 (including connections establishing)
tps = 200.500000 (excluding connections establishing)
`

func TestParsePgbench(t *testing.T) {
	tests := []struct {
		name   string
		report string
		want   pgbenchResult
	}{
		{"version 15", pgbench15, pgbenchResult{transactions: 123456, perSecond: 24691.202153, latencyMs: 0.324}},
		{"version 13", pgbench13, pgbenchResult{transactions: 1000, perSecond: 200.5, latencyMs: 1.5}},
	}
	for _, test := range tests {
		got, err := parsePgbench([]byte(test.report))
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestParsePgbenchRefuses(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"nothing", pgbench15, ""},
		{"no rate", "tps = 24691.202153", "tps = nan"},
		{"no latency", "latency average", "latency"},
		{"no transactions line", "number of transactions actually", "number of actually"},
		{"no transaction at all", "processed: 123456", "processed: 0"},
		{"failed transactions", "failed transactions: 0", "failed transactions: 3"},
	}
	for _, test := range tests {
		if got, err := parsePgbench([]byte(strings.ReplaceAll(pgbench15, test.old, test.new))); err == nil {
			t.Errorf("%s: got %+v, want an error", test.name, got)
		}
	}
}
