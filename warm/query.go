package warm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Protocols of queries.
const (
	Simple   = "simple"   // the Query message
	Extended = "extended" // Parse, Bind, Execute
)

// Query is one read as a client asked for it, with all that its key in the cache is made of. An answer to one protocol, format or
// session does not serve another.
type Query struct {
	SQL      string `json:"sql"`
	Protocol string `json:"protocol,omitempty"` // Simple or Extended; "": Extended where any of the next four is there
	// Params are the values of $1, $2, ... as the Bind message has them; ParamTypes their types' OIDs as the Parse message declares
	// them; formats are 0 for text, 1 for binary: none, one for all, or one each.
	Params        []Param  `json:"params,omitempty"`
	ParamTypes    []uint32 `json:"param_types,omitempty"`
	ParamFormats  []int16  `json:"param_formats,omitempty"`
	ResultFormats []int16  `json:"result_formats,omitempty"`

	// The session that asked; all of it may be left out of a file.
	Database string            `json:"database,omitempty"`
	User     string            `json:"user,omitempty"`
	Role     string            `json:"role,omitempty"`     // current_user where SET ROLE made it another
	Session  map[string]string `json:"session,omitempty"`  // parameters of its start-up
	Scope    string            `json:"scope,omitempty"`    // as in the notices of pgrecall.trace
	Settings []string          `json:"settings,omitempty"` // custom settings that the answer depends on

	Fingerprint string  `json:"fingerprint,omitempty"` // hexadecimal
	Uses        float64 `json:"uses,omitempty"`        // estimated, recent ones count more
}

// Param is the value of a parameter; a nil one is NULL. In JSON it is a string, or {"base64": "..."} where it is not UTF-8.
type Param []byte

// MarshalJSON implements json.Marshaler.
func (p Param) MarshalJSON() ([]byte, error) {
	switch {
	case p == nil:
		return []byte("null"), nil
	case utf8.Valid(p):
		return json.Marshal(string(p))
	}
	return json.Marshal(map[string][]byte{"base64": p})
}

var errParam = errors.New(`a parameter is a string, null or {"base64": "..."}`)

// UnmarshalJSON implements json.Unmarshaler. Numbers and booleans are taken as they are written.
func (p *Param) UnmarshalJSON(data []byte) error {
	*p = nil
	switch data[0] {
	case 'n':
		return nil
	case '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return errParam
		}
		*p = Param(s)
	case '{':
		var m map[string]*[]byte
		if err := json.Unmarshal(data, &m); err != nil || len(m) != 1 || m["base64"] == nil {
			return errParam
		}
		*p = append(Param{}, *m["base64"]...)
	case '[':
		return errParam
	default:
		*p = append(Param{}, data...)
	}
	return nil
}

// check completes a query and tells what is wrong with it.
func (q *Query) check() error {
	extended := len(q.Params)+len(q.ParamTypes)+len(q.ParamFormats)+len(q.ResultFormats) > 0
	switch {
	case q.SQL == "":
		return errors.New("no sql")
	case q.Protocol == "" && extended:
		q.Protocol = Extended
	case q.Protocol == "":
		q.Protocol = Simple
	case q.Protocol != Simple && q.Protocol != Extended:
		return fmt.Errorf("protocol %q: want %s or %s", q.Protocol, Simple, Extended)
	case q.Protocol == Simple && extended:
		return errors.New("a simple query has no parameters and formats")
	}
	if n := len(q.ParamFormats); n > 1 && n != len(q.Params) {
		return fmt.Errorf("%d param_formats for %d params", n, len(q.Params))
	}
	for _, format := range slices.Concat(q.ParamFormats, q.ResultFormats) {
		if format != 0 && format != 1 {
			return fmt.Errorf("format %d: want 0 (text) or 1 (binary)", format)
		}
	}
	return nil
}

// Item is a query on its way.
type Item struct {
	Query
	Place string // where it comes from, as "hot.sql:12"
	Skip  string // why it is not asked for, "" where nothing is known against it
}
