package fleet

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// busy is what a busy machine may add to a time.
const busy = 200 * time.Millisecond

// TestHangOfL2IsPaidOnce: the first miss after Redis began to hang waits 50 ms, the others nothing.
func TestHangOfL2IsPaidOnce(t *testing.T) {
	server := pgtest.StartRedis(t)
	f := start(t, setup{members: 1, level: cachepolicy.Session, server: server})
	through, direct := f.connect(0), f.dial(f.upstream)
	l2 := func() (hangs, opened uint64) {
		s := f.members[0].Status().L2.Store
		return s.Hangs, s.Opened
	}
	constant := 0
	misses := func(c *pgx.Conn) spread {
		var l latencies
		for range 200 {
			constant++
			took, err := timed(func(ctx context.Context) error {
				var n int
				return c.QueryRow(ctx, "SELECT n + "+strconv.Itoa(constant)+" FROM c0").Scan(&n)
			})
			check(t, err)
			l.add(took)
		}
		return l.take()
	}
	misses(through)
	t.Logf("with L2: %v", misses(through))
	hangs, opened := l2()
	check(t, server.Pause())
	defer func() { check(t, server.Resume()) }()
	first, err := timed(func(ctx context.Context) error {
		var n int
		return through.QueryRow(ctx, "SELECT n - 1 FROM c0").Scan(&n)
	})
	check(t, err)
	_, nowOpened := l2()
	t.Logf("the first: %v", first)
	const hang = 50 * time.Millisecond
	if first > hang+busy || nowOpened > opened+1 || f.members[0].Status().L2.Store.Up {
		t.Errorf("the first miss took %v; the breaker opened %d times", first, nowOpened-opened)
	}
	straight, hanging := misses(direct), misses(through)
	t.Logf("straight: %v", straight)
	t.Logf("while Redis hangs: %v", hanging)
	if hanging.at(.5) > 3*straight.at(.5)+5*time.Millisecond || hanging.at(.99) > straight.at(.99)+hang {
		t.Errorf("misses take %v while Redis hangs; straight %v", hanging, straight)
	}
	// One batch of writes, for which nobody waits, may have been under way.
	if again, _ := l2(); again > hangs+2 {
		t.Errorf("%d statements waited for Redis", again-hangs)
	}
}
