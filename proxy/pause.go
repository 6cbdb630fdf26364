package proxy

import "github.com/pgrecall/pgrecall/cachepolicy"

// Pause stops serving and filling: what is asked for from then on comes from the server, and nothing enters the cache, until Resume. Writes
// go on invalidating, so what is cached already is as good after Resume as it would have been. It is about this process alone.
func (srv *Server) Pause() { srv.paused.Store(true) }

// Resume ends what Pause began.
func (srv *Server) Resume() { srv.paused.Store(false) }

// Paused tells whether the cache rests since Pause.
func (srv *Server) Paused() bool { return srv.paused.Load() }

// blameless tells whether a read that was bypassed for this reason says nothing of its shape: the whole cache served nothing.
func blameless(reason cachepolicy.Reason) bool {
	return reason == cachepolicy.ReasonShadow || reason == cachepolicy.ReasonPaused
}
