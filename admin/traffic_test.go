package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTraffic(t *testing.T) {
	get := func(query string) (int, Traffic) {
		server := newServer(t, &proxyStub{}, "")
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://localhost/api/traffic"+query, http.NoBody)
		server.Handler().ServeHTTP(w, r)
		var traffic Traffic
		if w.Code == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &traffic); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, traffic
	}
	if code, got := get(""); code != http.StatusOK || len(got.Statements) != 2 || got.Statements[0].HitRate != .9 || !got.Statements[0].Worth.Pays || got.Statements[1].Worth != nil ||
		len(got.Tables) != 1 || got.Tables[0].Writes != 2 || got.Rules[0].Name != "items" {
		t.Errorf("%d %+v", code, got)
	}
	if code, got := get("?n=1"); code != http.StatusOK || len(got.Statements) != 1 {
		t.Errorf("%d %+v", code, got)
	}
	for _, bad := range []string{"?n=-1", "?n=x", "?n=1001"} {
		if code, _ := get(bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
}
