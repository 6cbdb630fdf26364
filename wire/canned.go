package wire

import "encoding/binary"

// Messages without a body, as pgrecall sends them. They are never written to.
const (
	ParseCompleteMessage = "1\x00\x00\x00\x04"
	BindCompleteMessage  = "2\x00\x00\x00\x04"
	CloseCompleteMessage = "3\x00\x00\x00\x04"
	SyncMessage          = "S\x00\x00\x00\x04"
	FlushMessage         = "H\x00\x00\x00\x04"
	TerminateMessage     = "X\x00\x00\x00\x04"
)

// AppendReadyForQuery appends ReadyForQuery with a transaction status.
func AppendReadyForQuery(dst []byte, status byte) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, status)
}

// Severities of errors and notices.
const (
	SeverityError  = "ERROR"
	SeverityFatal  = "FATAL"
	SeverityNotice = "NOTICE"
)

// Fields of an error or notice of our own (section "Error and Notice Message Fields"). Detail and
// Hint may be empty.
type Fields struct {
	Severity string
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
}

// AppendError appends an ErrorResponse.
func AppendError(dst []byte, f Fields) []byte { return appendFields(dst, ErrorResponse, f) }

// AppendNotice appends a NoticeResponse.
func AppendNotice(dst []byte, f Fields) []byte { return appendFields(dst, NoticeResponse, f) }

func appendFields(dst []byte, typ byte, f Fields) []byte {
	dst, at := Begin(dst, typ)
	for _, field := range [...]struct {
		code  byte
		value string
	}{{'S', f.Severity}, {'V', f.Severity}, {'C', f.Code}, {'M', f.Message}, {'D', f.Detail}, {'H', f.Hint}} {
		if field.value != "" {
			dst = append(dst, field.code)
			dst = AppendString(dst, field.value)
		}
	}
	return End(append(dst, 0), at)
}

// Begin appends a message's type and room for its length; End fills the length in.
func Begin(dst []byte, typ byte) (b []byte, at int) {
	return append(dst, typ, 0, 0, 0, 0), len(dst) + 1
}

// End fills in the length of the message that Begin began.
func End(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// AppendString appends a zero-terminated string.
func AppendString(dst []byte, s string) []byte { return append(append(dst, s...), 0) }
