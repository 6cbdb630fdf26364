package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// kills counts, by kind, what was broken.
type kills struct {
	mu    sync.Mutex
	kinds map[string]int
	log   []string
	run   *run
}

func (k *kills) count(kind string) { k.note(kind, "") }

// note counts and remembers when it was.
func (k *kills) note(kind, detail string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kinds[kind]++
	k.log = append(k.log, fmt.Sprintf("%.3f\t%s %s\n", float64(k.run.now())/1e3, kind, detail))
}

// chaos is what breaks things during one window. Everything that it broke is whole again when stop returns.
type chaos struct {
	run  *run
	kind kind
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

// kind is what a window has besides cut connections.
type kind uint8

const (
	catalogLost kind = iota // pgrecall's own connections break and stall
	proxyKilled             // pgrecall is killed while a write waits, and started again
	serverDies              // the server crashes or is restarted
	redisFails              // and some pgrecall's place in the fleet is lost in other ways
	calm                    // nothing is broken at all
)

func (k kind) String() string {
	return [...]string{"catalog lost", "pgrecall killed", "server dies", "Redis fails", "calm"}[k]
}

// unleash starts the chaos of a window.
func (r *run) unleash(window int) *chaos {
	c := &chaos{run: r, kind: r.form.windows[window%len(r.form.windows)]}
	c.ctx, c.end = context.WithCancel(context.Background())
	if c.kind == calm {
		return c
	}
	tasks := []task{
		{40, 150, c.terminateBackend}, {20, 80, c.cancelBackend}, {30, 120, c.cutLink}, {100, 400, c.stallLink}, {100, 400, c.lockRow},
	}
	switch c.kind {
	case catalogLost:
		tasks = append(tasks, task{800, 2500, c.breakCatalog}, task{300, 600, c.abandonWrite})
	case serverDies:
		tasks = append(tasks, task{1000, 3000, c.crashServer})
	case redisFails:
		tasks = append(tasks, task{100, 300, c.breakFleet})
	}
	for i, t := range tasks {
		random := rand.New(rand.NewPCG(r.seed, uint64(1000+100*window+i)))
		c.work.Go(func() {
			for c.pause(time.Duration(t.least+random.IntN(t.most-t.least)) * time.Millisecond) {
				t.do(random)
			}
		})
	}
	return c
}

// task is done again and again, with pauses of so many milliseconds.
type task struct {
	least, most int
	do          func(*rand.Rand)
}

func (c *chaos) stop() {
	c.end()
	for _, r := range c.run.relays {
		if r.harm.Swap(nil) != nil {
			c.work.Done()
		}
	}
	c.work.Wait()
}

// pause waits; false when the window is over.
func (c *chaos) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.ctx.Done():
		return false
	}
}

// after does something later, at the end of the window at the latest.
func (c *chaos) after(d time.Duration, do func()) {
	c.work.Go(func() { c.pause(d); do() })
}

// boss runs a statement straight on the server, which may be down just then.
func (c *chaos) boss(use func(context.Context, *pgx.Conn) error) {
	c.bossFor(operationTimeout, use)
}

// bossFor is boss with a bound of its own.
func (c *chaos) bossFor(bound time.Duration, use func(context.Context, *pgx.Conn) error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.run.straight+" application_name=chaos")
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	_ = use(ctx, conn) // what is missed now is hit the next time
}

// clientBackends are those of pgrecall's clients.
const clientBackends = ` FROM pg_stat_activity WHERE datname = current_database() AND application_name = '' AND backend_type = 'client backend'`

// victim returns the process number of some backend that is working, if one is, else of any.
func (c *chaos) victim(ctx context.Context, conn *pgx.Conn) (pid int, err error) {
	spared := ""
	if table := c.run.frozen.Load(); table > 0 {
		spared = fmt.Sprintf("%%UPDATE register_%d %%", table-1)
	}
	err = conn.QueryRow(ctx, `SELECT pid`+clientBackends+` AND query NOT LIKE $1 ORDER BY state = 'idle', query NOT LIKE '%UPDATE%', random() LIMIT 1`, spared).Scan(&pid)
	return pid, err
}

