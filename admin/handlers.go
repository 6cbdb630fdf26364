package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// health answers as long as the process can.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// ready says whether a load balancer should send clients here.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.proxy.Ready(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, "not ready: %v\n", err)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// Numbers of rows that lists have: those on the page without a script, and those of the interface unless the request says, and at most.
const (
	uncachedOnPage = 10
	listDefault    = 50
	listMost       = 1000
)

// statusReply adds to the figures what follows from them.
type statusReply struct {
	Status
	UptimeSeconds float64 `json:"uptime_seconds"`
	HitRate       float64 `json:"hit_rate"`
	Ready         bool    `json:"ready"`
	NotReady      string  `json:"not_ready,omitempty"`
	// Uncached are the reads that took the most time and were not cached.
	Uncached []Uncached `json:"uncached"`
}

// reply gathers the figures, with that many uncached statements at most.
func (s *Server) reply(uncached int) statusReply {
	r := statusReply{Status: s.proxy.Status(), Uncached: s.proxy.Uncached(uncached)}
	r.UptimeSeconds = r.Now.Sub(r.Started).Seconds()
	r.HitRate = r.Status.HitRate()
	err := s.proxy.Ready()
	r.Ready = err == nil
	if err != nil {
		r.NotReady = err.Error()
	}
	return r
}

// status takes one parameter: the number of uncached statements.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	uncached, ok := number(w, r, "uncached")
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, s.reply(uncached))
}

// number reads a parameter from 0 to listMost; without it, it is listDefault. It answers the request and returns false where the parameter is none.
func number(w http.ResponseWriter, r *http.Request, name string) (n int, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return listDefault, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > listMost {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("%s: want a number from 0 to %d", name, listMost))
		return 0, false
	}
	return n, true
}

func writeError(w http.ResponseWriter, code int, what string) {
	writeJSON(w, code, map[string]string{"error": what})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // the client is gone
}
