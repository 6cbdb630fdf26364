package admin

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// listen serves until the test ends, with that many connections at most.
func listen(t *testing.T, s *Server, connections int) (address string) {
	t.Helper()
	s.crowd.most = connections
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.http.Close()
		<-served
	})
	return l.Addr().String()
}

// TestThousandsOfScrapes: they are all answered, by a few collections, each of which began after it was asked for.
func TestThousandsOfScrapes(t *testing.T) {
	var collections atomic.Int64
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pgrecall_collections", Help: "x"}, func() float64 {
		<-time.After(time.Millisecond) // as long as collecting takes
		return float64(collections.Add(1))
	}))
	s, err := NewServer(Options{Proxy: &proxyStub{}, Gatherer: registry, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	address := listen(t, s, mostConnections)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	const clients, each = 64, 50
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range each {
				before := collections.Load()
				reply, err := client.Get("http://" + address + "/metrics")
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(reply.Body)
				_ = reply.Body.Close()
				var value int64
				_, text, _ := strings.Cut(string(body), "\npgrecall_collections ")
				if _, scanned := fmt.Sscan(text, &value); err != nil || reply.StatusCode != http.StatusOK || scanned != nil || value <= before {
					t.Errorf("%d %v: %d after %d", reply.StatusCode, err, value, before)
					return
				}
			}
		})
	}
	all.Wait()
	if n := collections.Load(); n > clients*each/4 {
		t.Errorf("%d collections for %d scrapes", n, clients*each)
	}
}

// TestPagesRest: what makes pages rests four times as long as that takes.
func TestPagesRest(t *testing.T) {
	var busy time.Duration // of one at a time
	pages := newRenderings(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		began := time.Now()
		<-time.After(2 * time.Millisecond)
		busy += time.Since(began)
	}), slog.New(slog.DiscardHandler))
	began := time.Now()
	for range 20 {
		pages.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	if whole := time.Since(began); whole < 4*busy {
		t.Errorf("busy for %v of %v", busy, whole)
	}
}

func TestPagesKeepTheirRequestsApart(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	pages := newRenderings(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			entered <- struct{}{}
			<-hold
		}
		if r.URL.Path == "/broken" {
			panic("broken")
		}
		w.Header().Set("X-Of", r.URL.RequestURI()+r.Header.Get("Accept-Encoding"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}), slog.New(slog.DiscardHandler))
	ask := func(target, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		return w
	}
	var all sync.WaitGroup
	all.Go(func() { ask("/held", "") })
	<-entered
	var joined, refused atomic.Int64
	for i := range mostPending + 10 {
		all.Go(func() {
			target := fmt.Sprintf("/%d?%d", i, i)
			switch w := ask(target, "gzip"); {
			case w.Code == http.StatusServiceUnavailable:
				if refused.Add(1) == 10 {
					close(hold)
				}
			case w.Code == http.StatusTeapot && w.Body.String() == fmt.Sprint(i) && w.Header().Get("X-Of") == target+"gzip":
				joined.Add(1)
			default:
				t.Errorf("%s: %d %s %v", target, w.Code, w.Body, w.Header())
			}
		})
	}
	all.Wait()
	if joined.Load() != mostPending || refused.Load() != 10 {
		t.Errorf("%d answered, %d refused", joined.Load(), refused.Load())
	}
	if w := ask("/broken", ""); w.Code != http.StatusInternalServerError || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("/whole?1", ""); w.Code != http.StatusTeapot {
		t.Errorf("after a defect: %d", w.Code)
	}
}

// TestScrapesMayBeCompressed as they were before pages were shared.
func TestScrapesMayBeCompressed(t *testing.T) {
	w := ask(newServer(t, &proxyStub{}, ""), http.MethodGet, "/metrics", "", "Accept-Encoding: gzip")
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v", w.Header())
	}
	text, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(text); err != nil || !strings.Contains(string(body), "pgrecall_test_total 0") {
		t.Errorf("%s %v", body, err)
	}
}

// TestSlowClients: those that send half a request, and those that read nothing, leave room for who asks whether pgrecall is alive.
func TestSlowClients(t *testing.T) {
	s := newServer(t, &proxyStub{}, "")
	const room = 8
	address := listen(t, s, room)
	var slow []net.Conn
	for i := range 10 * room {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		slow = append(slow, conn)
		request := "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" // and never reads
		if i%2 == 0 {
			request = "GET /met" // and never goes on
		}
		if _, err := io.WriteString(conn, request); err != nil && i < room {
			t.Fatal(err)
		}
	}
	for range 3 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second)) // half of what slow ones have
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		_ = conn.Close()
		if reply.StatusCode != http.StatusOK {
			t.Error(reply.Status)
		}
	}
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	if len(s.crowd.since) > room {
		t.Errorf("%d connections", len(s.crowd.since))
	}
	_ = slow[0].SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := slow[0].Read(make([]byte, 1)); err == nil {
		t.Error("the first slow one is still there")
	}
}
