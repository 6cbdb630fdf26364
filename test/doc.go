// Package test holds what the integration tests in the folders below share: the targets that
// they connect to, PostgreSQL itself and pgrecall in front of it.
//
// It must never hold knowledge of how pgrecall works inside: the tests below see what a client
// sees, and the number of hits.
package test