func (c *chaos) terminateBackend(*rand.Rand) {
	c.boss(func(ctx context.Context, conn *pgx.Conn) error {
		pid, err := c.victim(ctx, conn)
		if err == nil {
			c.run.kills.note("backend terminated", fmt.Sprint(pid))
			_, err = conn.Exec(ctx, `SELECT pg_terminate_backend($1)`, pid)
		}
		return err
	})
}

func (c *chaos) cancelBackend(*rand.Rand) {
	c.boss(func(ctx context.Context, conn *pgx.Conn) error {
		pid, err := c.victim(ctx, conn)
		if err == nil {
			c.run.kills.note("statement cancelled", fmt.Sprint(pid))
			_, err = conn.Exec(ctx, `SELECT pg_cancel_backend($1)`, pid)
		}
		return err
	})
}

// cutLink makes a connection between pgrecall and the server break soon.
func (c *chaos) cutLink(random *rand.Rand) {
	links := c.run.links(false)
	if len(links) == 0 {
		return
	}
	l := links[random.IntN(len(links))]
	f := &fault{after: random.IntN(200), reset: random.IntN(2) == 0}
	if random.IntN(2) == 0 {
		c.run.kills.count("upstream cut from the server")
		f.after /= 2
		l.arm(toClient, f)
		return
	}
	if random.IntN(2) == 0 {
		c.run.kills.count("upstream cut to the server")
		l.arm(toServer, f)
		return
	}
	c.run.kills.count("upstream cut to the server, late delivery")
	late := make(chan struct{})
	f.late = late
	l.arm(toServer, f)
	c.after(time.Duration(20+random.IntN(200))*time.Millisecond, func() { close(late) })
}

func (c *chaos) stallLink(random *rand.Rand) {
	if links := c.run.links(false); len(links) > 0 {
		c.run.kills.count("upstream stalled")
		c.stall(links[random.IntN(len(links))], time.Duration(random.IntN(100))*time.Millisecond, random.IntN(2) == 0)
	}
}

// stall holds a link up for a while; with cut it breaks then.
func (c *chaos) stall(l *link, d time.Duration, cut bool) {
	resume := l.stall()
	c.after(d, func() {
		if cut {
			l.cut(true)
		}
		resume()
	})
}

// breakCatalog breaks or stalls the next connection of pgrecall's own: it keeps none for long.
func (c *chaos) breakCatalog(random *rand.Rand) {
	what := random.IntN(3)
	f := &fault{after: random.IntN(4000), reset: random.IntN(2) == 0}
	d := time.Duration(random.IntN(400)) * time.Millisecond
	c.harm(random, func(l *link) {
		switch what {
		case 0:
			c.run.kills.count("catalog connection cut to the server")
			l.arm(toServer, f)
		case 1:
			c.run.kills.count("catalog connection cut from the server")
			l.arm(toClient, f)
		default:
			c.run.kills.count("catalog connection stalled")
			c.stall(l, d, f.reset)
		}
	})
}

// harm does something to the next connection of pgrecall's own; where there are several, of one's.
func (c *chaos) harm(random *rand.Rand, do func(*link)) {
	c.work.Add(1)
	once := func(l *link) {
		defer c.work.Done()
		do(l)
	}
	if c.run.relays[random.IntN(len(c.run.relays))].harm.Swap(&once) != nil {
		c.work.Done() // nobody came for the last one
	}
}

// lockRow keeps writes of one register waiting, so that they meet what else happens.
func (c *chaos) lockRow(random *rand.Rand) {
	key := int(c.run.hot.Load())
	if random.IntN(2) == 0 {
		key = random.IntN(keys)
	}
	c.lock(key, func() { c.pause(time.Duration(random.IntN(80)) * time.Millisecond) })
}

// lock holds a lock on a register as long as the function takes.
func (c *chaos) lock(key int, during func()) {
	c.bossFor(quietTimeout, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "BEGIN; "+readText(key)+" FOR UPDATE", pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		c.run.kills.note("row locked", fmt.Sprint(key))
		during()
		_, err := conn.Exec(ctx, "ROLLBACK")
		return err
	})
}
