// Package cachepolicy decides whether the answer to a statement may come from the cache, for how
// long, and if not, why not: DESIGN section 4 for reads, and the rules of the configuration.
//
// It judges facts (parser.Statement, catalog.Snapshot) and does no I/O. What it doesn't know it
// must never allow: a function, operator, type or kind of relation that is missing from its lists
// means bypass. Every bypass has one enumerated Reason.
package cachepolicy
