// Package soak compares answers that come through pgrecall with those of the server itself while many clients change the same database,
// a random one: rows, definitions, rights, policies.
//
// A reader is three equal sessions: one straight at the server, one through pgrecall, one straight at the server again. A batch of
// statements is sent to one after the other. Where the two direct answers to a statement are equal byte for byte, the one from pgrecall
// must be, too: nothing else can have been true in between, unless two writes in that time cancelled each other out, which the
// ledger of the writers tells. Writers work through the same pgrecall.
//
// Everything random comes from a seed, which is printed first, and the number of a client and a round; what clients do to each other's timing
// is the machine's. PGRECALL_SEED runs a seed again, PGRECALL_SOAK=1000000 checks so many statements (see docs/soak.md).
//
// It must never let a reader send what PostgreSQL answers differently from one moment to the next without a write: rows in no order, clocks.
package soak
