// Package cache holds what all tiers of the cache share: the key of a result, the entry that is
// stored under it, the contract of a tier, and single flight for the misses.
//
// It never judges whether an answer is still right: an entry carries its stamp and its age, and
// whoever takes it from a tier or from a flight checks both before a byte of it is sent. It never
// parses SQL, never does I/O, and never puts a text, a parameter's value or a row into a key.
package cache
