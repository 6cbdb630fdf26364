package proxy

import (
	"context"
	"errors"
	"sync"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
)

// suspicion is that the server of a database has crashed, because a connection to it was lost.
type suspicion struct {
	mu     sync.Mutex
	asking bool
	fences []*invalidator.Fence // of losses that the question in hand may not answer
}

// suspectCrash keeps the database from being served until it is known whether the server has crashed, which empties unlogged tables and can
// undo what was committed with synchronous_commit off. Where it has not, everything cached is as good as before. One question
// answers for all connections that were lost before it was sent.
func (srv *Server) suspectCrash(d *database) {
	if d == nil || d.watcher == nil {
		return
	}
	fence := &invalidator.Fence{}
	fence.Add(srv.slots, d.slot)
	fence.Raise(srv.slots, d.slot)
	d.suspicion.mu.Lock()
	defer d.suspicion.mu.Unlock()
	d.suspicion.fences = append(d.suspicion.fences, fence)
	if !d.suspicion.asking {
		d.suspicion.asking = true
		srv.work.Go(func() { srv.clearSuspicion(d) })
	}
}

// clearSuspicion asks until there is nothing more to ask.
func (srv *Server) clearSuspicion(d *database) {
	for {
		d.suspicion.mu.Lock()
		fences := d.suspicion.fences
		d.suspicion.fences = nil
		d.suspicion.asking = len(fences) > 0
		d.suspicion.mu.Unlock()
		if len(fences) == 0 {
			return
		}
		same := false
		for wait := orphanFirst; ; wait = min(2*wait, orphanMost) {
			err := srv.bounded(func(ctx context.Context) (err error) {
				same, err = d.watcher.SameServer(ctx)
				return err
			})
			if err == nil || errors.Is(err, catalog.ErrPooler) {
				break
			}
			if !srv.rest(wait) {
				return // the process ends
			}
		}
		if !same {
			d.watcher.Invalidate()
		}
		for _, fence := range fences {
			fence.Release(srv.slots, !same)
		}
	}
}
