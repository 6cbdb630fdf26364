// Package console answers the clients of a database that exists nowhere: by SHOW, FLUSH, PAUSE, RESUME, RELOAD and EXPLAIN they see what
// pgrecall does and act on it, with psql or any driver, in the simple and the extended query protocol.
//
// It must never show passwords, tokens, rows, parameter values or SQL texts with their constants, never hold a client's statement up, and never
// trust what it reads: who comes here has been authenticated, but may be a broken driver all the same.
package console
