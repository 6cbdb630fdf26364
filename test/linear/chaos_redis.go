package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// sharedRedis is the server that the pgrecalls of a fleet share, with a link of its own for each.
type sharedRedis struct {
	server *pgtest.Redis
	links  []*faultnet.Proxy
	client *goredis.Client // past the links
	next   int             // the fault that comes next
}

func newRedis(tb testing.TB, links int) *sharedRedis {
	tb.Helper()
	r := &sharedRedis{server: pgtest.StartRedis(tb)}
	for range links {
		r.links = append(r.links, faultnet.Start(tb, r.server.Address()))
	}
	r.client = goredis.NewClient(&goredis.Options{Addr: r.server.Address(), MaxRetries: 1})
	tb.Cleanup(func() { _ = r.client.Close() })
	return r
}

// heal ends what is wrong with the links.
func (r *sharedRedis) heal() error {
	for _, l := range r.links {
		if err := l.Heal(); err != nil {
			return err
		}
	}
	return nil
}

// fleetFault is a way to lose Redis, or one's place in the fleet. It lasts for about so long.
type fleetFault struct {
	name string
	do   func(c *chaos, random *rand.Rand, lasts time.Duration) error
}

// link returns the link of a pgrecall that is chosen at random.
func (c *chaos) link(random *rand.Rand) *faultnet.Proxy {
	links := c.run.redis.links
	return links[random.IntN(len(links))]
}

// onLink makes a fault of one that is on for a while.
func onLink(harm func(l *faultnet.Proxy, random *rand.Rand)) func(*chaos, *rand.Rand, time.Duration) error {
	return func(c *chaos, random *rand.Rand, lasts time.Duration) error {
		l := c.link(random)
		harm(l, random)
		c.pause(lasts)
		return l.Heal()
	}
}

// again makes a fault of one that is over at once: it comes again and again.
func again(harm func(l *faultnet.Proxy, random *rand.Rand)) func(*chaos, *rand.Rand, time.Duration) error {
	return func(c *chaos, random *rand.Rand, lasts time.Duration) error {
		for began := time.Now(); time.Since(began) < lasts && c.ctx.Err() == nil; c.pause(time.Duration(random.IntN(40)) * time.Millisecond) {
			harm(c.link(random), random)
		}
		return c.run.redis.heal()
	}
}

// fleetFaults are all of them; a run goes through them in an order of its own.
func fleetFaults() []fleetFault {
	return []fleetFault{
		{"one pgrecall cut off from Redis", onLink(func(l *faultnet.Proxy, _ *rand.Rand) { l.Stall() })},
		{"one pgrecall refused by Redis", onLink(func(l *faultnet.Proxy, _ *rand.Rand) { l.Refuse() })},
		{"Redis slow for one pgrecall", onLink(func(l *faultnet.Proxy, random *rand.Rand) {
			l.Latency(time.Duration(1+random.IntN(100)) * time.Millisecond)
		})},
		{"Redis byte by byte for one pgrecall", onLink(func(l *faultnet.Proxy, random *rand.Rand) {
			l.Latency(100 * time.Microsecond)
			l.Pieces(1 + random.IntN(30))
		})},
		{"connections to Redis reset", again(func(l *faultnet.Proxy, _ *rand.Rand) { l.Reset() })},
		{"answers of Redis cut", again(func(l *faultnet.Proxy, random *rand.Rand) { l.CutOnce(random.IntN(600)) })},
		{"all cut off from Redis", (*chaos).cutAll},
		{"Redis paused", (*chaos).pauseRedis},
		{"Redis flushed", (*chaos).flushRedis},
		{"Redis killed, empty then", (*chaos).killRedis},
		{"Redis out of memory", (*chaos).fillRedis},
		{"Redis evicts", (*chaos).evictRedis},
		{"Redis rolled back", (*chaos).rollRedisBack},
		{"the log trimmed", (*chaos).trimLog},
		{"a pgrecall asleep", (*chaos).sleepProxy},
		{"a pgrecall killed while another has no Redis", (*chaos).killBeside},
		{"proofs of life lost while one has no Redis", (*chaos).loseProofs},
	}
}

// breakFleet does the next fault, waits until the fleet is whole again, and leaves it some time in which what is wrong with its caches shows.
func (c *chaos) breakFleet(random *rand.Rand) {
	r := c.run.redis
	faults := fleetFaults()
	f := faults[rand.New(rand.NewPCG(c.run.seed, uint64(r.next/len(faults)))).Perm(len(faults))[r.next%len(faults)]]
	r.next++
	lasts := time.Duration(random.Int64N(int64(lease) / 2))
	if random.IntN(2) == 0 {
		lasts += lease + time.Duration(random.Int64N(int64(3*lease/2)))
	}
	c.run.kills.note(f.name, lasts.String())
	if err := f.do(c, random, lasts); err != nil {
		c.run.fail("%s: %v", f.name, err)
	}
	c.run.kills.note("whole again", "")
	c.run.awaitReady(c.ctx, 4*lease)
	c.pause(lease / 2)
}

