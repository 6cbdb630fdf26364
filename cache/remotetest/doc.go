// Package remotetest is the contract of [github.com/pgrecall/pgrecall/cache.Remote] as tests that run on every implementation of it.
package remotetest
