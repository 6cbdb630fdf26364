// Package proxy is pgrecall's data path: it accepts clients, gives each one its upstream connection, relays the
// protocol between them as raw frames, answers repeated reads from the cache and fences the writes.
//
// A session has two goroutines, one for each socket. The frontend side reads the client and is the only one that sends
// upstream; the backend side reads the upstream. Both may write to the client, under session.clientMutex. What the client still waits
// for stands in a FIFO (expectations), so that an answer from the cache never overtakes a forwarded one.
//
// The package must never rewrite what it forwards, never answer what it does not understand, and never let a failure of the cache become
// a failure of the client.
package proxy
