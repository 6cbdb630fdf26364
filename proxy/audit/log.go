package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

// Bounds of what waits for the file, and the default delay.
const (
	defaultLimit = 1 << 20 // bytes of records
	wakeAt       = 64 << 10
	defaultDelay = 200 * time.Millisecond
	patience     = 2 * time.Second // that required records may wait: the disk hangs
)

// Stdout is the path of standard output.
const Stdout = "-"

// What is recorded.
const (
	Hits = "hits" // answers from the cache
	All  = "all"  // every statement
)

// Options of a Log. Path, Logger and Registerer are required.
type Options struct {
	Path       string // of a file that is appended to, or Stdout
	What       string // Hits or All
	Required   bool   // no answer from the cache goes unrecorded
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	Output io.Writer     // for Stdout, nil for the process's own
	Delay  time.Duration // how long records wait for others at most, 0 for 200 milliseconds
	Limit  int           // bytes of records that may wait, 0 for 1 MiB
}

// Log is an audit log. It implements observe.Observer.
//
// Records are put together in memory and written by a goroutine of its own, so that no client waits for a disk. What can't be written stays in memory and
// is tried again. When that is full further records are lost, counted, and told of in the log; if records are required, the cache gives no answers from the first
// failure until all has been written, so that none is lost but by an end of the process meanwhile.
type Log struct {
	path     string
	limit    int
	logger   *slog.Logger
	all      atomic.Bool
	required atomic.Bool
	bad      atomic.Bool // the last write failed, or what waits is too much or has waited too long
	said     atomic.Bool // that it is bad

	mu      sync.Mutex
	pending []byte    // whole lines
	count   uint64    // of lines in it
	since   time.Time // that the first of them waits
	closed  bool

	wake   chan struct{}
	reopen chan chan error
	stop   chan struct{}
	done   chan struct{}

	// Of the writing goroutine.
	out      io.Writer
	file     *os.File // nil for standard output
	writing  []byte   // what was taken to be written, nil for nothing
	lines    uint64   // in it
	at       int      // bytes of it that have been written
	spare    []byte   // to be pending again
	left     uint64   // records, at the end
	told     time.Time
	toldLost uint64

	written, lost atomic.Uint64 // records
}

// Open opens the log and writes until Close.
func Open(o Options) (*Log, error) {
	l := &Log{
		path: o.Path, limit: cmp.Or(o.Limit, defaultLimit), logger: o.Logger,
		wake: make(chan struct{}, 1), reopen: make(chan chan error), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.Set(o.What, o.Required)
	if o.Path == Stdout {
		if l.out = o.Output; l.out == nil {
			l.out = os.Stdout
		}
	} else if err := l.open(); err != nil {
		return nil, err
	}
	result := func(name string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "pgrecall_audit_records_total", Help: "Records of the audit log, by whether they were written.",
			ConstLabels: prometheus.Labels{"result": name}}, func() float64 { return float64(n.Load()) })
	}
	writable := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pgrecall_audit_writable", Help: "Whether the audit log can be written."}, func() float64 {
		if l.bad.Load() {
			return 0
		}
		return 1
	})
	for _, c := range []prometheus.Collector{result("written", &l.written), result("lost", &l.lost), writable} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	go l.run(cmp.Or(o.Delay, defaultDelay))
	return l, nil
}

// Set changes what is recorded, and whether that is required.
func (l *Log) Set(what string, required bool) {
	l.all.Store(what == All)
	l.required.Store(required)
}

// open opens the file, which is for its owner only if it is made here. A pipe that nobody reads is an error, not a wait.
func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.out, l.file = file, file
	return nil
}

// Ready implements observe.Observer.
func (l *Log) Ready() bool { return !l.bad.Load() || !l.required.Load() }

// Ended implements observe.Observer.
func (l *Log) Ended(s *observe.Statement) {
	if !s.Cached() && !l.all.Load() {
		return
	}
	now, fingerprint := time.Now(), s.Fingerprint()
	l.mu.Lock()
	before := len(l.pending)
	required := l.required.Load()
	if l.closed || before >= l.limit && !required {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	if before == 0 {
		l.since = now
	}
	l.pending = appendRecord(l.pending, s, fingerprint, now)
	l.count++
	after := len(l.pending)
	// Those that have been let through already are still recorded.
	late := required && (after >= l.limit || now.Sub(l.since) >= patience) && !l.bad.Swap(true)
	l.mu.Unlock()
	if late && !l.said.Swap(true) {
		l.logger.Error("the audit log is not written in time", "file", l.path, "effect", effectRequired)
	}
	if before < wakeAt && after >= wakeAt || before < l.limit && after >= l.limit {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Reopen opens the file anew, after what was recorded so far has been written to the old one, as logrotate wants it. On an error the old one stays in use. It
// has no effect on standard output.
func (l *Log) Reopen(ctx context.Context) error {
	if l.path == Stdout {
		return nil
	}
	answer := make(chan error, 1)
	select {
	case l.reopen <- answer:
	case <-l.done:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("audit: the file is busy: %w", ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("audit: the file is busy: %w", ctx.Err())
	}
}

var errClosed = errors.New("audit: closed")

// Close writes what is left while ctx lasts. Records that come from now on are lost.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if !closed {
		close(l.stop)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return fmt.Errorf("audit: records may not have been written: %w", ctx.Err())
	}
	if l.left > 0 {
		return fmt.Errorf("audit: %d records could not be written", l.left)
	}
	return nil
}
