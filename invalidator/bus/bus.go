package bus

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/redis/go-redis/v9"
)

// Defaults of Options.
const (
	DefaultLease     = time.Second
	DefaultLogLength = 100_000
	DefaultHang      = 50 * time.Millisecond
)

// Applier is told what other proxies did. Its methods are called in the log's order, must not block, and must not call the Bus.
type Applier interface {
	// Changed is called before the entries under the tags of another proxy's event become invalid, where definitions, settings or the cluster
	// changed.
	Changed(Tags)
	// Everything invalidates all entries of all databases, and the catalogs.
	Everything()
	// Invalidated is called after an event of another proxy has made entries under its tags invalid, for counting.
	Invalidated(Tags)
	// Flushed sees to it that no entry which was filled until now and fits Tags.Flush is served from now on.
	Flushed(Tags)
}

// Census asks PostgreSQL about the processes of the fleet. Each of them holds a proof of life in it, a session advisory lock whose key is its
// Process, from before its first write until after its last. Its methods may be called by several goroutines.
type Census interface {
	// Connect returns when PostgreSQL can be asked, or why it can't be. It may take longer than a lease.
	Connect(ctx context.Context) error
	// Living returns the processes whose proof of life the server shows now. This process's own is among them only if it was shown without a
	// break since the call before: others may have looked in the break, and taken it for dead.
	Living(ctx context.Context) ([]Process, error)
	// Open notes the transactions that are open, and have been for less than a time (0: for any), whoever has them: a process that is dead may have
	// left them behind. What it returns tells whether they are over, and is called by one goroutine at a time.
	Open(ctx context.Context, within time.Duration) (over func(ctx context.Context) (bool, error), err error)
	// BackendGone tells whether a backend that there was at some time has ended: one that idles may still have the write to read.
	BackendGone(ctx context.Context, database string, backend uint32, then time.Time) (bool, error)
}

// Options are what Join needs. Redis, Namespace, Slots and Applier have no defaults.
type Options struct {
	// Redis is the caller's and outlives the Bus. Its option ContextTimeoutEnabled should be set. One of its connections is always busy.
	Redis redis.UniversalClient
	// Namespace tells upstream servers apart: proxies with one namespace are a fleet.
	Namespace string
	Slots     *invalidator.Slots
	Applier   Applier
	// Census may be nil: then a member that fell silent without a Leave keeps the others from being Live until it is back or Forget is called.
	Census Census
	// Strict makes the writes of all members wait for this process, and its own for others. Live is always false without it.
	Strict bool
	// Lease bounds how long a strict write of others may wait for this process after it died. All proxies of a fleet must agree: who comes with
	// another one does not become a member.
	Lease time.Duration
	// LogLength is about how many events Redis keeps.
	LogLength int64
	// Hang is how long a caller waits for Redis where waiting is not needed for safety, once; then nobody does until Redis answers.
	Hang   time.Duration
	Logger *slog.Logger
}

// Bus is this process's part in the fleet. All methods may be called from any goroutine.
type Bus struct {
	Options
	process Process
	scripts scripts
	keys    []string // the hash and the log
	clock   clock
	history history
	live    deadline
	down    atomic.Bool // Redis has hung and not answered since
	counts  counts

	nudge  chan struct{} // the next beat is wanted now
	queued chan struct{} // the queue is not empty
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	left   bool        // this process says that it writes nothing any more
	member *membership // nil while this process is no member
	joins  uint32      // tries
	// reached is the last event that this process has applied, over holds epochs that it has seen end.
	reached invalidator.Position
	over    []uint64
	// witnessed is the epoch in which this process is a witness.
	witnessed string
	changed   chan struct{}
	number    uint64
	own       map[uint64]*Token
	pending   map[uint64]reach // what of history.pending belongs to which change
	remote    map[token]*remoteFence
	cluster   int // fences of others that concern all databases
	queue     []*queued
	// isolations counts what this process did without the log: the others have to be told when it joins.
	isolations, announced uint64
	received              time.Duration // when Redis last confirmed the membership
	began                 epochBegin
	census                census
	levels                levels
	stranger              stranger
}

// epochBegin is when this process first saw the current epoch.
type epochBegin struct {
	epoch uint64
	at    time.Duration
}

// token names a fence in the fleet.
type token struct {
	process Process
	number  uint64
}

func (t token) String() string { return fmt.Sprintf("%08x-%016x", uint32(t.process), t.number) }

// remoteFence is a fence of another process that is up here, too.
type remoteFence struct {
	epoch uint64 // the last in which it was announced
	fence *invalidator.Fence
	tags  Tags
	since time.Time
	at    time.Duration // since, on the bus's clock
	asked bool          // its end has been sent to the log by this process
	open  opened        // of runCensus alone
}

