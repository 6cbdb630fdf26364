package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func (p *proxyStub) Sample() Sample {
	return Sample{Hits: 60, Cached: Latencies{Bounds: []float64{.001, .01}, Counts: []uint64{60, 0, 0}}}
}

func (p *proxyStub) Tables(n int) ([]RuledTable, int) {
	list := []RuledTable{
		{Table: Table{Database: "app", Name: "public.item", Counts: Counts{Hits: 9, Writes: 2}}, Known: true, Rule: "items", Partly: []string{"mine"}, Cached: true, TTLSeconds: 7, Consistency: "strict"},
		{Table: Table{Database: "app", Name: "public.other"}, Known: true},
	}
	return list[:min(n, 2)], 2
}

func (p *proxyStub) Clients() []Client {
	return []Client{{PID: 42, Role: "alice", Database: "app", Address: "10.0.0.1:5", State: "idle", Connected: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}, {State: "starting"}}
}

func (p *proxyStub) Explain(ctx context.Context, q Question) (any, error) {
	if p.holds == nil { // one at a time
		p.question = q
	}
	if q.Database == "none" {
		return nil, errors.New("cannot connect:\n  no such database")
	}
	if p.holds != nil {
		select {
		case p.holds <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return map[string]string{"verdict": "cache"}, nil
}

func (p *proxyStub) Pause()       { p.paused = true }
func (p *proxyStub) Resume()      { p.paused = false }
func (p *proxyStub) Paused() bool { return p.paused }

func TestPage(t *testing.T) {
	w := ask(newServer(t, &proxyStub{}, ""), "GET", "/", "")
	page := w.Body.String()
	for _, want := range []string{"v1 &lt;b&gt;", "1m30s", "volatile_function", "3.0 MiB", "256.0 MiB", "1.2 s",
		"select &lt;b&gt; from t where a = $1", "(nextval): It writes.", "Do not.", "12.5 s", "250.0 ms", "77", "same", `data-secured="false"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, other := range []string{"portal", "http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick=", "localStorage", "sessionStorage"} {
		if strings.Contains(page, other) {
			t.Errorf("%q on the page", other)
		}
	}
	if w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("%v", w.Header())
	}
	if page := ask(newServer(t, &proxyStub{}, "secret"), "GET", "/", "").Body.String(); !strings.Contains(page, `data-secured="true"`) || strings.Contains(page, "secret\"") {
		t.Error("the page does not know that there is a token, or shows it")
	}
}

// TestPagePolicy: the policy allows what stands on the page and nothing else.
func TestPagePolicy(t *testing.T) {
	server := newServer(t, &proxyStub{}, "")
	w := ask(server, "GET", "/", "")
	hashes := map[string]string{}
	for _, tag := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(found) != 1 || len(found[0][1]) < 1000 {
			t.Fatalf("%d <%s>", len(found), tag)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		hashes[tag] = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'", hashes["style"], hashes["script"])
	if got := w.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	for _, target := range []string{"/api/status", "/metrics", "/nowhere", "/api/flush"} {
		if got := ask(server, "GET", target, "").Header().Get("Content-Security-Policy"); got != closedPolicy {
			t.Errorf("%s: %s", target, got)
		}
	}
}

func TestLists(t *testing.T) {
	server := newServer(t, &proxyStub{}, "secret")
	for _, test := range []struct {
		target   string
		code     int
		contains string
	}{
		{"/api/tables", 200, `"partly": [`},
		{"/api/tables", 200, `"hits": 9`},
		{"/api/tables?n=1", 200, `"all": 2`},
		{"/api/tables?n=1001", 400, "want a number from 0 to 1000"},
		{"/api/clients", 200, `"role": "alice"`},
		{"/api/clients?n=0", 200, `"all": 2`},
		{"/api/clients?n=x", 400, "want a number"},
		{"/api/history", 200, `"points": []`},
		{"/api/history?since=yesterday", 400, "want a time"},
	} {
		if w := ask(server, "GET", test.target, ""); w.Code != test.code || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s: %d %s", test.target, w.Code, w.Body)
		}
		if w := ask(server, "POST", test.target, ""); w.Code != 405 {
			t.Errorf("POST %s: %d", test.target, w.Code)
		}
	}
	if body := ask(server, "GET", "/api/tables?n=1", "").Body.String(); strings.Contains(body, "public.other") {
		t.Errorf("%s", body)
	}
	if body := ask(server, "GET", "/api/clients?n=1", "").Body.String(); strings.Contains(body, "starting") {
		t.Errorf("%s", body)
	}
}

func TestExplain(t *testing.T) {
	const asJSON = "Content-Type: application/json"
	for name, test := range map[string]struct {
		token, body string
		headers     []string
		code        int
		contains    string
		want        Question
	}{
		"statement":        {body: `{"sql":"SELECT 1"}`, headers: []string{asJSON}, code: 200, contains: `"verdict": "cache"`, want: Question{SQL: "SELECT 1"}},
		"of somebody":      {body: `{"sql":"SELECT 1","database":"d","user":"u"}`, headers: []string{asJSON}, code: 200, want: Question{"SELECT 1", "d", "u"}},
		"nothing":          {body: `{}`, headers: []string{asJSON}, code: 400, contains: "sql: want a statement"},
		"blanks":           {body: `{"sql":" \n"}`, headers: []string{asJSON}, code: 400, contains: "sql: want a statement"},
		"misspelt":         {body: `{"sql":"SELECT 1","databse":"d"}`, headers: []string{asJSON}, code: 400, contains: "want database, sql, user"},
		"no database":      {body: `{"sql":"SELECT 1","database":"none"}`, headers: []string{asJSON}, code: 400, contains: `"cannot connect: no such database"`, want: Question{SQL: "SELECT 1", Database: "none"}},
		"large":            {body: `{"sql":"` + strings.Repeat("a", maxBody) + `"}`, headers: []string{asJSON}, code: 413},
		"plain text":       {body: `{"sql":"SELECT 1"}`, headers: []string{"Content-Type: text/plain"}, code: 400},
		"no token":         {token: "right", body: `{"sql":"SELECT 1"}`, headers: []string{asJSON}, code: 401},
		"wrong token":      {token: "right", body: `{"sql":"SELECT 1"}`, headers: []string{asJSON, "Authorization: Bearer wrong"}, code: 401},
		"token":            {token: "right", body: `{"sql":"SELECT 1"}`, headers: []string{asJSON, "Authorization: Bearer right"}, code: 200, want: Question{SQL: "SELECT 1"}},
		"another site":     {body: `{"sql":"SELECT 1"}`, headers: []string{asJSON, "Sec-Fetch-Site: cross-site"}, code: 403},
		"another's origin": {body: `{"sql":"SELECT 1"}`, headers: []string{asJSON, "Origin: http://evil.example"}, code: 403},
	} {
		t.Run(name, func(t *testing.T) {
			p := &proxyStub{}
			w := ask(newServer(t, p, test.token), "POST", "/api/explain", test.body, test.headers...)
			if w.Code != test.code || p.question != test.want || !strings.Contains(w.Body.String(), test.contains) {
				t.Errorf("%d %s %+v", w.Code, w.Body, p.question)
			}
		})
	}
}

// TestExplainsAtOnce: each reads a catalog, so there are few at a time.
func TestExplainsAtOnce(t *testing.T) {
	p := &proxyStub{holds: make(chan struct{})}
	server := newServer(t, p, "")
	explain := func() int {
		return ask(server, "POST", "/api/explain", `{"sql":"SELECT 1"}`, "Content-Type: application/json").Code
	}
	codes := make(chan int)
	for range maxExplains + 1 {
		go func() { codes <- explain() }()
	}
	select {
	case code := <-codes:
		if code != http.StatusServiceUnavailable {
			t.Errorf("%d", code)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("none is refused")
	}
	for range maxExplains {
		<-p.holds
		if code := <-codes; code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
	p.holds = nil
	if code := explain(); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}

func TestPause(t *testing.T) {
	p := &proxyStub{}
	open, secured := newServer(t, p, ""), newServer(t, p, "right")
	for _, test := range []struct {
		s              *Server
		method, target string
		headers        []string
		code           int
		paused         bool
	}{
		{open, "POST", "/api/pause", nil, 200, true},
		{open, "GET", "/api/resume", nil, 405, true},
		{open, "POST", "/api/resume?table=t", nil, 400, true},
		{open, "POST", "/api/resume", []string{"Origin: null"}, 403, true},
		{secured, "POST", "/api/resume", nil, 401, true},
		{secured, "POST", "/api/resume", []string{"Authorization: Bearer right", "Sec-Fetch-Site: same-site"}, 403, true},
		{secured, "POST", "/api/resume", []string{"Authorization: Bearer right"}, 200, false},
		{secured, "POST", "/api/pause", []string{"Authorization: Bearer wrong"}, 401, false},
	} {
		w := ask(test.s, test.method, test.target, "", test.headers...)
		if w.Code != test.code || p.paused != test.paused || test.code == 200 && !strings.Contains(w.Body.String(), fmt.Sprintf(`"paused": %t`, test.paused)) {
			t.Errorf("%s %s %q: %d %s, paused %t", test.method, test.target, test.headers, w.Code, w.Body, p.paused)
		}
	}
}

// TestOrigins: to other addresses than loopback a browser tells over plain HTTP who asks by the Origin alone.
func TestOrigins(t *testing.T) {
	for origin, code := range map[string]int{
		"http://127.0.0.1:9632": 200, "https://127.0.0.1:9632": 200,
		"http://evil.example": 403, "http://127.0.0.1:9633": 403, "http://127.0.0.1": 403, "null": 403,
	} {
		for _, target := range []string{"/api/flush", "/api/allow", "/api/pause", "/api/resume"} {
			p := &proxyStub{}
			if w := ask(newServer(t, p, ""), "POST", target, "", "Origin: "+origin); w.Code != code || code != 200 && (p.flushes+p.allows > 0 || p.paused) {
				t.Errorf("%s from %s: %d %s", target, origin, w.Code, w.Body)
			}
		}
	}
}
