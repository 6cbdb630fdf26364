package proxy

import "time"

// Judge is what the server does every judgeEvery.
func (srv *Server) Judge(now time.Time) { srv.judgeShapes(now) }
