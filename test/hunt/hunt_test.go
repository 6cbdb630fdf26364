package hunt

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// Sizes of a run.
const (
	sessions    = 4
	turnsPerRun = 300
	readyWait   = 150 * time.Millisecond
	leastHits   = 15 // of a calm run; the others of its statements are misses, writes, blocks, errors
)

// fixedSeeds are run by every test.
var fixedSeeds = []uint64{1, 2, 3, 5, 7, 9, 11, 13}

func TestHunt(t *testing.T) {
	g := newGround(t)
	seeds := slices.Clone(fixedSeeds)
	if text := os.Getenv("PGRECALL_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	var until time.Time
	if text := os.Getenv("PGRECALL_HUNT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		until = time.Now().Add(d)
	}
	start := uint64(time.Now().Unix())
	compared := 0
	for i := uint64(0); i < uint64(len(seeds)) || time.Now().Before(until); i++ {
		seed := start + i
		if i < uint64(len(seeds)) {
			seed = seeds[i]
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { compared += run(t, g, seed) })
	}
	t.Logf("%d batches compared", compared)
}

// run plays one seed and returns the number of batches that were compared.
func run(t *testing.T, g *ground, seed uint64) int {
	f := g.field(t, fmt.Sprintf("hunt_%d", seed), schema)
	random := generator{rand.New(rand.NewPCG(seed, 0)), seed%2 == 1} // every other seed is calm
	twins := make([]*twin, sessions)
	for i := range twins {
		twins[i] = f.twin(t, fmt.Sprint("session ", i), "options", "-c lock_timeout=100ms")
	}
	due := make([][]batch, sessions)
	var history []string
	act := func(i int, b batch) {
		history = append(history, twins[i].name+": "+b.show())
		if difference := twins[i].exchange(b); difference != "" {
			t.Fatalf("PGRECALL_SEED=%d, batch %d:\n%s\n%s", seed, len(history), strings.Join(history[max(0, len(history)-25):], "\n"), difference)
		}
	}
	for range turnsPerRun {
		i := random.IntN(sessions)
		idle := !slices.ContainsFunc(twins, func(t *twin) bool { return t.direct.status != 'I' }) // no lock keeps the catalog from being loaded
		idle = idle && !slices.ContainsFunc(due, func(b []batch) bool { return len(b) > 0 })
		if idle && random.IntN(8) > 0 {
			_ = f.proxy.AwaitReady(readyWait) // loads come seldom where definitions change often
		}
		if len(due[i]) == 0 {
			due[i] = random.turns(twins[i].direct.status)
		}
		act(i, due[i][0])
		due[i] = due[i][1:]
	}
	for i := range twins {
		if len(due[i]) > 0 {
			act(i, due[i][0])
		}
		for range 2 { // out of a chain of transactions, too
			act(i, batch{[]pg.FrontendMessage{&pg.Query{String: "ROLLBACK"}}, wait{ready: 1}})
		}
	}
	for i, twin := range twins {
		act(i, batch{[]pg.FrontendMessage{&pg.Query{String: "SELECT pg_sleep(0)"}}, wait{ready: 1}})
		if !slices.Equal(twin.direct.notifications, twin.proxied.notifications) {
			t.Errorf("PGRECALL_SEED=%d: notifications %q, expected %q", seed, twin.proxied.notifications, twin.direct.notifications)
		}
	}
	if hits := f.proxy.Hits(); random.calm && hits < leastHits {
		t.Errorf("PGRECALL_SEED=%d: %d hits; %v", seed, hits, f.proxy.Reasons())
	} else {
		t.Logf("%d batches, %d hits; %v", len(history), hits, f.proxy.Reasons())
	}
	return len(history)
}
