package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// bufferSize bounds a frame: a benchmark's statements are short.
const bufferSize = 16 << 10

// Request codes of the start-up packet, PostgreSQL manual section "Message Formats".
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

var errFrame = errors.New("frame is malformed or longer than the buffer")

// session is one client. Both buffers are its own and reused for every request.
type session struct {
	conn   io.ReadWriter
	in     []byte // in[:filled] was read and not yet consumed
	filled int
	out    []byte
	canned canned
}

func newSession(conn io.ReadWriter) *session {
	return &session{conn: conn, in: make([]byte, bufferSize), out: make([]byte, 0, bufferSize), canned: newCanned()}
}

// run serves the client until it leaves.
func (s *session) run() error {
	if goOn, err := s.startup(); err != nil || !goOn {
		return err
	}
	for {
		consumed, terminated, err := s.answer()
		if err != nil || terminated {
			return err
		}
		if len(s.out) > 0 {
			if _, err := s.conn.Write(s.out); err != nil {
				return err
			}
			s.out = s.out[:0]
		}
		s.consume(consumed)
		if err := s.read(); err != nil {
			return err
		}
	}
}

// startup answers encryption requests with no and the start-up packet with AuthenticationOk.
// It returns false for a cancel request, whose connection has no session.
func (s *session) startup() (bool, error) {
	for {
		for s.filled < 8 || s.filled < int(binary.BigEndian.Uint32(s.in)) {
			if s.filled >= 4 && binary.BigEndian.Uint32(s.in) > bufferSize {
				return false, errFrame
			}
			if err := s.read(); err != nil {
				return false, err
			}
		}
		length, code := int(binary.BigEndian.Uint32(s.in)), binary.BigEndian.Uint32(s.in[4:])
		if length < 8 {
			return false, errFrame
		}
		s.consume(length)
		switch code {
		case cancelRequest:
			return false, nil
		case sslRequest, gssRequest:
			if _, err := s.conn.Write([]byte{'N'}); err != nil {
				return false, err
			}
		default:
			_, err := s.conn.Write(greeting())
			return true, err
		}
	}
}

// answer appends the replies to all whole frames in the buffer and returns how many bytes those
// frames take.
func (s *session) answer() (consumed int, terminated bool, err error) {
	for {
		rest := s.in[consumed:s.filled]
		if len(rest) < 5 {
			return consumed, false, nil
		}
		length := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		if length < 5 || length > bufferSize {
			return 0, false, errFrame
		}
		if len(rest) < length {
			return consumed, false, nil
		}
		consumed += length
		switch rest[0] {
		case 'Q':
			s.out = append(s.out, s.canned.query...)
		case 'P':
			s.out = append(s.out, s.canned.parse...)
		case 'B':
			s.out = append(s.out, s.canned.bind...)
		case 'D':
			if length > 5 && rest[5] == 'S' {
				s.out = append(s.out, s.canned.describeStatement...)
			} else {
				s.out = append(s.out, s.canned.describePortal...)
			}
		case 'E':
			s.out = append(s.out, s.canned.execute...)
		case 'C':
			s.out = append(s.out, s.canned.close...)
		case 'S':
			s.out = append(s.out, s.canned.sync...)
		case 'X':
			return consumed, true, nil
		}
	}
}

// consume drops the first n bytes of the buffer.
func (s *session) consume(n int) {
	s.filled = copy(s.in, s.in[n:s.filled])
}

func (s *session) read() error {
	n, err := s.conn.Read(s.in[s.filled:])
	s.filled += n
	if n > 0 {
		return nil // the error comes again with the next read
	}
	return err
}
