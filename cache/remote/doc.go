// Package remote makes a store of values fit for the path of a client's statement: a Guard leaves a call
// that hangs, stops asking a store that failed, and writes behind the client's back within bounds.
//
// It must never hold a caller longer than its bound, whatever the store and its sockets do, and never grow with the number of
// calls that a dead store does not answer.
package remote
