package wire

// Types of frontend messages (section "Message Formats").
const (
	Bind         = 'B'
	Close        = 'C'
	CopyData     = 'd' // both directions
	CopyDone     = 'c' // both directions
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p' // PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Types of backend messages.
const (
	Authentication           = 'R'
	BackendKeyData           = 'K'
	BindComplete             = '2'
	CloseComplete            = '3'
	CommandComplete          = 'C'
	CopyBothResponse         = 'W'
	CopyInResponse           = 'G'
	CopyOutResponse          = 'H'
	DataRow                  = 'D'
	EmptyQueryResponse       = 'I'
	ErrorResponse            = 'E'
	FunctionCallResponse     = 'V'
	NegotiateProtocolVersion = 'v'
	NoData                   = 'n'
	NoticeResponse           = 'N'
	NotificationResponse     = 'A'
	ParameterDescription     = 't'
	ParameterStatus          = 'S'
	ParseComplete            = '1'
	PortalSuspended          = 's'
	ReadyForQuery            = 'Z'
	RowDescription           = 'T'
)

// Transaction status bytes of ReadyForQuery.
const (
	StatusIdle          = 'I' // not in a transaction block
	StatusInTransaction = 'T'
	StatusFailed        = 'E'
)

// HeaderSize is the size of a message's type and length.
const HeaderSize = 5

// Header decodes the type and the whole size, header included, of the message at the start of b. Ok is false when
// b is shorter than a header. A size below HeaderSize is a protocol violation.
func Header(b []byte) (typ byte, size int, ok bool) {
	if len(b) < HeaderSize {
		return 0, 0, false
	}
	return b[0], int(uint32(b[1])<<24|uint32(b[2])<<16|uint32(b[3])<<8|uint32(b[4])) + 1, true
}

// IsFrontend tells whether protocol 3 has a frontend message of this type after start-up.
func IsFrontend(typ byte) bool {
	switch typ {
	case Bind, Close, CopyData, CopyDone, CopyFail, Describe, Execute, Flush, FunctionCall, Parse, Password, Query, Sync, Terminate:
		return true
	}
	return false
}

// Scanner reads the fields of a message's body in order. The slices that it returns point into the body. After the
// first field that does not fit, Ok is false and all further fields are empty.
type Scanner struct {
	b   []byte
	bad bool
}

// Scan returns a Scanner over a body.
func Scan(body []byte) Scanner { return Scanner{b: body} }

// Ok tells whether all fields so far fitted into the body.
func (s *Scanner) Ok() bool { return !s.bad }

// Rest returns what has not been read.
func (s *Scanner) Rest() []byte { return s.b }

// String reads a zero-terminated string.
func (s *Scanner) String() []byte {
	for i, c := range s.b {
		if c == 0 {
			v := s.b[:i]
			s.b = s.b[i+1:]
			return v
		}
	}
	s.fail()
	return nil
}

// nameLimit is the number of bytes that tell names of statements and portals apart: NAMEDATALEN less the final zero
// (section "Identifiers and Key Words"; PostgreSQL's hash tables of both compare no more).
const nameLimit = 63

// Name reads the name of a prepared statement or portal, as far as the server looks at it.
func (s *Scanner) Name() []byte {
	name := s.String()
	return name[:min(len(name), nameLimit)]
}

// Byte reads one byte.
func (s *Scanner) Byte() byte {
	if len(s.b) < 1 {
		s.fail()
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

// Int16 reads a 16-bit integer as unsigned, as counts are.
func (s *Scanner) Int16() int {
	if len(s.b) < 2 {
		s.fail()
		return 0
	}
	v := int(s.b[0])<<8 | int(s.b[1])
	s.b = s.b[2:]
	return v
}

// Int32 reads a signed 32-bit integer.
func (s *Scanner) Int32() int32 {
	if len(s.b) < 4 {
		s.fail()
		return 0
	}
	v := int32(s.b[0])<<24 | int32(s.b[1])<<16 | int32(s.b[2])<<8 | int32(s.b[3])
	s.b = s.b[4:]
	return v
}

// Bytes reads n bytes.
func (s *Scanner) Bytes(n int) []byte {
	if n < 0 || len(s.b) < n {
		s.fail()
		return nil
	}
	v := s.b[:n:n]
	s.b = s.b[n:]
	return v
}

func (s *Scanner) fail() { s.bad, s.b = true, nil }

// IsFatal tells whether the body of an ErrorResponse says that the connection ends (severity FATAL or PANIC, field V).
func IsFatal(body []byte) bool {
	severity := string(ErrorField(body, 'V'))
	return severity == SeverityFatal || severity == "PANIC"
}

// ErrorField returns the value of a field of the body of an ErrorResponse or NoticeResponse (section "Error and Notice Message Fields"), nil
// when it has none. It is valid as long as the body.
func ErrorField(body []byte, field byte) []byte {
	scan := Scan(body)
	for {
		code := scan.Byte()
		if code == 0 {
			return nil
		}
		if value := scan.String(); code == field {
			return value
		}
	}
}
