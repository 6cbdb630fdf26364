// Package memcached is the Remote on memcached: one server, or several among which the names are spread.
//
// memcached tells neither a value's remaining lifetime (it is cache.UnknownLifetime) nor its names, so that a flush
// takes the whole namespace. Nor does it order events: how proxies tell each other of writes is not its business.
package memcached
