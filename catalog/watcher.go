package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DefaultInterval is the time between looks at the catalog where Options name none.
const DefaultInterval = 30 * time.Second

// Options configure a Watcher.
type Options struct {
	// Config is how to connect with pgrecall's own account. The Watcher works on a copy.
	Config   *pgx.ConnConfig
	Database string        // "" keeps Config's
	Interval time.Duration // between looks at the catalog; DefaultInterval when zero
	Logger   *slog.Logger  // slog.Default when nil

	// OnChange is called before a snapshot becomes visible that differs from the last one, after roles or memberships
	// changed, after the connection was lost, and after the server or database turned out to be another run or copy: it may have crashed
	// and emptied unlogged tables, or another may have taken its place that lacks the last transactions. It must invalidate everything of the
	// database before it returns. old is nil for the first snapshot; both may be the same.
	OnChange func(old, new *Snapshot)
	// OnSettings is called when settings or schemas of running sessions may have changed without their doing: the
	// configuration was reloaded, the server restarted, ALTER ROLE/DATABASE ... SET, roles, memberships or
	// definitions changed.
	OnSettings func()
}

// Watcher keeps a current snapshot of one database's definitions. Its methods may be called from any goroutine.
//
// It stays connected only while it looks and a moment longer, since a session of its own would keep a database from being dropped, renamed
// or copied.
//
// Definition changes that nobody announces by Invalidate are seen at the next look, an interval later at
// most. When the connection is lost the snapshot stays valid until two intervals after the last
// complete look, and is withdrawn then: definitions may have changed elsewhere since.
//
// The callbacks run on Run's goroutine, one at a time, and must not wait for the Watcher.
type Watcher struct {
	options  Options
	snapshot atomic.Pointer[Snapshot]
	latest   atomic.Pointer[Snapshot] // what Snapshot returns; written with mu held
	wake     chan struct{}            // holds one message: look now
	urgent   chan struct{}            // holds one message: somebody waits for the look
	reading  chan struct{}            // holds one message while a transaction of Run is open
	prober   prober
	pid      atomic.Uint32 // of the backend that Run uses

	mu         sync.Mutex
	generation uint64    // number of calls of Invalidate
	identity   identity  // of the last complete look
	looked     time.Time // when the last complete look began
	err        error
	expiry     *time.Timer   // withdraws the snapshot; nil before the first
	installed  chan struct{} // closed when a snapshot is installed; nil while nobody waits

	// The rest is Run's alone.
	last  *Snapshot // the last one that OnChange was told of
	state serverState
	seen  *seen // what the last look left for the next one, nil where nothing can be compared
	paced bool  // the last look was asked for by Invalidate
	// reloaded: the last look saw that the configuration was read again. The server tells its processes one after another; only a connection that
	// begins after that shows that all of them know.
	reloaded bool
	lost     bool // the connection was lost since the last look
}

// NewWatcher returns a Watcher that does nothing before Run.
func NewWatcher(options Options) *Watcher {
	if options.Interval <= 0 {
		options.Interval = DefaultInterval
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.OnChange == nil {
		options.OnChange = func(_, _ *Snapshot) {}
	}
	if options.OnSettings == nil {
		options.OnSettings = func() {}
	}
	options.Config = options.Config.Copy()
	if options.Database != "" {
		options.Config.Database = options.Database
	}
	options.Config.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is prepared: a pooler may stand between
	options.Config.RuntimeParams["application_name"] = "pgrecall"
	options.Config.RuntimeParams["client_encoding"] = "UTF8"
	options.Config.RuntimeParams["standard_conforming_strings"] = "on"
	return &Watcher{
		options: options, wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), reading: make(chan struct{}, 1),
		prober: prober{config: options.Config},
	}
}

// Snapshot returns the current snapshot, nil while none is valid. It costs one atomic load.
func (w *Watcher) Snapshot() *Snapshot { return w.snapshot.Load() }

// Latest returns the snapshot that was loaded last, even when it is stale, nil when there has been none. What it says was true once: it must
// never decide that an answer may come from the cache, or that a write touches less.
func (w *Watcher) Latest() *Snapshot { return w.latest.Load() }

// Invalidate marks the snapshot stale: Snapshot returns nil until a look that began after this call is
// complete. The look begins at once, unless others were asked for so often that they would burden the server.
func (w *Watcher) Invalidate() {
	w.mu.Lock()
	w.generation++
	w.snapshot.Store(nil)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Ready tells whether a snapshot is valid.
func (w *Watcher) Ready() bool { return w.Snapshot() != nil }

// Looked returns when the look began that the last snapshot was installed after, the zero time before the first.
func (w *Watcher) Looked() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looked
}

// Err returns why the last attempt to connect or look failed, nil when it did not.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Watcher) setErr(err error) {
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
}

// Bounds of the pauses between attempts to connect, and of the time that it takes to take leave of the server.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	endTimeout   = time.Second
)

// Run connects and watches until ctx ends; it returns nil after its connections are closed. It is called once.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.stop()
	backoff := firstBackoff
	for ctx.Err() == nil {
		looked, err := w.watch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil { // it left the database, and the next look is due
			backoff = firstBackoff
			continue
		}
		w.lost, w.seen = true, nil
		if missingDatabase(err) {
			w.withdraw(err)
			pause(ctx, w.wake, max(w.options.Interval, lastBackoff)) // CREATE DATABASE through pgrecall wakes
			continue
		}
		w.setErr(err)
		if looked {
			backoff = firstBackoff
		}
		w.options.Logger.Warn("catalog connection failed", "database", w.options.Config.Database, "error", err, "retry_in", backoff)
		pause(ctx, nil, backoff)
		backoff = min(2*backoff, lastBackoff, max(w.options.Interval, firstBackoff))
	}
	return nil
}

