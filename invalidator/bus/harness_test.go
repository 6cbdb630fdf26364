package bus

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = 20 * time.Second

// fleet is some proxies, as far as the bus knows of them, with one Redis and one PostgreSQL.
type fleet struct {
	t     testing.TB
	redis *pgtest.Redis
	lease time.Duration
	log   int64
	lax   bool // who is added is not strict
	pg    register
	all   []*proxy
}

// register stands for PostgreSQL as the census sees it.
type register struct {
	mu       sync.Mutex
	living   map[Process]bool
	running  map[Process]bool // transactions that a dead process left behind
	backends map[uint32]bool  // of writes
	asked    int              // how often what runs was asked for
	within   time.Duration    // of the last question
	failing  bool
}

// proxy is one member with what it caches.
type proxy struct {
	*Bus
	view       *view
	client     *redis.Client
	link       *link
	slots      *invalidator.Slots
	everything atomic.Int64
	told       atomic.Int64
	flushed    atomic.Int64
	fleet      *fleet
}

func (p *proxy) Invalidated(Tags) {}

func (p *proxy) Changed(Tags) { p.told.Add(1) }

func (p *proxy) Flushed(Tags) { p.flushed.Add(1) }

func (p *proxy) Everything() {
	p.everything.Add(1)
	for slot := range invalidator.Slot(slotCount) {
		p.slots.Bump(slot)
	}
}

// link is a member's way to Redis, which can be cut.
type link struct {
	mu    sync.Mutex
	cut   bool
	to    string // another server than the fleet's
	conns map[net.Conn]bool
}

// divert lets a member find another server at the address.
func (l *link) divert(address string) {
	l.set(true)
	l.mu.Lock()
	l.to = address
	l.mu.Unlock()
	l.set(false)
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errors.New("cut")
	}
	if l.to != "" {
		address = l.to
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		l.conns[conn] = true
	}
	return conn, err
}

func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for conn := range l.conns {
		if cut {
			_ = conn.Close()
			delete(l.conns, conn)
		}
	}
}

func newFleet(t testing.TB, members int, arguments ...string) *fleet {
	f := &fleet{t: t, redis: pgtest.StartRedis(t, arguments...), lease: time.Second}
	f.pg = register{living: map[Process]bool{}, running: map[Process]bool{}, backends: map[uint32]bool{}}
	for range members {
		f.add()
	}
	for _, p := range f.all {
		p.awaitLive()
	}
	return f
}

// add starts a proxy without waiting for it.
func (f *fleet) add() *proxy {
	f.t.Helper()
	l := &link{conns: map[net.Conn]bool{}}
	p := &proxy{slots: invalidator.NewSlots(), fleet: f, link: l, view: &view{fleet: f}}
	p.client = redis.NewClient(&redis.Options{Addr: f.redis.Address(), ContextTimeoutEnabled: true, Dialer: l.dial, MaxRetries: 1})
	var err error
	p.Bus, err = Join(Options{
		Redis: p.client, Namespace: "test", Slots: p.slots, Applier: p, Census: p.view, Strict: !f.lax, Lease: f.lease, LogLength: f.log,
		Logger: slog.New(slog.NewTextHandler(f.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})).With("proxy", len(f.all)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.pg.mu.Lock()
	f.pg.living[p.Process()] = true
	f.pg.mu.Unlock()
	f.all = append(f.all, p)
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Leave(ctx) // Redis may be dead
		_ = p.client.Close()
	})
	return p
}

// view is one process's way to PostgreSQL.
type view struct {
	*fleet
	hangs atomic.Bool
	looks atomic.Int64 // that were answered
}

func (f *fleet) Connect(context.Context) error { return nil }

func (v *view) Living(ctx context.Context) ([]Process, error) {
	if v.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	defer v.looks.Add(1)
	return v.fleet.Living(ctx)
}

func (f *fleet) Living(context.Context) ([]Process, error) {
	f.pg.mu.Lock()
	defer f.pg.mu.Unlock()
	if f.pg.failing {
		return nil, errors.New("no PostgreSQL")
	}
	var list []Process
	for p := range f.pg.living {
		list = append(list, p)
	}
	return list, nil
}

func (f *fleet) Open(_ context.Context, within time.Duration) (func(context.Context) (bool, error), error) {
	f.pg.mu.Lock()
	defer f.pg.mu.Unlock()
	f.pg.asked++
	f.pg.within = within
	open := maps.Clone(f.pg.running)
	return func(context.Context) (bool, error) {
		f.pg.mu.Lock()
		defer f.pg.mu.Unlock()
		for t := range open {
			if f.pg.running[t] {
				return false, nil
			}
		}
		return true, nil
	}, nil
}

func (f *fleet) BackendGone(_ context.Context, _ string, backend uint32, _ time.Time) (bool, error) {
	f.pg.mu.Lock()
	defer f.pg.mu.Unlock()
	return !f.pg.backends[backend], nil
}

func (f *fleet) change(do func(*register)) {
	f.pg.mu.Lock()
	defer f.pg.mu.Unlock()
	do(&f.pg)
}

// kill ends a proxy as SIGKILL does: nothing is said to anybody. PostgreSQL learns of it unless it hangs on.
func (p *proxy) kill(known bool) {
	p.cancel()
	p.link.set(true)
	if known {
		p.fleet.change(func(r *register) { delete(r.living, p.Process()) })
	}
}

func (p *proxy) awaitLive() {
	p.fleet.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !p.AwaitLive(ctx) {
		p.fleet.t.Fatalf("not live: %+v", p.Stats())
	}
}

// await waits until what the bus tells satisfies a test.
func (p *proxy) await(what string, satisfied func() bool) {
	p.fleet.t.Helper()
	give := time.NewTimer(patience)
	defer give.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !satisfied() {
		select {
		case <-look.C:
		case <-give.C:
			p.fleet.t.Fatalf("%s: not within %v: %+v", what, patience, p.Stats())
		}
	}
}

func (p *proxy) fenced(oid uint32) bool {
	return invalidator.Fenced(p.slots.Load(p.slots.Relation("db", oid)))
}

// fence announces a write that is awaited.
func (p *proxy) fence(oid uint32) *Token {
	p.fleet.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	t, ok := p.Fence(ctx, Tags{Database: "db", Relations: []uint32{oid}, Backend: oid}, true)
	if !ok {
		p.fleet.t.Fatalf("a write is stuck: %+v", p.Stats())
	}
	return t
}

// at returns the position.
func (p *proxy) at() invalidator.Position {
	p.fleet.t.Helper()
	var at invalidator.Position
	p.await("a position", func() (ok bool) { at, ok = p.Position(); return ok })
	return at
}

func (p *proxy) fresh(at invalidator.Position, oid uint32) bool {
	return p.Fresh(at, []invalidator.Slot{p.slots.Database("db"), p.slots.Relation("db", oid)})
}
