// Command conformance runs the test suites of others through pgrecall: PostgreSQL's own regression and isolation
// tests, pgx's tests and SQLAlchemy's dialect suite. Each suite runs direct, through a plain relay and through a real
// pgrecall process with the cache on, each time on a fresh cluster; what passes direct must pass through pgrecall.
// docs/conformance.md tells more.
//
// It must never judge by a list of known failures: what counts is the direct run on the same machine at the same time.
package main
