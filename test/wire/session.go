package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// answerTimeout bounds the wait for a message. It is long, since it only matters when a
// test fails.
const answerTimeout = 30 * time.Second

// longestMessage bounds what a server may send in one message.
const longestMessage = 64 << 20

// session is a connection of a script.
type session struct {
	name    string
	address string
	socket  net.Conn
	reader  *bufio.Reader
	key     []byte // body of BackendKeyData, nil before it came
	eof     bool   // the server has closed
	answer  bool   // a single byte comes next, not a message
}

func dial(ctx context.Context, name, address string) (*session, error) {
	socket, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &session{name: name, address: address, socket: socket, reader: bufio.NewReader(socket)}, nil
}

func (s *session) send(messages []byte) error {
	if err := s.socket.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	_, err := s.socket.Write(messages)
	return err
}

// receive returns the next frame. The process id and secret of BackendKeyData are replaced by
// zeros; they are kept for cancel.
func (s *session) receive() (frame, error) {
	if err := s.socket.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return frame{}, err
	}
	kind, err := s.reader.ReadByte()
	if errors.Is(err, io.EOF) {
		s.eof = true
		return frame{kind: frameEOF}, nil
	}
	if err != nil {
		return frame{}, err
	}
	if s.answer {
		s.answer = false
		return frame{kind: frameAnswer, body: []byte{kind}}, nil
	}
	var length [4]byte
	if _, err := io.ReadFull(s.reader, length[:]); err != nil {
		return frame{}, fmt.Errorf("the length of a message: %w", err)
	}
	size := binary.BigEndian.Uint32(length[:])
	if size < 4 || size > longestMessage {
		return frame{}, fmt.Errorf("message %q has an impossible length of %d", kind, size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(s.reader, body); err != nil {
		return frame{}, fmt.Errorf("the body of a message: %w", err)
	}
	if kind == 'K' {
		s.key = body
		body = make([]byte, len(body))
	}
	return frame{kind: kind, body: body}, nil
}

// pid returns the process id that the server told for this connection.
func (s *session) pid() (uint32, bool) {
	if len(s.key) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(s.key), true
}

// cancel sends a CancelRequest for this connection over one of its own and waits until the server
// has closed that.
func (s *session) cancel(ctx context.Context) error {
	if s.key == nil {
		return errors.New("cancel before BackendKeyData")
	}
	other, err := dial(ctx, "cancel", s.address)
	if err != nil {
		return err
	}
	const cancelRequestCode = 80877102 // PostgreSQL's manual, section 55.7
	packet := binary.BigEndian.AppendUint32(nil, uint32(8+len(s.key)))
	packet = binary.BigEndian.AppendUint32(packet, cancelRequestCode)
	packet = append(packet, s.key...)
	if err := other.send(packet); err != nil {
		return errors.Join(err, other.close())
	}
	_, err = other.receive()
	return errors.Join(err, other.close())
}

func (s *session) close() error {
	if err := s.socket.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
