package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
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

// statusReply adds to the figures what follows from them.
type statusReply struct {
	Status
	UptimeSeconds float64 `json:"uptime_seconds"`
	HitRate       float64 `json:"hit_rate"`
	Ready         bool    `json:"ready"`
	NotReady      string  `json:"not_ready,omitempty"`
}

func (s *Server) reply() statusReply {
	r := statusReply{Status: s.proxy.Status()}
	r.UptimeSeconds = r.Now.Sub(r.Started).Seconds()
	r.HitRate = r.Status.HitRate()
	err := s.proxy.Ready()
	r.Ready = err == nil
	if err != nil {
		r.NotReady = err.Error()
	}
	return r
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.reply())
}

// flushRequest is the body of POST /api/flush, as JSON or as a form. Without a body everything goes.
type flushRequest struct {
	Database    string `json:"database"`
	Table       string `json:"table"`
	Fingerprint string `json:"fingerprint"` // hexadecimal
}

func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="pgrecall"`)
		writeError(w, http.StatusUnauthorized, "a valid token is needed")
		return
	}
	// A page of another site can send a form, but not without its Origin. Sec-Fetch-Site comes
	// from every current browser.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		writeError(w, http.StatusForbidden, "refused for a page of another site")
		return
	}
	request, err := readFlush(r)
	if err != nil {
		code := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			code = http.StatusRequestEntityTooLarge
		}
		writeError(w, code, err.Error())
		return
	}
	var fingerprint uint64
	if request.Fingerprint != "" {
		fingerprint, err = strconv.ParseUint(request.Fingerprint, 16, 64)
		if err != nil || fingerprint == 0 {
			writeError(w, http.StatusBadRequest, "fingerprint: not a hexadecimal number of 64 bits")
			return
		}
	}
	removed := s.proxy.Flush(request.Database, request.Table, fingerprint)
	s.logger.Info("cache flushed", "removed", removed, "database", request.Database,
		"table", request.Table, "fingerprint", request.Fingerprint, "from", r.RemoteAddr)
	writeJSON(w, http.StatusOK, map[string]int{"removed": removed})
}

// readFlush is strict: a misspelt "tabel" must not flush everything.
func readFlush(r *http.Request) (flushRequest, error) {
	var request flushRequest
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return request, fmt.Errorf("body: %w", err)
	}
	if len(body) > 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case err == nil && kind == "application/json":
			if err := decodeStrict(body, &request); err != nil {
				return request, fmt.Errorf("body: %w", err)
			}
		case err == nil && kind == "application/x-www-form-urlencoded":
			form, err := url.ParseQuery(string(body))
			if err != nil {
				return request, errors.New("body: not a form")
			}
			if err := request.merge(form); err != nil {
				return request, err
			}
		default:
			return request, errors.New("body: want Content-Type application/json or application/x-www-form-urlencoded")
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return request, errors.New("query: not understood")
	}
	return request, request.merge(query)
}

func (f *flushRequest) merge(values url.Values) error {
	for key, v := range values {
		field := map[string]*string{"database": &f.Database, "table": &f.Table, "fingerprint": &f.Fingerprint}[key]
		if field == nil {
			return fmt.Errorf("unknown parameter %q: want database, table, fingerprint", key)
		}
		if len(v) != 1 || v[0] == "" || *field != "" {
			return fmt.Errorf("%s: want one value", key)
		}
		*field = v[0]
	}
	return nil
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
