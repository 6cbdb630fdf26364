package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pgrecall/pgrecall/warm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxyStub is a Proxy that remembers what was flushed.
type proxyStub struct {
	ready       error
	flushes     int
	database    string
	table       string
	fingerprint uint64
	tenant      string
	allows      int
	doubt       *Doubt
	uncached    int // asked for
	hot         int // asked for
	paused      bool
	question    Question
	holds       chan struct{} // explanations wait for it, where it is not nil
}

func (p *proxyStub) Status() Status {
	started := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	status := Status{
		Version: "v1 <b>", Upstream: "db:5432", Listen: []string{"127.0.0.1:6432"}, Started: started, Now: started.Add(90 * time.Second),
		Cache: "on", ClientConnections: 3,
		Statements:           map[string]uint64{"hit_l1": 60, "hit_l2": 15, "miss": 15, "bypass": 10, "write": 7},
		Bypasses:             map[string]uint64{"volatile_function": 9, "transaction": 1, "portal": 0},
		UpstreamSecondsSaved: 1.25,
		Verifications:        map[string]uint64{"same": 12, "different": 0, "inconclusive": 0},
		Tiers:                []Tier{{Name: "l1", Entries: 5, Bytes: 3 << 20, LimitBytes: 256 << 20}},
	}
	if p.doubt != nil {
		status.Doubts = []Doubt{*p.doubt}
		status.Verifications["different"] = 1
	}
	return status
}

func (p *proxyStub) Ready() error { return p.ready }

func (p *proxyStub) Flush(_ context.Context, what Selection) (Flushed, error) {
	if what.Tenant == "none" {
		return Flushed{}, errors.New("no tenants")
	}
	p.flushes++
	p.database, p.table, p.fingerprint, p.tenant = what.Database, what.Table, what.Fingerprint, what.Tenant
	return Flushed{L1: 5, Others: "applied"}, nil
}

func (p *proxyStub) Allow(_ context.Context, fingerprint uint64) int {
	p.allows++
	p.fingerprint = fingerprint
	return 2
}

func (p *proxyStub) Uncached(n int) []Uncached {
	p.uncached = n
	return []Uncached{{Fingerprint: "00ff", Query: "select <b> from t where a = $1", Reason: "volatile_function", Detail: "nextval",
		Meaning: "It writes.", Change: "Do not.", Count: 77, Seconds: 12.5, MaxSeconds: 0.25}}
}

func (p *proxyStub) Traffic() Traffic {
	return Traffic{
		Statements: []Statement{
			{Fingerprint: "00aa", Query: "select 1", Counts: Counts{Hits: 9, Misses: 1, HitRate: .9, SecondsSaved: 3}, Worth: &Worth{Origin: .5, BreakEven: .01, Pays: true}},
			{Fingerprint: "00bb", Query: "select 2"},
		},
		Tables: []Table{{Database: "app", Name: "public.item", Counts: Counts{Hits: 9, Writes: 2}}},
		Rules:  []Rule{{Name: "items", Counts: Counts{Hits: 9}}},
	}
}

func (p *proxyStub) Hot(n int) ([]warm.Query, bool) {
	p.hot = n
	return []warm.Query{{SQL: "select a from t where b = $1", Protocol: warm.Extended, Params: []warm.Param{warm.Param("secret value")}}}, n != 99
}

func newServer(t *testing.T, p *proxyStub, token string) *Server {
	t.Helper()
	registry := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "pgrecall_test_total", Help: "x"})
	registry.MustRegister(c)
	s, err := NewServer(Options{Proxy: p, Gatherer: registry, Logger: slog.New(slog.DiscardHandler), Address: "Metrics.internal:9632", Hosts: []string{"Pgrecall"}, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request to the handler; headers are "Name: value".
func ask(s *Server, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9632"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestPaths(t *testing.T) {
	for _, test := range []struct {
		method, target string
		code           int
		contains       string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/metrics", 200, "pgrecall_test_total 0"},
		{"GET", "/api/status", 200, `"hit_rate": 0.75`},
		{"GET", "/", 200, "75.0%"},
		{"GET", "/nowhere", 404, ""},
		{"POST", "/healthz", 405, ""},
		{"POST", "/", 405, ""},
		{"DELETE", "/metrics", 405, ""},
		{"PUT", "/api/status", 405, ""},
		{"GET", "/api/flush", 405, ""},
		{"HEAD", "/api/flush", 405, ""},
		{"OPTIONS", "/api/flush", 405, ""},
		{"GET", "/api/allow", 405, ""},
		{"HEAD", "/api/allow", 405, ""},
		{"GET", "/api/status?uncached=0", 200, `"uncached"`},
		{"GET", "/api/status?uncached=1000", 200, `"uncached"`},
		{"GET", "/api/status?uncached=1001", 400, "want a number from 0 to 1000"},
		{"GET", "/api/status?uncached=-1", 400, "want a number from 0 to 1000"},
		{"GET", "/api/status?uncached=many", 400, "want a number from 0 to 1000"},
	} {
		p := &proxyStub{}
		w := ask(newServer(t, p, ""), test.method, test.target, "")
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s %s: %d %s", test.method, test.target, w.Code, w.Body)
		}
		if test.code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", test.method, test.target)
		}
		if p.flushes+p.allows > 0 {
			t.Errorf("%s %s changed something", test.method, test.target)
		}
	}
}

