package main

import (
	"context"
	"net"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/proxy"
)

// engine is what the command needs of the proxy; *proxy.Server is one.
type engine interface {
	// Serve accepts clients until Shutdown; its error then wraps net.ErrClosed.
	Serve(net.Listener) error
	// Shutdown ends in order while ctx lasts, and by force then.
	Shutdown(ctx context.Context) error
	SetPolicy(*cachepolicy.Policy)
	// SetVerify sets the share of hits that are checked against the upstream, 0 to 1.
	SetVerify(share float64)
	// SetEarlyRefresh sets how early hot entries are refreshed before they expire, 0 for never.
	SetEarlyRefresh(beta float64)
	// SetAuto sets whether shapes that lose by being cached are not, for a while.
	SetAuto(on bool)
	// SetLogOptions sets what is logged of sessions and statements.
	SetLogOptions(proxy.LogOptions)
	// Stopped returns the shapes that SetAuto stopped.
	Stopped() []proxy.Stopped
	// Watch loads the catalog of a database before its first client comes.
	Watch(database string)
	// AwaitFleet waits until it is certain what other pgrecalls do; false when ctx ended before.
	AwaitFleet(ctx context.Context) bool
	// Ready returns why clients can't be served from the cache, nil when they can.
	Ready() error
	// Flush removes what is cached, here and in what is shared.
	Flush(context.Context, proxy.Selection) (proxy.Flushed, error)
	// Doubts returns the shapes of statements that are not cached because a verification found a difference.
	Doubts() []proxy.Doubt
	// Allow lets a shape be cached again, 0 for all of them; it returns how many were not.
	Allow(ctx context.Context, fingerprint uint64) int
	// Uncached returns the n shapes of reads that took the most time and were not cached.
	Uncached(n int) []proxy.Uncached
	// Shapes, Tables and Rules return what became of statements.
	Shapes() ([]proxy.Shape, proxy.Totals)
	Tables() []proxy.Table
	Rules() []proxy.Rule
	// Pause stops serving and filling until Resume.
	Pause()
	Resume()
	Paused() bool
	// Sample returns what has been counted, at little cost.
	Sample() proxy.Sample
	// Clients returns the connections of this moment.
	Clients() []proxy.Client
	// Snapshots returns the catalogs that are loaded.
	Snapshots() []*catalog.Snapshot
	// Status returns figures that the metrics do not have in this form.
	Status() proxy.Status
	// Hot returns the n most used queries.
	Hot(n int) []proxy.HotQuery
}
