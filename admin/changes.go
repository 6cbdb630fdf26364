package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// change is what POST /api/flush and /api/allow are about, in the query, as JSON or as a form. Without any of it, everything.
type change struct {
	Database    string
	Table       string
	Fingerprint string // hexadecimal
	Tenant      string
	All         string // "true", for those who want to say so
	fingerprint uint64
}

// Selection says what a flush is of: what all fields fit that are not empty, everything where all are.
type Selection struct {
	Database    string
	Table       string // "t" or "schema.t"
	Tenant      string
	Fingerprint uint64
}

// Flushed is what came of a flush.
type Flushed struct {
	L1      int    `json:"removed"`            // entries of this process
	L2      *int   `json:"l2_removed"`         // null without L2, and where it was not reached; -1 where it does not tell
	L2Error string `json:"l2_error,omitempty"` // why not; what is left there is not served
	Others  string `json:"others,omitempty"`   // what other pgrecalls know: applied, told, unreachable, unknown; nothing where there are none
}

// flushTimeout bounds how long a flush waits for what is shared with others.
const flushTimeout = 5 * time.Minute

// allowTimeout bounds how long other pgrecalls are waited for before statements are cached again here.
const allowTimeout = 30 * time.Second

// permitted checks the token and that no other site's page asks. It answers the request where it may not change anything.
func (s *Server) permitted(w http.ResponseWriter, r *http.Request) bool {
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="pgrecall"`)
		writeError(w, http.StatusUnauthorized, "a valid token is needed")
		return false
	}
	// A page of another site can send a form, but not without its Origin. Sec-Fetch-Site comes from every current browser, but over plain HTTP
	// only to loopback addresses (W3C, Fetch Metadata, 2.1): to others the Origin has to tell.
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" && site != "none" || s.origins.Check(r) != nil {
		writeError(w, http.StatusForbidden, "refused for a page of another site")
		return false
	}
	return true
}

// refuse answers a request that is not understood.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		code = http.StatusRequestEntityTooLarge
	}
	writeError(w, code, err.Error())
}

// requested returns what the request asks for. It answers the request where that is not understood.
func requested(w http.ResponseWriter, r *http.Request) (change, bool) {
	c, err := readChange(r)
	if err != nil {
		refuse(w, err)
		return c, false
	}
	if c.Fingerprint != "" {
		c.fingerprint, err = strconv.ParseUint(c.Fingerprint, 16, 64)
		if err != nil || c.fingerprint == 0 {
			writeError(w, http.StatusBadRequest, "fingerprint: not a hexadecimal number of 64 bits")
			return c, false
		}
	}
	return c, true
}

func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	if !s.permitted(w, r) {
		return
	}
	c, ok := requested(w, r)
	if !ok {
		return
	}
	if c.All != "" && (c.All != "true" || c.Database+c.Table+c.Fingerprint+c.Tenant != "") {
		writeError(w, http.StatusBadRequest, "all: want true, and nothing else beside it")
		return
	}
	// A large L2 takes longer than other requests may.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(flushTimeout + writeTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), flushTimeout)
	defer cancel()
	done, err := s.proxy.Flush(ctx, Selection{Database: c.Database, Table: c.Table, Tenant: c.Tenant, Fingerprint: c.fingerprint})
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.logger.Info("cache flushed", "removed", done.L1, "l2_error", done.L2Error, "others", done.Others, "database", c.Database,
		"table", c.Table, "fingerprint", c.Fingerprint, "tenant", c.Tenant, "from", r.RemoteAddr)
	writeJSON(w, http.StatusOK, done)
}

// allow lets shapes be cached again that a verification stopped.
func (s *Server) allow(w http.ResponseWriter, r *http.Request) {
	if !s.permitted(w, r) {
		return
	}
	c, ok := requested(w, r)
	if !ok {
		return
	}
	if c.Database+c.Table+c.Tenant+c.All != "" {
		writeError(w, http.StatusBadRequest, "want a fingerprint, or nothing for all")
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(allowTimeout + writeTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), allowTimeout)
	defer cancel()
	allowed := s.proxy.Allow(ctx, c.fingerprint)
	s.logger.Info("statements are cached again", "shapes", allowed, "fingerprint", c.Fingerprint, "from", r.RemoteAddr)
	writeJSON(w, http.StatusOK, map[string]int{"allowed": allowed})
}

func readChange(r *http.Request) (change, error) {
	var c change
	err := readFields(r, map[string]*string{"database": &c.Database, "table": &c.Table, "fingerprint": &c.Fingerprint, "tenant": &c.Tenant, "all": &c.All})
	return c, err
}

// readFields reads the request's parameters, from its query and its body. It is strict: a misspelt "tabel" must not flush everything, nor an empty
// variable of somebody's script.
func readFields(r *http.Request, fields map[string]*string) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if len(body) > 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case err == nil && kind == "application/json":
			var values map[string]string
			if err := decodeStrict(body, &values); err != nil {
				return fmt.Errorf("body: %w", err)
			}
			for key, value := range values {
				if err := merge(fields, url.Values{key: {value}}); err != nil {
					return err
				}
			}
		case err == nil && kind == "application/x-www-form-urlencoded":
			form, err := url.ParseQuery(string(body))
			if err != nil {
				return errors.New("body: not a form")
			}
			if err := merge(fields, form); err != nil {
				return err
			}
		default:
			return errors.New("body: want Content-Type application/json or application/x-www-form-urlencoded")
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errors.New("query: not understood")
	}
	return merge(fields, query)
}

func merge(fields map[string]*string, values url.Values) error {
	for key, v := range values {
		field := fields[key]
		if field == nil {
			known := "none"
			if len(fields) > 0 {
				known = strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			}
			return fmt.Errorf("unknown parameter %q: want %s", key, known)
		}
		if len(v) != 1 || v[0] == "" || *field != "" {
			return fmt.Errorf("%s: want one value", key)
		}
		*field = v[0]
	}
	return nil
}
