// Package bus is the ordered log of invalidations between the proxies of one fleet, on a Redis stream, with its members and their leases.
// docs/consistency.md describes the protocol and why it is right; names in this package are those of that page.
//
// It must never let a hit through that it can't prove, never block a caller longer than it says, and never turn a failure of Redis into an
// error of a client.
package bus