// missingDatabase tells whether there is no such database (any more).
func missingDatabase(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "3D000"
}

// withdraw notes that there is nothing to look at.
func (w *Watcher) withdraw(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.snapshot.Load() != nil || w.err == nil {
		w.options.Logger.Info("the database is gone", "database", w.options.Config.Database, "error", err)
	}
	w.err = err
	w.snapshot.Store(nil)
}

// stop withdraws the snapshot, which nobody keeps current any more.
func (w *Watcher) stop() {
	w.mu.Lock()
	w.generation++ // so that no timer or look installs one again
	w.snapshot.Store(nil)
	if w.expiry != nil {
		w.expiry.Stop()
	}
	w.mu.Unlock()
	w.prober.close()
}

// pause waits for the duration, ctx or a message on wake.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) (woken bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
		return true
	}
	return false
}

// watch uses one connection until it fails or rests too long. looked tells whether a look was completed on it.
func (w *Watcher) watch(ctx context.Context) (looked bool, err error) {
	timeout := max(w.options.Interval, 10*time.Second)
	connecting, cancel := context.WithTimeout(ctx, timeout)
	conn, err := pgx.ConnectConfig(connecting, w.options.Config)
	cancel()
	if err != nil {
		return false, fmt.Errorf("connect for the catalog: %w", err)
	}
	w.pid.Store(conn.PgConn().PID())
	leave := func() {
		w.pid.Store(0)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		_ = conn.Close(closing)
	}
	defer leave()
	backoff := firstBackoff
	for {
		began := time.Now()
		looking, cancel := context.WithTimeout(ctx, timeout)
		err := w.look(looking, conn)
		cancel()
		switch {
		case err == nil:
			looked, backoff = true, firstBackoff
			if w.reloaded {
				w.lost = w.state.identity.processes == ""
				return looked, nil
			}
			w.rest(ctx, time.Since(began), leave)
			if ctx.Err() != nil || conn.IsClosed() {
				return looked, nil
			}
		case refused(err) && !conn.IsClosed() && ctx.Err() == nil:
			w.setErr(err)
			w.options.Logger.Warn("catalog not read", "database", w.options.Config.Database, "error", err, "retry_in", backoff)
			pause(ctx, nil, backoff)
			backoff = min(2*backoff, lastBackoff, max(w.options.Interval, firstBackoff))
		default:
			return looked, err
		}
	}
}

// refused tells whether the server answered a statement by an error that does not end the session.
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR"
}

// Looks that Invalidate asks for one after another leave the server alone for this many times their own
// duration, up to a limit.
const (
	restFactor = 5
	longestGap = 2 * time.Second
)

// linger is how long the connection is kept after a look, for the next one. DROP DATABASE waits 5 s for others to leave (CountOtherDBBackends).
const linger = 250 * time.Millisecond

// rest waits for the next look. Where it lasts longer than linger it leaves the database, unless the server does not show the
// processes by which a crash in the meantime would be noticed.
func (w *Watcher) rest(ctx context.Context, took time.Duration, leave func()) {
	if w.state.identity.processes == "" {
		leave = func() {}
	}
	if w.paced {
		gap := min(restFactor*took, longestGap)
		if gap > linger {
			leave()
		}
		pause(ctx, w.urgent, gap)
	}
	interval := w.options.Interval
	if w.seen.missing > 0 {
		interval = min(interval, longestGap) // somebody's locks will be gone
	}
	if interval <= linger {
		w.paced = pause(ctx, w.wake, interval)
		return
	}
	if w.paced = pause(ctx, w.wake, linger); w.paced || ctx.Err() != nil {
		return
	}
	leave()
	w.paced = pause(ctx, w.wake, interval-linger)
}

// look reads the server's state and the catalog, tells of changes and installs the snapshot.
func (w *Watcher) look(ctx context.Context, conn *pgx.Conn) error {
	began := time.Now()
	w.mu.Lock()
	generation := w.generation
	w.mu.Unlock()

	w.reading <- struct{}{}
	now, err := read(ctx, conn, w.seen)
	<-w.reading
	if err != nil {
		return err
	}
	loaded, state := now.snapshot, now.state
	if w.last != nil && w.last.Under == loaded.Under {
		loaded = w.last
	}
	roles := w.last != nil && state.roles != w.state.roles
	other := w.last != nil && (w.lost || state.identity != w.state.identity)
	if loaded != w.last || roles || other {
		w.mu.Lock()
		w.snapshot.Store(nil) // nothing new is judged by the old one
		w.mu.Unlock()
		w.options.OnChange(w.last, loaded)
	}
	if w.last != nil && (loaded != w.last || state != w.state) || w.reloaded {
		w.options.OnSettings()
	}
	w.reloaded = w.last != nil && state.configuration != w.state.configuration
	now.snapshot = loaded
	w.last, w.state, w.seen, w.lost = loaded, state, now, false
	w.latest.Store(loaded)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.identity = nil, state.identity
	if w.generation != generation { // Invalidate was called meanwhile; its message is in the channel
		return nil
	}
	w.looked = began
	w.snapshot.Store(loaded)
	if w.installed != nil {
		close(w.installed)
		w.installed = nil
	}
	if w.expiry == nil {
		w.expiry = time.AfterFunc(2*w.options.Interval, w.expire)
	} else {
		w.expiry.Reset(2*w.options.Interval - time.Since(began))
	}
	return nil
}

// expire withdraws a snapshot that nobody has confirmed for two intervals.
func (w *Watcher) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.looked) >= 2*w.options.Interval {
		w.snapshot.Store(nil)
	}
}
