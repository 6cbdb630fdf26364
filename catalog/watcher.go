package catalog

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options configure a Watcher.
type Options struct {
	// Config is how to connect with pgrecall's own account. Its database is replaced by Database.
	Config   *pgx.ConnConfig
	Database string        // "" keeps Config's
	Interval time.Duration // between looks at the catalog; 30 seconds when zero
	Logger   *slog.Logger  // slog.Default when nil
	// OnChange is called after definitions, roles or memberships changed and before the new snapshot is
	// visible: it must invalidate everything of the database. old is nil for the first snapshot.
	OnChange func(old, new *Snapshot)
	// OnSettings is called when settings of running sessions may have changed without their doing: the configuration was
	// reloaded, the server restarted, ALTER ROLE/DATABASE ... SET, roles or memberships changed.
	OnSettings func()
}

// Watcher keeps a current snapshot of one database's definitions.
type Watcher struct {
	options  Options
	snapshot atomic.Pointer[Snapshot]
}

// NewWatcher returns a Watcher that does nothing before Run.
func NewWatcher(options Options) *Watcher { return &Watcher{options: options} }

// Run connects and watches until ctx ends; it returns after its connections are closed.
func (w *Watcher) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Snapshot returns the current snapshot, nil while none is valid. It costs one atomic load.
func (w *Watcher) Snapshot() *Snapshot { return w.snapshot.Load() }

// Invalidate marks the snapshot stale: Snapshot returns nil until a load that began after this call has finished.
func (w *Watcher) Invalidate() {}

// Ready tells whether a snapshot is valid.
func (w *Watcher) Ready() bool { return w.Snapshot() != nil }

// Err returns why the last attempt to connect or load failed, nil when it did not.
func (w *Watcher) Err() error { return nil }

// BackendGone tells whether the server has no backend with this pid that started before diedAt, a time on this
// machine's clock. An error means that nobody knows.
func (w *Watcher) BackendGone(ctx context.Context, pid uint32, diedAt time.Time) (bool, error) {
	return false, nil
}
