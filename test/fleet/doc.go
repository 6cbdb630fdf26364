// Package fleet tests some pgrecalls in front of one PostgreSQL, with a cache in common, while what they share fails: Redis refuses, hangs, is
// full, read-only, flushed, restarted or replaced, the way to it breaks, and what is read from it was altered.
//
// Each fault is judged by what clients see: no error, no answer that is older than the level allows, no statement that waits for long; and by
// the fleet's own figures: it is certain again by itself.
package fleet
