// Package wire frames messages of PostgreSQL's frontend/backend protocol 3 (PostgreSQL
// documentation, chapter "Frontend/Backend Protocol"): where a message begins and ends, the few
// fields that a proxy has to look at, and the messages that it sends on its own.
//
// It holds no policy, keeps no state of a session and never copies a message's body: slices that
// it returns point into the caller's buffer.
package wire
