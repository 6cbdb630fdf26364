// Package wire runs scripts of protocol messages (testdata/wire) against PostgreSQL and against
// pgrecall and compares what came back, byte for byte.
//
// A script is run three ways, each in an equal database of an equal cluster: straight at
// PostgreSQL, through pgrecall with an empty cache, and through pgrecall with every `repeat`
// block run twice, so that its second pass can be answered from the cache. The three
// transcripts must be equal. What PostgreSQL itself answered is kept in the script, in short,
// below each `until`; `go test ./test/wire -update` writes it anew.
//
// testdata/wire/README.md tells the format.
//
// It must never mask a difference that a client can see: the only thing masked is the process
// id and secret in BackendKeyData.
package wire
