package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// Kinds of frames beside the types of backend messages.
const (
	frameEOF    = 0   // the server closed the connection
	frameAnswer = '?' // the single byte that answers SSLRequest and GSSENCRequest
)

// frame is what a server sent: a message, or one of the kinds above.
type frame struct {
	kind byte
	body []byte
}

// equal tells whether two frames are the same bytes.
func (f frame) equal(g frame) bool { return f.kind == g.kind && bytes.Equal(f.body, g.body) }

// frameName returns the protocol's name of a kind.
func frameName(kind byte) string {
	if name, known := frameNames[kind]; known {
		return name
	}
	return fmt.Sprintf("Unknown(%q)", kind)
}

var frameNames = map[byte]string{
	frameEOF: "EOF", frameAnswer: "Answer",
	'R': "Authentication", 'K': "BackendKeyData", '2': "BindComplete", '3': "CloseComplete",
	'C': "CommandComplete", 'd': "CopyData", 'c': "CopyDone", 'G': "CopyInResponse",
	'H': "CopyOutResponse", 'W': "CopyBothResponse", 'D': "DataRow", 'I': "EmptyQueryResponse",
	'E': "ErrorResponse", 'V': "FunctionCallResponse", 'v': "NegotiateProtocolVersion", 'n': "NoData",
	'N': "NoticeResponse", 'A': "NotificationResponse", 't': "ParameterDescription",
	'S': "ParameterStatus", '1': "ParseComplete", 's': "PortalSuspended", 'Z': "ReadyForQuery",
	'T': "RowDescription",
}

// known tells whether until may wait for the name.
func known(name string) bool {
	for _, other := range frameNames {
		if other == name {
			return true
		}
	}
	return false
}

// brief returns the frame as scripts show it: without what differs between versions of
// PostgreSQL. It is for people; transcripts are compared by their bytes.
func (f frame) brief() string {
	text := frameName(f.kind)
	switch f.kind {
	case frameAnswer, 'Z':
		return text + " " + string(f.body)
	case 'C':
		return text + " " + string(bytes.TrimSuffix(f.body, []byte{0}))
	case 'd':
		return text + " " + quote(f.body)
	case 'D':
		return text + " " + strings.Join(rowValues(f.body), " ")
	case 'E', 'N':
		var m pgproto3.ErrorResponse
		if m.Decode(f.body) != nil {
			return f.full()
		}
		return strings.TrimSpace(fmt.Sprintf("%s %s %s: %s %s", text, m.Severity, m.Code, m.Message, m.Detail))
	case 'T':
		var m pgproto3.RowDescription
		if m.Decode(f.body) != nil {
			return f.full()
		}
		return text + " " + columns(m.Fields)
	case 't':
		var m pgproto3.ParameterDescription
		if m.Decode(f.body) != nil {
			return f.full()
		}
		for _, oid := range m.ParameterOIDs {
			text += " " + typeName(oid)
		}
		return text
	case 'A':
		var m pgproto3.NotificationResponse
		if m.Decode(f.body) != nil {
			return f.full()
		}
		return text + " " + strconv.Quote(m.Channel) + " " + strconv.Quote(m.Payload)
	case 'S':
		name, value, _ := bytes.Cut(bytes.TrimSuffix(f.body, []byte{0}), []byte{0})
		return text + " " + string(name) + "=" + string(value)
	case 'V':
		if len(f.body) < 4 || binary.BigEndian.Uint32(f.body) == 1<<32-1 {
			return text + " NULL"
		}
		return text + " " + quote(f.body[4:])
	}
	return text
}

// full returns the frame with all its bytes, long ones by their hash.
func (f frame) full() string {
	const longest = 1000
	if len(f.body) > longest {
		return frameName(f.kind) + " " + quote(f.body)
	}
	return frameName(f.kind) + " " + strconv.Quote(string(f.body))
}

// quote quotes bytes; long ones are shown by their hash.
func quote(b []byte) string {
	const longest = 200
	if len(b) > longest {
		return fmt.Sprintf("<%d bytes, sha256 %x>", len(b), sha256.Sum256(b))
	}
	if !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
		return fmt.Sprintf("hex:%x", b)
	}
	return strconv.Quote(string(b))
}

func rowValues(body []byte) []string {
	var m pgproto3.DataRow
	if m.Decode(body) != nil {
		return []string{quote(body)}
	}
	values := make([]string, len(m.Values))
	for i, v := range m.Values {
		values[i] = "NULL"
		if v != nil {
			values[i] = quote(v)
		}
	}
	return values
}

func columns(fields []pgproto3.FieldDescription) string {
	described := make([]string, len(fields))
	for i, field := range fields {
		described[i] = string(field.Name) + ":" + typeName(field.DataTypeOID)
		if field.Format == 1 {
			described[i] += ":binary"
		}
	}
	return strings.Join(described, " ")
}

// typeName returns the name of a built-in type.
func typeName(oid uint32) string {
	const firstUserOID = 16384 // FirstNormalObjectId in PostgreSQL's transam.h
	if oid >= firstUserOID {
		return "user-type"
	}
	if known, ok := pgtype.NewMap().TypeForOID(oid); ok {
		return known.Name
	}
	return strconv.FormatUint(uint64(oid), 10)
}
