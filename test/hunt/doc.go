// Package hunt looks for wrong answers with random sessions: each session is a pair of connections,
// one through pgrecall and one straight at an equal server, that get the same bytes in the same order. What
// comes back must be equal byte for byte.
//
// A run is fixed by its seed, which a failure prints. PGRECALL_SEED runs that one alone, PGRECALL_HUNT=5m hunts
// with new seeds for that long.
//
// It must never send what PostgreSQL answers differently from run to run: rows in no order, clocks, process
// ids. Only OIDs of what tests define are masked, and notifications, which come at any time, are compared on their own.
package hunt
