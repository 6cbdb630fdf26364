package admin

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Question is what POST /api/explain asks: what would become of a statement. It is not executed.
type Question struct {
	SQL      string
	Database string // "" for that of pgrecall's own account
	User     string // likewise
}

// Bounds of explanations: each reads the catalog anew.
const (
	explainTimeout = 20 * time.Second
	maxExplains    = 2
)

// explain answers with what `pgrecall explain --json` prints.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	if !s.permitted(w, r) {
		return
	}
	var q Question
	err := readFields(r, map[string]*string{"sql": &q.SQL, "database": &q.Database, "user": &q.User})
	switch {
	case err != nil:
		refuse(w, err)
		return
	case strings.TrimSpace(q.SQL) == "":
		writeError(w, http.StatusBadRequest, "sql: want a statement")
		return
	}
	select {
	case s.explains <- struct{}{}:
		defer func() { <-s.explains }()
	default:
		writeError(w, http.StatusServiceUnavailable, "other statements are being explained: try again")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainTimeout)
	defer cancel()
	explanation, err := s.proxy.Explain(ctx, q)
	if err != nil {
		writeError(w, http.StatusBadRequest, strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	writeJSON(w, http.StatusOK, explanation)
}

// pause and resume want nothing but to be asked.
func (s *Server) pause(w http.ResponseWriter, r *http.Request)  { s.rest(w, r, true) }
func (s *Server) resume(w http.ResponseWriter, r *http.Request) { s.rest(w, r, false) }

func (s *Server) rest(w http.ResponseWriter, r *http.Request, paused bool) {
	if !s.permitted(w, r) {
		return
	}
	if err := readFields(r, nil); err != nil {
		refuse(w, err)
		return
	}
	if paused {
		s.proxy.Pause()
		s.logger.Warn("cache paused", "from", r.RemoteAddr)
	} else {
		s.proxy.Resume()
		s.logger.Info("cache resumed", "from", r.RemoteAddr)
	}
	writeJSON(w, http.StatusOK, map[string]bool{"paused": s.proxy.Paused()})
}
