// Package linear proves that a row read through one pgrecall is linearizable, whatever dies: each row of some tables is a
// register, many clients read and write it in every way the protocol has, and all the time connections are cut at any byte, backends
// terminated, statements cancelled, servers crashed and pgrecall itself killed. Porcupine (github.com/anishathalye/porcupine) looks for an order
// of the operations that explains what everybody saw.
//
// The same holds through three pgrecalls that share a Redis, while Redis hangs, forgets and lies and some of the three lose it. Where consistency
// is session, clients are promised that they see their own writes: the server keeps the order of all writes then, which tells what is older.
//
// A write whose outcome its client never learnt (the connection was lost, or ended with a fatal error) may have taken effect at any time
// after its call, or never. Values are unique, so the reads tell: see resolve.
//
// A run prints its seed. PGRECALL_SEED fixes the choices of each client and of the chaos, not their timing; PGRECALL_LINEAR=10m runs that
// long. The history of a failure is kept in a directory that the failure names.
//
// It must never hold knowledge of how pgrecall works inside, except for the text of a comment that keeps a statement from the cache, for
// the application_name of the catalog's connection, and for the names of the fleet's keys in Redis.
package linear
