package admin

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Bounds on what takes time to make.
const (
	mostPending = 32 // different requests that wait at the same time
	// idleShare is how long nothing is made after something took its time, as a multiple of that: however many ask, a fifth of one processor is all
	// that they get. The data path has the rest.
	idleShare   = 4
	longestRest = time.Second
)

// renderings make a page once for all who ask for it at the same time. A page is begun after it was asked for, so it is never older than the question.
// No client's slowness holds another's up: what is made is made into memory, and sent by each request for itself.
type renderings struct {
	handler http.Handler
	logger  *slog.Logger

	mu      sync.Mutex
	pending map[string]*rendering // asked for, and not begun
	running bool
	rest    time.Time // nothing begins before that
}

// rendering is a page, and the http.ResponseWriter that takes it.
type rendering struct {
	request *http.Request
	done    chan struct{} // closed when the rest is complete, and not changed any more
	header  http.Header
	code    int
	body    bytes.Buffer
}

func newRenderings(handler http.Handler, logger *slog.Logger) *renderings {
	return &renderings{handler: handler, logger: logger, pending: map[string]*rendering{}}
}

// ServeHTTP implements http.Handler.
func (s *renderings) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := s.join(r)
	if page == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many different requests at the same time", http.StatusServiceUnavailable)
		return
	}
	select {
	case <-page.done:
	case <-r.Context().Done():
		return
	}
	maps.Copy(w.Header(), page.header)
	w.WriteHeader(page.code)
	_, _ = w.Write(page.body.Bytes()) // the client is gone
}

// join returns the page that all who ask for the same get, nil where too much else is waited for.
func (s *renderings) join(r *http.Request) *rendering {
	key := r.Method + " " + r.URL.RequestURI() + "\n" + r.Header.Get("Accept") + "\n" + r.Header.Get("Accept-Encoding")
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.pending[key]
	if page == nil {
		if len(s.pending) >= mostPending {
			return nil
		}
		page = &rendering{request: r.Clone(context.WithoutCancel(r.Context())), done: make(chan struct{}), header: http.Header{}, code: http.StatusOK}
		s.pending[key] = page
	}
	if !s.running {
		s.running = true
		go s.run()
	}
	return page
}

// run makes pages until nobody waits for one.
func (s *renderings) run() {
	for {
		s.mu.Lock()
		if len(s.pending) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		rest := time.Until(s.rest)
		s.mu.Unlock()
		if rest > 0 {
			<-time.After(rest)
		}

		s.mu.Lock()
		pages := s.pending
		s.pending = map[string]*rendering{}
		s.mu.Unlock()
		began := time.Now()
		for _, page := range pages {
			s.render(page)
		}
		now := time.Now()
		s.mu.Lock()
		s.rest = now.Add(min(idleShare*now.Sub(began), longestRest))
		s.mu.Unlock()
	}
}

// render makes a page. A defect in what it shows must not end the process, as it would not in a handler of its own.
func (s *renderings) render(page *rendering) {
	defer close(page.done)
	defer func() {
		if defect := recover(); defect != nil {
			s.logger.Error("a page could not be made", "path", page.request.URL.Path, "defect", defect)
			page.body.Reset()
			page.header, page.code = http.Header{}, http.StatusInternalServerError
		}
	}()
	s.handler.ServeHTTP(page, page.request)
}

// Header implements http.ResponseWriter.
func (p *rendering) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *rendering) WriteHeader(code int) { p.code = code }

// Write implements http.ResponseWriter.
func (p *rendering) Write(b []byte) (int, error) { return p.body.Write(b) }
