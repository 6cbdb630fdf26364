package audit

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

// timeLayout is RFC 3339 with microseconds.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// appendRecord appends a line. Names in it are as docs/tracing.md tells.
func appendRecord(b []byte, s *observe.Statement, fingerprint uint64, now time.Time) []byte {
	b = append(b, `{"time":"`...)
	b = now.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","outcome":"`...)
	b = append(b, s.Outcome...)
	b = append(b, `","tier":"`...)
	b = append(b, s.Tier...)
	b = append(b, `",`...)
	b = append(b, s.Who.JSON()...)
	if s.Role != "" && s.Role != s.Who.User {
		b = appendString(append(b, `,"role":`...), s.Role)
	}
	b = append(b, `,"fingerprint":"`...)
	b = appendHex(b, fingerprint)
	b = append(b, `","tables":[`...)
	for i, table := range s.Tables {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, table)
	}
	b = append(b, ']')
	if s.Reason != "" {
		b = appendString(append(b, `,"reason":`...), s.Reason)
	}
	if s.Stale != "" {
		b = appendString(append(b, `,"stale":`...), s.Stale)
	}
	if s.Failed {
		b = appendString(append(b, `,"error":`...), s.Code)
	}
	return append(b, '}', '\n')
}

// appendHex appends a fingerprint as all of pgrecall writes it.
func appendHex(b []byte, n uint64) []byte {
	var digits [16]byte
	hex := strconv.AppendUint(digits[:0], n, 16)
	for range 16 - len(hex) {
		b = append(b, '0')
	}
	return append(b, hex...)
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // never fails
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
