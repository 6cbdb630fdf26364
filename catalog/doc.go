// Package catalog knows the definitions of one upstream database: relations, views,
// partitions, foreign keys, triggers, functions, operators, types. [Load] reads them into a
// [Snapshot]; a [Watcher] keeps one current.
//
// It states facts and resolves names as PostgreSQL does (manual, section 5.9.3); what they mean
// for the cache is decided in cachepolicy and invalidator. It must never guess: what it can't see
// it leaves out, and its callers treat what they don't find as unsafe. It reads no user data and
// never writes.
package catalog
