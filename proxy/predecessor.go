package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
)

// A pgrecall that was killed may have left statements behind that the server still executes: nobody is told when they commit, and what is
// read before that would be kept too long. So nothing of a database is cached until the transactions are over that others on this
// machine had open when the database was first used.

// secondLook is when to look again: a statement that lay unread in a backend's socket at the first look has begun by then.
const secondLook = 20 * time.Millisecond

// errPredecessors is why a database is not ready yet.
var errPredecessors = errors.New("transactions of before the start are still open")

// awaitPredecessors keeps the fence up until they are over.
func (srv *Server) awaitPredecessors(d *database, fence *invalidator.Fence) {
	for range 2 {
		if !srv.awaitTransactions(d) {
			return // the process ends
		}
		if !srv.rest(secondLook) {
			return
		}
	}
	fence.Release(srv.slots, true)
	d.settled.Store(true)
}

// awaitTransactions waits until every transaction is over that others have open now; false when the server stops.
func (srv *Server) awaitTransactions(d *database) bool {
	var open []catalog.Transaction
	for wait := orphanFirst; ; wait = min(2*wait, orphanMost) {
		err := srv.bounded(func(ctx context.Context) (err error) {
			open, err = d.watcher.OpenTransactions(ctx)
			return err
		})
		if err == nil {
			break
		}
		if errors.Is(err, catalog.ErrPooler) {
			srv.Logger.Warn("a pooler stands between pgrecall and the server: what another pgrecall left behind can't be seen", "database", d.name)
			return true
		}
		if !srv.rest(wait) {
			return false
		}
	}
	own := srv.ownBackends()
	for _, transaction := range open {
		if own[transaction.PID] {
			continue
		}
		began := time.Now()
		told := false
		for wait := orphanFirst; ; wait = min(2*wait, orphanMost) {
			gone := false
			err := srv.bounded(func(ctx context.Context) (err error) {
				gone, err = d.watcher.TransactionGone(ctx, transaction)
				return err
			})
			if err == nil && gone {
				break
			}
			if !told && time.Since(began) > time.Second {
				told = true
				srv.Logger.Warn("nothing of this database is cached until a transaction ends that was open before pgrecall was: another pgrecall may have left it",
					"database", d.name, "pid", transaction.PID)
			}
			if !srv.rest(wait) {
				return false
			}
		}
	}
	return true
}

// bounded bounds a question to the upstream.
func (srv *Server) bounded(question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(srv.ctx, connectTimeout)
	defer cancel()
	return question(ctx)
}

// rest waits; false when the server stops.
func (srv *Server) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-srv.ctx.Done():
		return false
	}
}

// ownBackends returns the process numbers of this server's sessions.
func (srv *Server) ownBackends() map[uint32]bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	own := make(map[uint32]bool, len(srv.cancelKeys))
	for _, s := range srv.cancelKeys {
		own[s.backendPID] = true
	}
	return own
}