func (c *chaos) cutAll(_ *rand.Rand, lasts time.Duration) error {
	for _, l := range c.run.redis.links {
		l.Stall()
	}
	c.pause(lasts)
	return c.run.redis.heal()
}

func (c *chaos) pauseRedis(_ *rand.Rand, lasts time.Duration) error {
	if err := c.run.redis.server.Pause(); err != nil {
		return err
	}
	c.pause(lasts)
	return c.run.redis.server.Resume()
}

// flushRedis loses all data, sometimes while one pgrecall can't see it.
func (c *chaos) flushRedis(random *rand.Rand, lasts time.Duration) error {
	if random.IntN(2) == 0 {
		c.link(random).Stall()
		c.pause(lasts / 2)
	}
	err := c.run.redis.client.FlushAll(context.Background()).Err()
	c.pause(lasts / 2)
	if err != nil {
		return err
	}
	return c.run.redis.heal()
}

func (c *chaos) killRedis(_ *rand.Rand, lasts time.Duration) error {
	ctx := context.Background()
	if err := c.run.redis.server.Kill(ctx); err != nil {
		return err
	}
	c.pause(lasts / 2)
	return c.run.redis.server.Start(ctx)
}

// fillRedis lets Redis refuse to store anything.
func (c *chaos) fillRedis(_ *rand.Rand, lasts time.Duration) error {
	return c.limitRedis("noeviction", lasts)
}

// evictRedis lets Redis drop what it likes.
func (c *chaos) evictRedis(random *rand.Rand, lasts time.Duration) error {
	return c.limitRedis([]string{"allkeys-random", "volatile-lru", "allkeys-lru"}[random.IntN(3)], lasts)
}

func (c *chaos) limitRedis(policy string, lasts time.Duration) error {
	ctx := context.Background()
	set := func(maxmemory string) error {
		return c.run.redis.client.ConfigSet(ctx, "maxmemory", maxmemory).Err()
	}
	if err := c.run.redis.client.ConfigSet(ctx, "maxmemory-policy", policy).Err(); err != nil {
		return err
	}
	if err := set("1"); err != nil {
		return err
	}
	c.pause(lasts)
	return set("0")
}

// rollRedisBack brings the fleet's state and log back to what they were a while ago, as a replica does that was promoted too early, but under the
// same run id.
func (c *chaos) rollRedisBack(random *rand.Rand, lasts time.Duration) error {
	ctx := context.Background()
	client := c.run.redis.client
	names := []string{"pgrecall:{" + namespace + "}:fleet", "pgrecall:{" + namespace + "}:log"}
	dumps, err := client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		for _, name := range names {
			p.Dump(ctx, name)
		}
		return nil
	})
	if errors.Is(err, goredis.Nil) { // there is nothing yet: the fleet is joining
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy the fleet's state: %w", err)
	}
	c.pause(time.Duration(random.Int64N(int64(lasts) + 1)))
	_, err = client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		for i, name := range names {
			dump, _ := dumps[i].(*goredis.StringCmd)
			p.RestoreReplace(ctx, name, time.Hour, dump.Val())
		}
		return nil
	})
	return err
}

// trimLog loses the log's past, while one pgrecall may not have read it yet.
func (c *chaos) trimLog(random *rand.Rand, lasts time.Duration) error {
	c.link(random).Stall()
	c.pause(lasts / 2)
	if err := c.run.redis.client.XTrimMaxLen(context.Background(), "pgrecall:{"+namespace+"}:log", int64(random.IntN(2))).Err(); err != nil {
		return err
	}
	return c.run.redis.heal()
}

// sleepProxy stops a pgrecall for longer than its lease, and sometimes loses what Redis has meanwhile.
func (c *chaos) sleepProxy(random *rand.Rand, lasts time.Duration) error {
	p := c.run.processes[random.IntN(len(c.run.processes))]
	if err := p.sleep(); err != nil {
		return err
	}
	c.pause(lease + lasts/2)
	if random.IntN(4) == 0 {
		if err := c.run.redis.client.FlushAll(context.Background()).Err(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	c.pause(lasts / 2)
	return p.wake()
}

// killBeside kills a pgrecall while another, or it itself, is cut off from Redis.
func (c *chaos) killBeside(random *rand.Rand, lasts time.Duration) error {
	c.link(random).Stall()
	c.pause(lasts)
	if err := c.run.processes[random.IntN(len(c.run.processes))].restart(false); err != nil {
		return err
	}
	c.pause(lasts / 4)
	return c.run.redis.heal()
}

// loseProofs breaks the connections by which pgrecalls show PostgreSQL that they live, while one has no Redis.
func (c *chaos) loseProofs(random *rand.Rand, lasts time.Duration) error {
	c.link(random).Stall()
	for began := time.Now(); time.Since(began) < lasts && c.ctx.Err() == nil; c.pause(time.Duration(random.IntN(300)) * time.Millisecond) {
		relay := c.run.relays[random.IntN(len(c.run.relays))]
		for _, l := range relay.all(true) {
			l.cut(random.IntN(2) == 0)
		}
	}
	return c.run.redis.heal()
}