func TestNotReady(t *testing.T) {
	s := newServer(t, &proxyStub{ready: errors.New("catalog not loaded")}, "")
	if w := ask(s, "GET", "/readyz", ""); w.Code != 503 || w.Body.String() != "not ready: catalog not loaded\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("%d: a process that waits is alive", w.Code)
	}
	if w := ask(s, "GET", "/", ""); !strings.Contains(w.Body.String(), "Not ready: catalog not loaded") {
		t.Errorf("%s", w.Body)
	}
}

func TestHostHeader(t *testing.T) {
	s := newServer(t, &proxyStub{}, "")
	for host, code := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:9632": 200, "[::1]:9632": 200, "[::1]": 200, "10.1.2.3:80": 200, "localhost": 200, "LocalHost:9632": 200,
		"metrics.internal:9632": 200, "METRICS.internal": 200, "pgrecall:9632": 200,
		"evil.example": 421, "evil.example:9632": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "": 421, "localhost:x:y": 421,
	} {
		if w := ask(s, "GET", "/healthz", "", "Host: "+host); w.Code != code {
			t.Errorf("Host %q: %d, want %d", host, w.Code, code)
		}
	}
}

func TestStatusJSON(t *testing.T) {
	var got struct {
		Uptime  float64 `json:"uptime_seconds"`
		HitRate float64 `json:"hit_rate"`
		Ready   bool    `json:"ready"`
		Status
		Uncached []Uncached `json:"uncached"`
	}
	w := ask(newServer(t, &proxyStub{}, "secret"), "GET", "/api/status", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Uptime != 90 || got.HitRate != 0.75 || !got.Ready || got.Bypasses["volatile_function"] != 9 || got.Tiers[0].Bytes != 3<<20 {
		t.Errorf("%+v", got)
	}
	if strings.Contains(w.Body.String(), "secret") {
		t.Error("the token shows")
	}
	if got.Verifications["same"] != 12 || len(got.Uncached) != 1 || got.Uncached[0].Query != "select <b> from t where a = $1" || got.Uncached[0].Change != "Do not." {
		t.Errorf("%+v %+v", got.Verifications, got.Uncached)
	}
}

func TestNumberOfUncached(t *testing.T) {
	for target, want := range map[string]int{"/api/status": 50, "/api/status?uncached=7": 7, "/api/status?uncached=0": 0, "/": 10} {
		p := &proxyStub{}
		if ask(newServer(t, p, ""), "GET", target, ""); p.uncached != want {
			t.Errorf("%s asks for %d, want %d", target, p.uncached, want)
		}
	}
}

func TestPageTellsOfDoubts(t *testing.T) {
	doubt := &Doubt{Fingerprint: "00000000000000ff", Tables: "public.<t>", Since: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	page := ask(newServer(t, &proxyStub{doubt: doubt}, ""), "GET", "/", "").Body.String()
	for _, want := range []string{"The cache was wrong", "00000000000000ff", "public.&lt;t&gt;", "2026-11-23 09:00:00 UTC", "/api/allow", "found a difference: 1", `aria-labelledby="doubts-title">`, `id="different" class="note bad">`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	page = ask(newServer(t, &proxyStub{}, ""), "GET", "/", "").Body.String()
	for _, want := range []string{`aria-labelledby="doubts-title" hidden>`, `id="different" class="note bad" hidden>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q without doubts", want)
		}
	}
}

func TestFlush(t *testing.T) {
	const form, asJSON = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	for name, test := range map[string]struct {
		query, body string
		headers     []string
		code        int
		want        proxyStub
	}{
		"everything":        {code: 200, want: proxyStub{flushes: 1}},
		"by query":          {query: "?table=a.b&database=d", code: 200, want: proxyStub{flushes: 1, table: "a.b", database: "d"}},
		"by form":           {body: "table=a&fingerprint=ff", headers: []string{form}, code: 200, want: proxyStub{flushes: 1, table: "a", fingerprint: 255}},
		"by JSON":           {body: `{"database":"d","fingerprint":"8f9e7a39f0adeef7"}`, headers: []string{asJSON}, code: 200, want: proxyStub{flushes: 1, database: "d", fingerprint: 0x8f9e7a39f0adeef7}},
		"tenant":            {query: "?tenant=a", code: 200, want: proxyStub{flushes: 1, tenant: "a"}},
		"no such tenants":   {query: "?tenant=none", code: 400},
		"all":               {query: "?all=true", code: 200, want: proxyStub{flushes: 1}},
		"all and a table":   {query: "?all=true&table=t", code: 400},
		"not all":           {query: "?all=false", code: 400},
		"empty object":      {body: `{}`, headers: []string{asJSON}, code: 200, want: proxyStub{flushes: 1}},
		"empty in JSON":     {body: `{"fingerprint":""}`, headers: []string{asJSON}, code: 400},
		"number in JSON":    {body: `{"fingerprint":1}`, headers: []string{asJSON}, code: 400},
		"misspelt":          {query: "?tabel=a", code: 400},
		"misspelt form":     {body: "tabel=a", headers: []string{form}, code: 400},
		"misspelt JSON":     {body: `{"tabel":"a"}`, headers: []string{asJSON}, code: 400},
		"twice":             {query: "?table=a&table=b", code: 400},
		"twice in two ways": {query: "?table=a", body: "table=b", headers: []string{form}, code: 400},
		"empty":             {query: "?table=", code: 400},
		"bad escape":        {query: "?table=%zz", code: 400},
		"two objects":       {body: `{}{}`, headers: []string{asJSON}, code: 400},
		"no type":           {body: `{}`, code: 400},
		"plain text":        {body: `{}`, headers: []string{"Content-Type: text/plain"}, code: 400},
		"bad fingerprint":   {query: "?fingerprint=xyz", code: 400},
		"zero fingerprint":  {query: "?fingerprint=0", code: 400},
		"large":             {body: "table=" + strings.Repeat("a", maxBody), headers: []string{form}, code: 413},
		"another site":      {headers: []string{"Sec-Fetch-Site: cross-site"}, code: 403},
		"another subdomain": {headers: []string{"Sec-Fetch-Site: same-site"}, code: 403},
		"own page":          {headers: []string{"Sec-Fetch-Site: same-origin"}, code: 200, want: proxyStub{flushes: 1}},
		"foreign host":      {headers: []string{"Host: evil.example"}, code: 421},
	} {
		t.Run(name, func(t *testing.T) {
			p := &proxyStub{}
			w := ask(newServer(t, p, ""), "POST", "/api/flush"+test.query, test.body, test.headers...)
			if w.Code != test.code || *p != test.want {
				t.Errorf("%d %s %+v", w.Code, w.Body, p)
			}
			if test.code == 200 && !strings.Contains(w.Body.String(), `"removed": 5`) {
				t.Errorf("%s", w.Body)
			}
		})
	}
}

func TestAllow(t *testing.T) {
	const form, asJSON = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	for name, test := range map[string]struct {
		query, body string
		headers     []string
		code        int
		want        proxyStub
	}{
		"everything":      {code: 200, want: proxyStub{allows: 1}},
		"by query":        {query: "?fingerprint=8f9e7a39f0adeef7", code: 200, want: proxyStub{allows: 1, fingerprint: 0x8f9e7a39f0adeef7}},
		"by form":         {body: "fingerprint=ff", headers: []string{form}, code: 200, want: proxyStub{allows: 1, fingerprint: 255}},
		"by JSON":         {body: `{"fingerprint":"ff"}`, headers: []string{asJSON}, code: 200, want: proxyStub{allows: 1, fingerprint: 255}},
		"empty in JSON":   {body: `{"fingerprint":""}`, headers: []string{asJSON}, code: 400},
		"empty":           {query: "?fingerprint=", code: 400},
		"zero":            {query: "?fingerprint=0", code: 400},
		"misspelt":        {query: "?fingerprnt=ff", code: 400},
		"a table":         {query: "?table=a", code: 400},
		"a database, too": {query: "?fingerprint=ff&database=d", code: 400},
		"another site":    {headers: []string{"Sec-Fetch-Site: cross-site"}, code: 403},
		"own page":        {headers: []string{"Sec-Fetch-Site: same-origin"}, code: 200, want: proxyStub{allows: 1}},
		"foreign host":    {headers: []string{"Host: evil.example"}, code: 421},
	} {
		t.Run(name, func(t *testing.T) {
			p := &proxyStub{}
			w := ask(newServer(t, p, ""), "POST", "/api/allow"+test.query, test.body, test.headers...)
			if w.Code != test.code || *p != test.want {
				t.Errorf("%d %s %+v", w.Code, w.Body, p)
			}
			if test.code == 200 && !strings.Contains(w.Body.String(), `"allowed": 2`) {
				t.Errorf("%s", w.Body)
			}
		})
	}
}

func TestChangesNeedTheToken(t *testing.T) {
	for header, code := range map[string]int{
		"":                                  401,
		"Authorization: Bearer":             401,
		"Authorization: Bearer ":            401,
		"Authorization: Bearer wrong":       401,
		"Authorization: Bearer s3cre":       401,
		"Authorization: Bearer s3crett":     401,
		"Authorization: Basic s3cret":       401,
		"Authorization: s3cret":             401,
		"Authorization: Bearer s3cret":      200,
		"Authorization: bearer s3cret":      200,
		"Authorization: Bearer s3cret more": 401,
	} {
		p := &proxyStub{}
		w := ask(newServer(t, p, "s3cret"), "POST", "/api/flush", "", header)
		if w.Code != code || (p.flushes == 1) != (code == 200) {
			t.Errorf("%q: %d, %d flushes", header, w.Code, p.flushes)
		}
		p = &proxyStub{}
		if w := ask(newServer(t, p, "s3cret"), "POST", "/api/allow", "", header); w.Code != code || (p.allows == 1) != (code == 200) {
			t.Errorf("%q: %d, %d allowed", header, w.Code, p.allows)
		}
		if code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
}

func TestServeAndShutdown(t *testing.T) {
	s := newServer(t, &proxyStub{}, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", r, err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	_ = conn.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTimeoutsAreSet(t *testing.T) {
	h := newServer(t, &proxyStub{}, "").http
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Errorf("a slow client could stay: %+v", h)
	}
}

func TestIncompleteOptions(t *testing.T) {
	if _, err := NewServer(Options{}); err == nil {
		t.Error("no error")
	}
}

// TestHotKeysNeedTheToken: they hold values.
func TestHotKeysNeedTheToken(t *testing.T) {
	p := &proxyStub{}
	open, secured := newServer(t, p, ""), newServer(t, p, "right")
	for _, test := range []struct {
		s        *Server
		target   string
		code     int
		contains string
		headers  []string
	}{
		{open, "/api/hot", 403, "only where admin.token is set", nil},
		{open, "/api/hot", 403, "only where admin.token is set", []string{"Authorization: Bearer "}},
		{secured, "/api/hot", 401, "a valid token is needed", nil},
		{secured, "/api/hot", 401, "a valid token is needed", []string{"Authorization: Bearer wrong"}},
		{secured, "/api/hot", 403, "another site", []string{"Authorization: Bearer right", "Sec-Fetch-Site: cross-site"}},
		{secured, "/api/hot", 200, `"secret value"`, []string{"Authorization: Bearer right"}},
		{secured, "/api/hot?limit=7", 200, `"sql": "select a from t where b = $1"`, []string{"Authorization: Bearer right"}},
		{secured, "/api/hot?limit=0", 400, "limit: want", []string{"Authorization: Bearer right"}},
		{secured, "/api/hot?limit=99", 404, "warm.hot_keys is 0", []string{"Authorization: Bearer right"}},
	} {
		w := ask(test.s, "GET", test.target, "", test.headers...)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s %q: %d %s", test.target, test.headers, w.Code, w.Body)
		}
		if test.code != 200 && strings.Contains(w.Body.String(), "secret value") {
			t.Errorf("%s %q shows a value", test.target, test.headers)
		}
	}
	if p.hot != 99 {
		t.Errorf("asked for %d", p.hot)
	}
	if w := ask(secured, "POST", "/api/hot", "", "Authorization: Bearer right"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}
