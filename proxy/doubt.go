package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
)

// doubts are the shapes of statements that are not cached because a verification found a difference, until somebody allows them again.
type doubts struct {
	mu  sync.Mutex
	all atomic.Pointer[map[uint64]Doubt] // by fingerprint; never changed, only replaced
}

// Doubt is a shape of statements that is not cached any more.
type Doubt struct {
	Fingerprint string    `json:"fingerprint"` // hexadecimal
	Tables      string    `json:"tables"`
	Since       time.Time `json:"since"`
	fingerprint uint64
}

// distrust stops caching the statements of a shape, and has everybody forget what is cached of it. It does not wait for that.
func (srv *Server) distrust(source *cache.Source) {
	fingerprint := source.Statement.Fingerprint()
	d := Doubt{Fingerprint: fmt.Sprintf("%016x", fingerprint), Tables: source.Label(), Since: time.Now(), fingerprint: fingerprint}
	if srv.changeDoubts(func(all map[uint64]Doubt) bool {
		_, known := all[fingerprint]
		all[fingerprint] = d
		return !known
	}) {
		srv.flushAside(Selection{Fingerprint: fingerprint})
		srv.Logger.Error("statements of this shape are not cached any more; find the cause, then allow them again with POST /api/allow",
			"fingerprint", d.Fingerprint, "tables", d.Tables)
	}
}

// Allow lets statements of a shape be cached again that a verification stopped, of all shapes for zero. It returns how many were stopped. What
// anybody has cached of them is flushed before: other processes went on caching them, and may have made the same mistake. The context bounds
// how long they are waited for.
func (srv *Server) Allow(ctx context.Context, fingerprint uint64) int {
	for _, d := range srv.Doubts() {
		if fingerprint == 0 || fingerprint == d.fingerprint {
			srv.flush(ctx, Selection{Fingerprint: d.fingerprint}, false)
		}
	}
	n := 0
	srv.changeDoubts(func(all map[uint64]Doubt) bool {
		before := len(all)
		if fingerprint == 0 {
			clear(all)
		}
		delete(all, fingerprint)
		n = before - len(all)
		return n > 0
	})
	return n
}

// changeDoubts changes a copy. Where the change reports true, decisions are made anew.
func (srv *Server) changeDoubts(change func(map[uint64]Doubt) bool) bool {
	srv.doubts.mu.Lock()
	defer srv.doubts.mu.Unlock()
	all := map[uint64]Doubt{}
	if old := srv.doubts.all.Load(); old != nil {
		all = maps.Clone(*old)
	}
	if !change(all) {
		return false
	}
	srv.doubts.all.Store(&all)
	srv.renewPolicy(nil)
	return true
}

// doubted tells whether a statement's shape is not cached. The fingerprint is asked for only where there are such shapes.
func (srv *Server) doubted(fingerprint func() uint64) bool {
	all := srv.doubts.all.Load()
	if all == nil || len(*all) == 0 {
		return false
	}
	_, stopped := (*all)[fingerprint()]
	return stopped
}

// Doubts returns the shapes that verifications stopped, oldest first.
func (srv *Server) Doubts() []Doubt {
	all := srv.doubts.all.Load()
	if all == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(*all), func(a, b Doubt) int { return a.Since.Compare(b.Since) })
}
