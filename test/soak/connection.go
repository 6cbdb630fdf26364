package soak

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answerTimeout bounds the wait for one message: a session that waits longer hangs.
const answerTimeout = 60 * time.Second

// firstUserOID is the first OID that initdb does not give out (FirstNormalObjectId).
const firstUserOID = 16384

// connection is a client that knows nothing but frames.
type connection struct {
	name   string
	socket net.Conn
	reader *bufio.Reader
	pid    uint32
	status byte // of the last ReadyForQuery
	// private tells that the session may have temporary tables: each session's have OIDs of their own.
	private bool
}

// answer is what came back up to a ReadyForQuery, this one included: whole messages, without notifications.
type answer []byte

// connect starts a session and returns what the server said up to the first ReadyForQuery. Parameters of the start-up packet are in pairs.
func connect(name, address, user, database string, parameters ...string) (*connection, answer, error) {
	socket, err := net.DialTimeout("tcp", address, answerTimeout)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	c := &connection{name: name, socket: socket, reader: bufio.NewReaderSize(socket, 32<<10)}
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": user, "database": database}}
	for i := 0; i+1 < len(parameters); i += 2 {
		startup.Parameters[parameters[i]] = parameters[i+1]
	}
	packet, err := startup.Encode(nil)
	if err == nil {
		err = c.send(packet)
	}
	var greeting answer
	if err == nil {
		greeting, err = c.receive(nil)
	}
	if err != nil {
		return nil, greeting, errors.Join(err, socket.Close())
	}
	return c, greeting, nil
}

func (c *connection) close() {
	_ = c.send([]byte{'X', 0, 0, 0, 4})
	_ = c.socket.Close()
}

func (c *connection) send(messages []byte) error {
	if err := c.socket.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if _, err := c.socket.Write(messages); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// receive appends one answer to the buffer and returns it alone.
func (c *connection) receive(buffer []byte) (answer, error) {
	if err := c.socket.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	start := len(buffer)
	for {
		at := len(buffer)
		var head [5]byte
		if _, err := io.ReadFull(c.reader, head[:]); err != nil {
			return buffer[start:], fmt.Errorf("%s: %w", c.name, err)
		}
		size := int(binary.BigEndian.Uint32(head[1:])) - 4
		if size < 0 || size > 64<<20 {
			return buffer[start:], fmt.Errorf("%s: message %q has an impossible length of %d", c.name, head[0], size)
		}
		buffer = append(buffer, head[:]...)
		if cap(buffer)-len(buffer) < size {
			buffer = append(make([]byte, 0, 2*(len(buffer)+size)), buffer...)
		}
		body := buffer[len(buffer) : len(buffer)+size]
		buffer = buffer[:len(buffer)+size]
		if _, err := io.ReadFull(c.reader, body); err != nil {
			return buffer[start:at], fmt.Errorf("%s: %w", c.name, err)
		}
		switch head[0] {
		case 'A': // comes at any time
			buffer = buffer[:at]
		case 'K':
			c.pid = binary.BigEndian.Uint32(body)
			buffer = buffer[:at]
		case 'T':
			if c.private {
				blankRelations(body)
			}
		case 'Z':
			c.status = body[0]
			return buffer[start:], nil
		}
	}
}

// blankRelations clears the OIDs of tables in the body of a RowDescription.
func blankRelations(body []byte) {
	for rest := body[2:]; len(rest) > 0; rest = rest[18:] {
		for rest[0] != 0 {
			rest = rest[1:]
		}
		rest = rest[1:]
		if binary.BigEndian.Uint32(rest) >= firstUserOID {
			clear(rest[:4])
		}
	}
}

// code returns the SQLSTATE of the first error in an answer, "" for none.
func (a answer) code() string {
	for rest := a; len(rest) >= 5; {
		size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		if rest[0] == 'E' {
			for _, field := range strings.Split(string(rest[5:size]), "\x00") {
				if strings.HasPrefix(field, "C") {
					return field[1:]
				}
			}
		}
		rest = rest[size:]
	}
	return ""
}

// String shows the messages for people.
func (a answer) String() string {
	var b strings.Builder
	for rest := a; len(rest) >= 5; {
		size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		body := strings.ToValidUTF8(strings.Map(func(r rune) rune {
			if r < ' ' {
				return '.'
			}
			return r
		}, string(rest[5:size])), "?")
		fmt.Fprintf(&b, "%c(%s) ", rest[0], body)
		rest = rest[size:]
	}
	return b.String()
}