// Join makes this process a part of the fleet and returns at once: until Redis has answered it is no member, and Live is false. The context
// ends nothing; Leave does.
func Join(o Options) (*Bus, error) {
	if o.Redis == nil || o.Namespace == "" || o.Slots == nil || o.Applier == nil {
		return nil, errors.New("bus: Redis, namespace, slots and applier are needed")
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.LogLength <= 0 {
		o.LogLength = DefaultLogLength
	}
	if o.Hang <= 0 {
		o.Hang = DefaultHang
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	prefix := "pgrecall:{" + o.Namespace + "}:"
	ctx, cancel := context.WithCancel(context.Background())
	b := &Bus{
		Options: o, process: newProcess(), scripts: newScripts(), keys: []string{prefix + "fleet", prefix + "log"}, clock: clock{time.Now()},
		nudge: make(chan struct{}, 1), queued: make(chan struct{}, 1), changed: make(chan struct{}), cancel: cancel,
		own: make(map[uint64]*Token), pending: make(map[uint64]reach), remote: make(map[token]*remoteFence), census: newCensusState(),
	}
	b.live.clear()
	b.work.Go(func() { b.run(ctx) })
	b.work.Go(func() { b.runAppends(ctx) })
	b.work.Go(func() { b.runCensus(ctx) })
	return b, nil
}

// random returns 64 random bits, never 0.
func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return max(1, binary.BigEndian.Uint64(b[:]))
}

func newProcess() Process { return Process(max(1, random()>>32)) }

// Process returns the key of this process's proof of life. It is fixed.
func (b *Bus) Process() Process { return b.process }

// Live tells whether the cache may answer under strict: nothing that others did in a way that this process does not know can be visible. It
// takes no lock and allocates nothing. It must be asked before the entry's stamp is checked: see docs/consistency.md.
func (b *Bus) Live() bool { return b.live.ahead(&b.clock) }

// Listening tells whether this process is a member and Redis has answered the last time that it was asked: then what others did is known, or
// will be within a lease. It is no proof, as Live is, and holds without strict, too. It takes no lock and allocates nothing.
func (b *Bus) Listening() bool { return !b.down.Load() && b.history.position.Load() != nil }

// Position returns the place in the log up to which this process has applied everything; false while there is none. It must be taken before a
// query is sent upstream to say how new the answer is.
func (b *Bus) Position() (invalidator.Position, bool) {
	if p := b.history.position.Load(); p != nil {
		return *p, true
	}
	return invalidator.Position{}, false
}

// Fresh tells whether no event of the log after a position, among those that this process has applied when it is called, touches one of
// the slots; false where that can't be proved. It takes no lock and allocates nothing. Under strict, ask Live first.
func (b *Bus) Fresh(p invalidator.Position, slots []invalidator.Slot) bool {
	return b.history.fresh(p, slots)
}

// AwaitLive returns when Live is true, false when the context has ended before.
func (b *Bus) AwaitLive(ctx context.Context) bool {
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if b.Live() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// broadcast wakes all that wait for a change of what mu guards. The caller holds mu.
func (b *Bus) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// wake asks for a beat now.
func (b *Bus) wake() { signal(b.nudge) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var (
	errUnderWay = errors.New("the outcome of writes is unknown")
	errDoubts   = errors.New("another process may have written without the log, and the others need not know")
)

// Leave ends the membership in order. The proof of life must stay until Leave has returned. The context
// bounds how long Redis is waited for; without Redis the others find out by themselves. So they do when the outcome of a write is not known, and
// wait for its backend then. The Bus is of no use afterwards.
func (b *Bus) Leave(ctx context.Context) error {
	b.mu.Lock()
	m := b.member
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	b.live.clear()
	var err error
	if m != nil {
		b.flush(ctx)
		if err = b.writesNoMore(); err == nil {
			leave := event{kind: kindLeave, process: b.process}
			err = b.scripts.leave.Run(ctx, b.Redis, b.keys, m.epochText, m.id, random(), b.LogLength, leave.encode()).Err()
		}
	}
	b.cancel()
	b.mu.Lock()
	if b.member != nil {
		b.lose(b.member, "left")
	}
	b.mu.Unlock()
	b.work.Wait()
	if err != nil {
		return fmt.Errorf("leave the fleet: %w", err)
	}
	return nil
}

// writesNoMore ends writing for good, if there are no fences of this process's that nobody has released or whose end is not in the log, and
// nothing that only this process may know.
func (b *Bus) writesNoMore() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.own) > 0 || len(b.queue) > 0 {
		return errUnderWay
	}
	if b.doubts(b.clock.now()) {
		return errDoubts
	}
	b.left = true
	return nil
}

// flush waits until nothing is queued for the log.
func (b *Bus) flush(ctx context.Context) {
	for {
		b.mu.Lock()
		empty, changed := len(b.queue) == 0 || b.member == nil, b.changed
		b.mu.Unlock()
		if empty {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
