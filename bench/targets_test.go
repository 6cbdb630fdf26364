package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

func oneRound(peer, build string, role role, rate, cpu float64) *cell {
	return &cell{Peer: peer, Build: build, Mode: "simple", role: role, Rounds: []measurement{{
		PerSecond: number(rate), CPUMicros: number(cpu), LatencyMs: 1, HitPercent: 100,
	}}}
}

// sampleReport has a pgrecall that reaches every target but the pass-through by a rule.
func sampleReport() *report {
	nan := math.NaN()
	return &report{
		Modes: []string{"simple"},
		Cells: []*cell{
			oneRound("direct", "", roleDirect, 100, nan),
			oneRound("floor", "", roleFloor, 400, 10),
			oneRound("relay", "", roleRelay, 80, 40),
			oneRound("pgrecall", "pgrecall", roleHit, 300, 15),
			oneRound("pgrecall/scraped", "pgrecall", roleScraped, 300, 16),
			oneRound("pgrecall/off", "pgrecall", rolePassThrough, 80, 40),
			oneRound("pgrecall/never", "pgrecall", rolePassThrough, 80, 41),
			oneRound("pgpool", "", roleOther, 90, 50),
		},
		Memory: []memory{{Peer: "pgrecall", build: true, Entries: 100, EntryBytes: 599, EntryHeapBytes: 500, IdleBytes: number(nan)}},
		Stale:  []stale{{Peer: "pgrecall", Reads: 10, HitPercent: 50}, {Peer: "pgpool", Reads: 10, Stale: 3}},
	}
}

func TestTargets(t *testing.T) {
	r := sampleReport()
	want := map[string]string{
		"hit CPU x floor, simple":                         reached,
		"hits per second x direct, simple":                reached,
		"pgrecall/off CPU x relay, simple":                reached,
		"pgrecall/never CPU x relay, simple":              notReached,
		"CPU with a scrape each second x without, simple": notReached,
		"bytes of a one-row entry":                        reached,
		"bytes of an idle client":                         notMeasured,
		"stale reads":                                     reached,
	}
	got := r.judge("pgrecall")
	if len(got) != len(want) {
		t.Errorf("got %d targets, want %d", len(got), len(want))
	}
	for _, target := range got {
		if target.Verdict != want[target.What] {
			t.Errorf("%s: got %q, want %q", target.What, target.Verdict, want[target.What])
		}
	}
}

func TestTargetsOfFailures(t *testing.T) {
	r := sampleReport()
	r.Cells[3].Rounds[0] = failure(errors.New("no"))
	r.Stale[0].Error = "no"
	r.Memory[0].EntryBytes = 600 // the limit is exclusive
	want := map[string]string{
		"hit CPU x floor, simple":          notMeasured,
		"hits per second x direct, simple": notMeasured,
		"stale reads":                      notMeasured,
		"bytes of a one-row entry":         notReached,
	}
	for _, target := range r.judge("pgrecall") {
		if verdict, listed := want[target.What]; listed && target.Verdict != verdict {
			t.Errorf("%s: got %q, want %q", target.What, target.Verdict, verdict)
		}
	}
}

func TestOnlyHitsCountAsHits(t *testing.T) {
	for _, percent := range []number{0, 98, number(math.NaN())} {
		r := sampleReport()
		r.Cells[3].Rounds[0].HitPercent = percent
		r.Stale[0].HitPercent = 0
		for _, target := range r.judge("pgrecall") {
			if strings.HasPrefix(target.What, "hit") || target.What == "stale reads" {
				if target.Verdict != notMeasured {
					t.Errorf("%v%% hits, %s: got %q, want %q", percent, target.What, target.Verdict, notMeasured)
				}
			}
		}
	}
}

func TestStaleReadsCountWhateverElseFailed(t *testing.T) {
	r := sampleReport()
	r.Stale[0] = stale{Peer: "pgrecall", Stale: 1, Error: "no", HitPercent: number(math.NaN())}
	all := r.judge("pgrecall")
	if last := all[len(all)-1]; last.Verdict != notReached {
		t.Errorf("got %+v", last)
	}
}

func TestReportIsPrintedAndStored(t *testing.T) {
	r := sampleReport()
	r.Missing = []missing{{Peer: "pgbouncer", Reason: errNotInstalled.Error()}}
	r.Cells = append(r.Cells, oneRound("old", "old", roleHit, 150, 30))
	r.Cells[6].Rounds[0] = failure(errors.New("no"))
	r.Targets = r.judge("pgrecall")
	var output bytes.Buffer
	if err := r.print(&output); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"missing: pgbouncer: not installed", "NOT REACHED", "1 of 1", "against pgrecall", "0.50"} {
		if !strings.Contains(output.String(), text) {
			t.Errorf("the table lacks %q:\n%s", text, &output)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err) // NaN is no JSON
	}
}
