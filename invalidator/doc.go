// Package invalidator keeps cached answers from outliving what they were made of: slots with versions and fences, stamps (DESIGN
// section 5), and the closure of what a statement may change.
//
// It must never guess in favour of the cache: what can't be told touches the whole database. It does no I/O.
package invalidator
