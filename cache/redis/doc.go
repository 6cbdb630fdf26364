// Package redis is the Remote on Redis: one server, a master that Sentinels watch, or a Cluster.
//
// Nothing here waits longer than its context allows, and nothing protects a caller from a Redis that hangs:
// that is what [github.com/pgrecall/pgrecall/cache/remote.Guard] is for. New never connects: a Redis that is down when pgrecall
// starts is used as soon as it is there.
package redis
