package wire

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/test"
)

var update = flag.Bool("update", false, "write PostgreSQL's answers into the scripts")

// answersVersion is the major version of PostgreSQL whose answers stand in the scripts. Others
// word some messages differently; there only the ways are compared.
const answersVersion = "15"

// way is one of the ways in which each script is run.
type way struct {
	name    string
	passes  int
	proxied bool // each script has a pgrecall of its own in front of the server
	server  *pgtest.Server
	target  test.Target
}

// newWays starts three equal clusters.
func newWays(t *testing.T) []*way {
	t.Helper()
	ways := []*way{{name: "direct", passes: 1}, {name: "cold", passes: 1, proxied: true}, {name: "warm", passes: 2, proxied: true}}
	for _, w := range ways {
		// Replication is what pgrecall uses where it can; autovacuum changes definitions at its
		// own times.
		w.server = pgtest.Start(t, pgtest.WithConfig("wal_level = logical", "autovacuum = off"))
	}
	return ways
}

func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/wire/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d scripts: %v", len(paths), err)
	}
	ways := newWays(t)
	for i, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			runScript(t, ways, path, fmt.Sprintf("script_%d", i))
		})
	}
}

// runScript runs a script in all ways and compares the transcripts.
func runScript(t *testing.T, ways []*way, path, database string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	alignOIDs(ctx, t, ways)
	for _, w := range ways {
		w.target = test.Direct{Server: w.server}
		if w.proxied {
			w.target = test.Proxied(t, w.server)
		}
	}
	transcripts := make([][]entry, len(ways))
	failures := make([]error, len(ways))
	var wait sync.WaitGroup
	for i, w := range ways {
		wait.Go(func() { transcripts[i], failures[i] = w.play(ctx, s, database) })
	}
	wait.Wait()
	for i, w := range ways {
		if failures[i] != nil {
			t.Errorf("%s: %v", w.name, failures[i])
		}
		if difference := compare(s, transcripts[0], transcripts[i]); difference != "" {
			t.Errorf("%s differs from direct: %s", w.name, difference)
		}
	}
	if ways[0].server.Version() != answersVersion {
		return
	}
	outputs := briefs(transcripts[0])
	if *update && failures[0] == nil {
		if err := os.WriteFile(path, []byte(s.update(outputs)), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if difference := compareGolden(s, outputs); difference != "" {
		t.Error(difference)
	}
}

// play prepares a database and runs the script in it. Roles that a script makes stay: each
// script uses names of its own.
func (w *way) play(ctx context.Context, s *script, database string) (_ []entry, err error) {
	if err := w.server.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return nil, err
	}
	defer func() {
		drop := w.server.Exec(context.WithoutCancel(ctx), "postgres", "DROP DATABASE "+database+" WITH (FORCE)")
		err = errors.Join(err, drop)
	}()
	if len(s.steps) > 0 && s.steps[0].verb == verbSetup {
		if err := w.server.Exec(ctx, database, strings.Join(s.steps[0].input, "\n")); err != nil {
			return nil, fmt.Errorf("setup: %w", err)
		}
	}
	_, counts := w.target.(test.HitCounter)
	r := &run{script: s, target: w.target, database: database, passes: w.passes, checkHits: counts && w.passes > 1}
	return r.play(ctx)
}

// alignOIDs brings the clusters' counters of OIDs to the same value, so that a script's
// relations have the same OIDs everywhere. A new large object takes an OID each.
func alignOIDs(ctx context.Context, t *testing.T, ways []*way) {
	t.Helper()
	oids := make([]int, len(ways))
	highest := 0
	for i, w := range ways {
		oids[i] = takeOIDs(ctx, t, w.server, 1)
		highest = max(highest, oids[i])
	}
	for i, w := range ways {
		if oids[i] < highest {
			if got := takeOIDs(ctx, t, w.server, highest-oids[i]); got != highest {
				t.Fatalf("%s: OID %d, expected %d", w.name, got, highest)
			}
		}
	}
}
