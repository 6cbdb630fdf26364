package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// afterlife is how long a lock stays on a register after the next pgrecall is ready, at most: what it caches then must not outlive the
// write that waits.
const afterlife = 300 * time.Millisecond

// readyTimeout is how long the next pgrecall has to load the catalog. It may say that it is not ready for as long as the write waits.
const readyTimeout = time.Second

// restartProxy kills pgrecall, or a fleet's one in order, while a write waits for a lock: its backend outlives pgrecall, and commits in front of the empty cache of the
// next one. It returns once that one has served for a while.
func (c *chaos) restartProxy(random *rand.Rand) {
	key := random.IntN(keys)
	p := c.run.processes[random.IntN(len(c.run.processes))]
	inOrder := len(c.run.processes) > 1 && random.IntN(2) == 0
	c.lock(key, func() {
		ctx, cancel := context.WithTimeout(c.ctx, 500*time.Millisecond)
		defer cancel()
		c.awaitLocked(ctx, key)
		c.run.frozen.Store(int32(1 + key/rowsPerTable)) // no write of the next pgrecall's own tells it of the change
		c.run.hot.Store(int32(key))
		if inOrder {
			c.run.kills.count("pgrecall restarted in order")
		} else {
			c.run.kills.count("pgrecall killed")
		}
		if err := p.restart(inOrder); err != nil {
			c.run.fail("restart pgrecall: %v", err)
			return
		}
		began := time.Now()
		for !p.ready() && time.Since(began) < readyTimeout && c.pause(5*time.Millisecond) {
		}
		c.pause(time.Duration(random.Int64N(int64(afterlife))))
	})
	c.pause(afterlife)
	c.run.frozen.Store(0)
}

// abandonWrite cuts pgrecall off from the backends whose writes wait for a lock. They commit a while after pgrecall has lost them, and no other
// write tells it of the change. Sometimes its questions about them are cut off, too.
func (c *chaos) abandonWrite(random *rand.Rand) {
	key := random.IntN(keys)
	mute, after := random.IntN(4) == 0, random.IntN(1000)
	c.run.hot.Store(int32(key))
	c.lock(key, func() {
		ctx, cancel := context.WithTimeout(c.ctx, 500*time.Millisecond)
		defer cancel()
		waiting := c.awaitLocked(ctx, key)
		c.run.frozen.Store(int32(1 + key/rowsPerTable))
		for _, pid := range waiting {
			if l := c.run.linkOf(pid); l != nil {
				c.run.kills.note("upstream cut while a write waited", fmt.Sprint(pid))
				l.cut(false)
			}
		}
		if mute {
			c.harm(random, func(l *link) { l.arm(toClient, &fault{after: after, reset: true}) })
			for _, l := range c.run.links(true) {
				l.cut(true)
			}
		}
		c.run.hot.Store(int32(key))
		c.pause(time.Duration(random.Int64N(int64(afterlife))))
	})
	c.pause(afterlife)
	c.run.frozen.Store(0)
}

// awaitLocked waits until some client's backend waits for a lock on a register, or the context ends. It returns those that do.
func (c *chaos) awaitLocked(ctx context.Context, key int) (pids []uint32) {
	c.boss(func(_ context.Context, conn *pgx.Conn) error {
		for len(pids) == 0 {
			c.run.hot.Store(int32(key)) // somebody is to write it
			rows, err := conn.Query(ctx, `SELECT pid::int8`+clientBackends+` AND wait_event_type = 'Lock' AND query LIKE $1`, "%UPDATE "+tableOf(key)+" %")
			if err == nil {
				pids, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
			}
			if err != nil || len(pids) == 0 && !c.pause(2*time.Millisecond) {
				return err
			}
		}
		return nil
	})
	return pids
}

// crashServer ends the server in one of its ways and starts it again.
func (c *chaos) crashServer(random *rand.Rand) {
	ctx := context.Background()
	var err error
	switch random.IntN(4) {
	case 0:
		c.run.kills.note("server killed", "")
		if err = c.run.server.Kill(ctx); err == nil {
			err = c.run.server.Start(ctx)
		}
		for began := time.Now(); err != nil && time.Since(began) < quietTimeout; { // backends that are left hold the shared memory
			err = c.run.server.Start(ctx)
		}
	case 1:
		c.run.kills.note("server restarted", "")
		err = c.run.server.Restart(ctx)
	default: // the postmaster ends all others and recovers
		c.boss(func(ctx context.Context, conn *pgx.Conn) error {
			pid, err := c.victim(ctx, conn)
			if err == nil {
				c.run.kills.note("backend killed", fmt.Sprint(pid))
				err = syscall.Kill(pid, syscall.SIGKILL)
			}
			return err
		})
		c.run.awaitServer()
	}
	if err != nil {
		c.run.fail("the server: %v", err)
	}
}
