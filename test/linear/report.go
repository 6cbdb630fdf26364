package linear

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

func splitHostPort(address string) (host, port string, err error) { return net.SplitHostPort(address) }

// report fails the test, with all that is known kept on disk, if a register has no explanation.
func (r *run) report(histories *[keys][]operation, verdicts *[keys]verdict) {
	r.tb.Helper()
	r.failMutex.Lock()
	failures := slices.Clone(r.failures)
	r.failMutex.Unlock()
	for key := range keys {
		switch verdicts[key].CheckResult {
		case porcupine.Illegal:
			text := fmt.Sprintf("key %d is not linearizable", key)
			if read, newer := stale(r.contents[key], histories[key]); read != nil {
				text += ":\n  " + strings.TrimSpace(read.line())
				if newer != nil {
					text += "\nafter\n  " + strings.TrimSpace(newer.line())
				} else {
					text += "\nis of a value that never was"
				}
			}
			failures = append(failures, text)
		case porcupine.Unknown:
			failures = append(failures, fmt.Sprintf("key %d: %d operations could not be checked within %s", key, len(histories[key]), checkTimeout))
		}
	}
	if len(failures) == 0 {
		return
	}
	dir, err := r.keep(histories, verdicts)
	if err != nil {
		r.tb.Errorf("keep the history: %v", err)
	}
	r.tb.Fatalf("PGRECALL_SEED=%d: %s\nkept in %s", r.seed, strings.Join(failures, "\n"), dir)
}

// keep writes histories, porcupine's pictures of what has no explanation, what was broken when, and pgrecall's log to a new directory.
func (r *run) keep(histories *[keys][]operation, verdicts *[keys]verdict) (string, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("pgrecall-linear-%d-", r.seed))
	if err != nil {
		return "", err
	}
	write := func(name, text string) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
	}
	for key := range keys {
		history := slices.Clone(histories[key])
		slices.SortFunc(history, func(a, b operation) int { return int(a.call - b.call) })
		var b strings.Builder
		fmt.Fprintf(&b, "# microseconds of call and return; the register held %d\n", r.contents[key])
		for i := range history {
			b.WriteString(history[i].line())
		}
		write(fmt.Sprintf("key-%d.tsv", key), b.String())
		if err == nil && verdicts[key].CheckResult == porcupine.Illegal {
			err = porcupine.VisualizePath(verdicts[key].model, verdicts[key].info, filepath.Join(dir, fmt.Sprintf("key-%d.html", key)))
		}
	}
	r.kills.mu.Lock()
	write("chaos.tsv", strings.Join(r.kills.log, ""))
	r.kills.mu.Unlock()
	for i, file := range r.logs {
		log, readErr := os.ReadFile(file.Name())
		write(fmt.Sprintf("pgrecall-%d.log", i), string(log))
		if err == nil {
			err = readErr
		}
	}
	return dir, err
}

// hitRate is the share of all reads that the cache answered, from 0 to 1.
func hitRate(outcomes map[string]int64) float64 {
	hits := outcomes["hit_l1"] + outcomes["hit_l2"]
	return float64(hits) / float64(max(1, hits+outcomes["miss"]+outcomes["bypass"]))
}

// summary tells what a run did.
func (r *run) summary(outcomes map[string]int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d reads, %d writes (%d of unknown outcome); hit rate %.1f%%; porcupine took %.1fs, %.1fs for the slowest window",
		r.seed, r.reads, r.writes, r.unsure, 100*hitRate(outcomes), r.checking.Seconds(), r.slowest.Seconds())
	if all := outcomes[moments]; all > 0 && !r.form.session {
		fmt.Fprintf(&b, "; certain of the others %.1f%% of the time", 100*float64(outcomes[momentsLive])/float64(all))
	}
	if r.order != nil {
		fmt.Fprintf(&b, "\nhow long older values were read after a write was acknowledged, nothing broken: %s", histogram(r.order.staleness(true)))
		fmt.Fprintf(&b, "\nand while things broke: %s\nall pgrecalls had the last values within %s", histogram(r.order.staleness(false)), r.order.slow.Round(time.Millisecond))
	}
	b.WriteString("\nwhat became of statements:")
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintf(&b, "\n%8d %s", outcomes[name], name)
	}
	b.WriteString("\nbroken:")
	r.kills.mu.Lock()
	defer r.kills.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(r.kills.kinds)) {
		fmt.Fprintf(&b, "\n%8d %s", r.kills.kinds[kind], kind)
	}
	return b.String()
}
