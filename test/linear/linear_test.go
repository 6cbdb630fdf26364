package linear

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(listenVariable) != "" {
		os.Exit(beProcess())
	}
	os.Exit(m.Run())
}

// defaultLength is that of a run as part of all tests.
const defaultLength = 12 * time.Second

func TestLinearizability(t *testing.T) {
	seed := uint64(time.Now().UnixNano() / 1e6)
	if text := os.Getenv("PGRECALL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	length, least := defaultLength, 0.1 // a short run on a busy machine spends much of its time without the catalog
	if text := os.Getenv("PGRECALL_LINEAR"); text != "" {
		var err error
		least = 0.3
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PGRECALL_SEED=%d", seed)
	r := newRun(t, seed)
	for number := 0; number == 0 || time.Since(r.began) < length; number++ {
		r.window(number)
	}
	outcomes, err := r.process.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.workers {
		w.session.close()
	}
	for _, p := range r.pools {
		p.Close()
	}
	if err := r.process.end(); err != nil {
		t.Errorf("pgrecall: %v", err)
	}
	log, err := os.ReadFile(r.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"DATA RACE", "panic:", "level=ERROR"} {
		if strings.Contains(string(log), word) {
			t.Errorf("pgrecall's log has %q:\n%s", word, log)
		}
	}
	t.Log(r.summary(outcomes))
	if rate := hitRate(outcomes); rate < least {
		t.Errorf("PGRECALL_SEED=%d: a hit rate of %.1f%% proves little about hits", seed, 100*rate)
	}
}
