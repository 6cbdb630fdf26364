// Package warm asks a running pgrecall for results before clients do, so that they are in its cache when clients come.
//
// It connects as an ordinary client: scope, role and row security of what is warmed are those of that connection, and nothing is cached that
// a client's own query would not have cached. Where queries come from is in [Read], [Fetch] and [Statements]; [Run] asks.
//
// It must never send a statement that the analysis does not take for a cacheable read, never run one outside of a read-only
// transaction, and never write a parameter's value into a report.
package warm
