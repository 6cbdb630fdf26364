package main

import (
	"context"
	"net"

	"github.com/pgrecall/pgrecall/cachepolicy"
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
	// Watch loads the catalog of a database before its first client comes.
	Watch(database string)
	// Ready returns why clients can't be served from the cache, nil when they can.
	Ready() error
	// Flush removes entries; "" and 0 match everything.
	Flush(database, table string, fingerprint uint64) int
}
