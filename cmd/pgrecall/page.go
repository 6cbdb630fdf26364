package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/proxy"
)

// Pause and the others pass on what the operator wants.
func (i *instance) Pause()       { i.engine.Pause() }
func (i *instance) Resume()      { i.engine.Resume() }
func (i *instance) Paused() bool { return i.engine.Paused() }

// Sample passes on what the engine has counted.
func (i *instance) Sample() admin.Sample {
	s := i.engine.Sample()
	return admin.Sample{Hits: s.Hits, SharedHits: s.SharedHits, Misses: s.Misses, Bypasses: s.Bypasses, Writes: s.Writes, Others: s.Others,
		Saved: s.Saved, Cached: admin.Latencies(s.Cached), Forwarded: admin.Latencies(s.Forwarded)}
}

// Clients returns the connections.
func (i *instance) Clients() []admin.Client {
	list := []admin.Client{}
	for _, c := range i.engine.Clients() {
		c.Connected = c.Connected.UTC().Truncate(time.Second)
		list = append(list, admin.Client(c))
	}
	return list
}

// Explain tells what `pgrecall explain` would, by the policy in force.
func (i *instance) Explain(ctx context.Context, q admin.Question) (any, error) {
	e, err := i.explain(ctx, q)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// explain judges a statement by the policy in force. It reads the upstream's catalog, in the database asked for.
func (i *instance) explain(ctx context.Context, q admin.Question) (explanation, error) {
	up := upstream{config: i.upstream.config.Copy(), hasAccount: i.upstream.hasAccount}
	if q.Database != "" {
		up.config.Database = q.Database
	}
	v, err := look(ctx, up, q.User)
	if err != nil {
		return explanation{}, errors.New(strings.TrimPrefix(err.Error(), "--user: "))
	}
	c := *i.config
	c.Policy = i.policy.Load()
	e := explainStatement(q.SQL, &c, v)
	if i.Paused() {
		e.Notes = append(e.Notes, "the cache is paused: nothing is served until RESUME")
	}
	return e, nil
}

// shared tells of the second tier, nil without.
func shared(s *proxy.SharedStatus) *admin.L2 {
	if s == nil {
		return nil
	}
	l2 := &admin.L2{Up: s.Store.Up, Opened: s.Store.Opened, LastError: s.Store.LastError, Hits: s.Hits, Misses: s.Misses, Stale: s.Stale, Dropped: s.Dropped,
		Hangs: s.Store.Hangs, Errors: s.Store.Errors, QueuedBytes: s.Store.QueuedBytes, QueueLimit: s.Store.QueueLimit}
	for _, n := range s.Refused {
		l2.Refused += n
	}
	if l2.Up {
		l2.LastError = "" // of a breaker that has closed again
	}
	return l2
}
