package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgrecall/pgrecall/warm"
)

// Limits on requests, generous for operators and useless for a flood.
const (
	maxBody           = 64 << 10
	maxHeader         = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Proxy is what the admin server shows and flushes. Its methods may be called at any time from
// any goroutine.
type Proxy interface {
	// Status returns the figures of this moment.
	Status() Status
	// Ready returns nil when clients can be served from the cache, else the reason why not.
	Ready() error
	// Flush removes what is cached, here and in what is shared with others. The context bounds how long it waits for these. An error is the
	// request's fault.
	Flush(context.Context, Selection) (Flushed, error)
	// Allow lets statements of a fingerprint be cached again that a verification stopped, 0 for all of them. It returns how many
	// shapes were stopped. The context bounds how long it waits for others to forget what they have of them.
	Allow(ctx context.Context, fingerprint uint64) int
	// Uncached returns the n shapes of reads that took the most time and were not cached, the longest first.
	Uncached(n int) []Uncached
	// Traffic returns what became of statements, by shape, table and rule; no list is nil.
	Traffic() Traffic
	// Hot returns the n most used queries, the most used first; false where none are remembered.
	Hot(n int) ([]warm.Query, bool)
	// Sample returns the counters of this moment, at little cost.
	Sample() Sample
	// Tables returns at most n tables with their rules, those first with the most statements, and how many there are; the list is not nil.
	Tables(n int) (list []RuledTable, all int)
	// Clients returns the connections of this moment, the oldest first; the list is not nil.
	Clients() []Client
	// Explain tells what becomes of a statement, as a value for JSON. An error is most likely the request's fault.
	Explain(context.Context, Question) (any, error)
	// Pause stops serving from the cache and filling it until Resume, in this process.
	Pause()
	Resume()
	Paused() bool
}

// Options of a Server. Proxy, Gatherer and Logger are required.
type Options struct {
	Proxy    Proxy
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger
	// Address is the configured one: its host is a valid Host header, besides addresses and localhost.
	Address string
	// Hosts are further names that are valid there.
	Hosts []string
	// Token is what a change and hot keys need, "" for nothing: there are no hot keys then.
	Token string
	// Interval is that of the history, 0 for 5 s.
	Interval time.Duration
}

// Server serves the admin pages.
type Server struct {
	proxy   Proxy
	logger  *slog.Logger
	hosts   map[string]bool // names that are ours, in lower case
	token   [sha256.Size]byte
	secured bool
	crowd   *crowd
	origins *http.CrossOriginProtection
	http    *http.Server

	page     *page
	interval time.Duration
	past     history
	explains chan struct{} // holds those under way
}

// NewServer returns a server that is not listening yet.
func NewServer(o Options) (*Server, error) {
	if o.Proxy == nil || o.Gatherer == nil || o.Logger == nil {
		return nil, errors.New("admin: incomplete options")
	}
	s := &Server{proxy: o.Proxy, logger: o.Logger, token: sha256.Sum256([]byte(o.Token)), secured: o.Token != "", crowd: newCrowd(),
		origins: http.NewCrossOriginProtection(), interval: o.Interval, explains: make(chan struct{}, maxExplains)}
	if s.interval <= 0 {
		s.interval = historyInterval
	}
	var err error
	if s.page, err = newPage(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s.hosts = map[string]bool{"localhost": true}
	for _, host := range o.Hosts {
		s.hosts[strings.ToLower(host)] = true
	}
	if host, _, err := net.SplitHostPort(o.Address); err == nil && host != "" {
		s.hosts[strings.ToLower(host)] = true
	}
	metrics := promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,
	})
	costly := func(handler http.Handler) http.Handler {
		return only(http.MethodGet, newRenderings(handler, o.Logger))
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", costly(metrics))
	mux.Handle("/healthz", only(http.MethodGet, http.HandlerFunc(s.health)))
	mux.Handle("/readyz", only(http.MethodGet, http.HandlerFunc(s.ready)))
	mux.Handle("/api/status", costly(http.HandlerFunc(s.status)))
	mux.Handle("/api/traffic", costly(http.HandlerFunc(s.traffic)))
	mux.Handle("/api/hot", only(http.MethodGet, http.HandlerFunc(s.hot)))
	mux.Handle("/api/flush", only(http.MethodPost, http.HandlerFunc(s.flush)))
	mux.Handle("/api/allow", only(http.MethodPost, http.HandlerFunc(s.allow)))
	mux.Handle("/api/history", costly(http.HandlerFunc(s.history)))
	mux.Handle("/api/tables", costly(http.HandlerFunc(s.tables)))
	mux.Handle("/api/clients", costly(http.HandlerFunc(s.clients)))
	mux.Handle("/api/explain", only(http.MethodPost, http.HandlerFunc(s.explain)))
	mux.Handle("/api/pause", only(http.MethodPost, http.HandlerFunc(s.pause)))
	mux.Handle("/api/resume", only(http.MethodPost, http.HandlerFunc(s.resume)))
	mux.Handle("/{$}", costly(http.HandlerFunc(s.showPage)))
	s.http = &http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.crowd.changed,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handler returns what Serve serves.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve answers requests and keeps the history until Shutdown; it then returns nil. It owns the listener.
func (s *Server) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	var recorder sync.WaitGroup
	recorder.Go(func() { s.record(ctx) })
	defer recorder.Wait()
	defer cancel()
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown lets running requests finish while ctx lasts and closes the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// guard refuses requests whose Host header is a name that is not ours: a web page can make its own
// name point at this address (DNS rebinding) and would then read and flush as the operator.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", closedPolicy)
		h.Set("Cache-Control", "no-store")
		if !s.knows(r.Host) {
			http.Error(w, "unknown Host header", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// knows tells whether a Host header is an address, localhost or a configured name.
func (s *Server) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(host)
	if s.hosts[host] {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}

// only refuses other methods; HEAD goes where GET goes.
func only(method string, next http.Handler) http.Handler {
	allow := method
	if method == http.MethodGet {
		allow = "GET, HEAD"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", allow)
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorized compares hashes, so that neither the content nor the length of the token shows in
// the time that it takes.
func (s *Server) authorized(r *http.Request) bool {
	if !s.secured {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(token))
	return strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare(got[:], s.token[:]) == 1
}
