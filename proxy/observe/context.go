package observe

import (
	"bytes"
	"encoding/hex"
	"net/url"
)

// SpanContext is the span of an application that a statement belongs to (W3C Trace Context, level 1). The zero value is none.
type SpanContext struct {
	Trace   [16]byte
	Span    [8]byte
	Sampled bool
	State   string // tracestate, where it is sampled
}

// Valid tells whether there is one.
func (c *SpanContext) Valid() bool { return c.Trace != [16]byte{} && c.Span != [8]byte{} }

// longestState is the length of a tracestate that is passed on (W3C Trace Context, section 3.3.1.5).
const longestState = 512

// ParseComment reads the body of a comment as sqlcommenter writes it: key='value' separated by commas, in any order, percent-encoded. It takes
// traceparent and tracestate. What can't be read is the zero value.
func ParseComment(body []byte) SpanContext {
	var c SpanContext
	found := false
	var state []byte
	for len(body) > 0 {
		body = bytes.TrimLeft(body, ", \t\r\n\f")
		key, rest, ok := bytes.Cut(body, []byte("='"))
		if !ok {
			break
		}
		end := closing(rest)
		if end < 0 {
			break
		}
		value := rest[:end]
		body = rest[end+1:]
		switch string(bytes.TrimSpace(key)) {
		case "traceparent":
			if found || !c.parent(value) { // two of them: neither can be trusted
				return SpanContext{}
			}
			found = true
		case "tracestate":
			state = value
		}
	}
	if !found {
		return SpanContext{}
	}
	if len(state) > 0 && c.Sampled { // else it is of no use
		if plain, err := url.PathUnescape(string(state)); err == nil && len(plain) <= longestState && printable(plain) {
			c.State = plain
		}
	}
	return c
}

// closing returns where the quote stands that ends a value: one behind a backslash is part of it.
func closing(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '\'':
			return i
		}
	}
	return -1
}

// parent reads a traceparent (section 3.2.2): a later version may have more behind the flags.
func (c *SpanContext) parent(value []byte) bool {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if bytes.IndexByte(value, '%') >= 0 {
		plain, err := url.PathUnescape(string(value))
		if err != nil {
			return false
		}
		value = []byte(plain)
	}
	if len(value) < length || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return false
	}
	if len(value) > length && (string(value[:2]) == "00" || value[length] != '-') {
		return false
	}
	var version, flags [1]byte
	if !lowerHex(version[:], value[:2]) || version[0] == 0xff || !lowerHex(c.Trace[:], value[3:35]) || !lowerHex(c.Span[:], value[36:52]) || !lowerHex(flags[:], value[53:55]) {
		return false
	}
	c.Sampled = flags[0]&1 != 0
	return c.Valid()
}

func lowerHex(to, from []byte) bool {
	if bytes.ContainsAny(from, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(to, from)
	return err == nil
}

// printable tells whether a text is made of what may stand in a tracestate.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
