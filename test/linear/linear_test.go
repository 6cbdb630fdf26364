package linear

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(settingsVariable) != "" {
		os.Exit(beProcess())
	}
	os.Exit(m.Run())
}

// Lengths of runs as part of all tests.
const (
	defaultLength = 12 * time.Second
	fleetRun      = 9 * time.Second
	sessionRun    = 7 * time.Second
)

// What a fleet has to answer from its caches at least, in each second of a run: a tenth of what it does on a machine with two processors that are
// busy with other tests.
const (
	leastL1 = 4.0
	leastL2 = 0.15
)

func TestLinearizability(t *testing.T) {
	least := map[string]float64{"hit rate": 0.1} // a short run on a busy machine spends much of its time without the catalog
	if isLong() {
		least["hit rate"] = 0.3
	}
	measure(t, form{processes: 1, windows: []kind{catalogLost, proxyKilled, serverDies}}, defaultLength, least)
}

// TestFleetLinearizability lets three pgrecalls share a Redis that fails.
func TestFleetLinearizability(t *testing.T) {
	least := map[string]float64{"hit_l1": leastL1, "hit_l2": leastL2, "live": 0.05}
	if isLong() {
		least["live"], least["faults"] = 0.2, 1
	}
	f := form{processes: 3, windows: []kind{redisFails, redisFails, proxyKilled, redisFails, redisFails, catalogLost, redisFails, redisFails, serverDies}}
	measure(t, f, fleetRun, least)
}

// TestFleetOwnWrites lets three pgrecalls, where consistency is session, share a Redis that fails.
func TestFleetOwnWrites(t *testing.T) {
	least := map[string]float64{"hit_l1": leastL1, "hit_l2": leastL2}
	if isLong() {
		least["faults"] = 1
	}
	f := form{processes: 3, session: true, windows: []kind{redisFails, calm, redisFails, proxyKilled, redisFails, calm, catalogLost, redisFails, redisFails, serverDies}}
	measure(t, f, sessionRun, least)
}

func isLong() bool { return os.Getenv("PGRECALL_LINEAR") != "" }

// measure does a run. What it has to show at least: the shares "hit rate" and "live", "hit_l1" and "hit_l2" for each second, and with "faults" each kind
// once, which a run of some minutes does.
func measure(t *testing.T, f form, length time.Duration, least map[string]float64) {
	seed := uint64(time.Now().UnixNano() / 1e6)
	if text := os.Getenv("PGRECALL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if isLong() {
		var err error
		if length, err = time.ParseDuration(os.Getenv("PGRECALL_LINEAR")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PGRECALL_SEED=%d", seed)
	r := newRun(t, f, seed)
	for number := 0; number == 0 || time.Since(r.began) < length; number++ {
		r.window(number)
	}
	outcomes := map[string]int64{}
	for _, p := range r.processes {
		now, err := p.status()
		if err != nil {
			t.Fatal(err)
		}
		add(outcomes, now)
	}
	for _, w := range r.workers {
		w.session.close()
	}
	for _, p := range r.pools {
		p.Close()
	}
	for i, p := range r.processes {
		if err := p.end(); err != nil {
			t.Errorf("pgrecall %d: %v", i, err)
		}
		log, err := os.ReadFile(r.logs[i].Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"DATA RACE", "panic:", "level=ERROR"} {
			if strings.Contains(string(log), word) {
				t.Errorf("the log of pgrecall %d has %q:\n%s", i, word, log)
			}
		}
	}
	t.Log(r.summary(outcomes))
	seconds := time.Since(r.began).Seconds()
	shown := map[string]float64{
		"hit rate": hitRate(outcomes), "hit_l1": float64(outcomes["hit_l1"]) / seconds, "hit_l2": float64(outcomes["hit_l2"]) / seconds,
		"live": float64(outcomes[momentsLive]) / float64(max(1, outcomes[moments])), "faults": 1,
	}
	for _, fault := range fleetFaults() {
		if r.kills.kinds[fault.name] == 0 {
			shown["faults"] = 0
		}
	}
	for what, want := range least {
		if shown[what] < want {
			t.Errorf("PGRECALL_SEED=%d: %s %.2f: that proves little, want %.2f", seed, what, shown[what], want)
		}
	}
}
