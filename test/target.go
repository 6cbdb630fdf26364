package test

import "github.com/pgrecall/pgrecall/internal/pgtest"

// Target is something that speaks PostgreSQL's protocol.
type Target interface {
	// Address returns host:port for clients of a database, without TLS and trusting everybody.
	Address(database string) string
}

// HitCounter is a target that answers from a cache.
type HitCounter interface {
	// Hits returns how many statements were answered from the cache so far. A hit is counted
	// before its last byte is sent.
	Hits() uint64
}

// Direct is a PostgreSQL server as a target.
type Direct struct{ Server *pgtest.Server }

// Address implements Target.
func (d Direct) Address(string) string { return d.Server.Address() }
