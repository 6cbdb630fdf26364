package hunt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answerTimeout bounds the wait for one message: a session that waits longer hangs.
const answerTimeout = 15 * time.Second

// firstUserOID is the first OID that initdb does not give out (FirstNormalObjectId).
const firstUserOID = 16384

// frame is one message of the server.
type frame struct {
	kind byte
	body string
}

// connection is a client that knows nothing but frames.
type connection struct {
	socket        net.Conn
	reader        *bufio.Reader
	pid           uint32
	status        byte // of the last ReadyForQuery
	notifications []string
}

// connect starts a session, with further parameters of the start-up packet in pairs.
func connect(address, database string, parameters ...string) (*connection, error) {
	socket, err := net.DialTimeout("tcp", address, answerTimeout)
	if err != nil {
		return nil, err
	}
	c := &connection{socket: socket, reader: bufio.NewReader(socket)}
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "postgres", "database": database}}
	for i := 0; i+1 < len(parameters); i += 2 {
		startup.Parameters[parameters[i]] = parameters[i+1]
	}
	packet, err := startup.Encode(nil)
	if err != nil {
		return nil, err
	}
	if _, err := socket.Write(packet); err != nil {
		return nil, err
	}
	_, err = c.receive(wait{ready: 1})
	return c, err
}

// wait says when a session has its whole answer.
type wait struct {
	ready    int  // this many ReadyForQuery,
	complete int  // or this many completed messages before a Flush, or an error
	end      bool // or the end of the connection
}

// receive returns the frames up to the end of the answer.
func (c *connection) receive(w wait) ([]frame, error) {
	var frames []frame
	for ready, complete := 0, 0; ; {
		f, err := c.read()
		if w.end && errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		switch f.kind {
		case 'A':
			c.notifications = append(c.notifications, f.body[4:])
			continue
		case 'K':
			c.pid = binary.BigEndian.Uint32([]byte(f.body))
			continue
		case 'Z':
			c.status = f.body[0]
			ready++
		case '1', '2', '3', 'T', 'n', 'C', 'I', 's':
			complete++
		}
		frames = append(frames, f)
		switch {
		case w.end:
		case w.ready > 0 && ready == w.ready, w.ready == 0 && (complete == w.complete || f.kind == 'E'):
			return frames, nil
		}
	}
}

func (c *connection) read() (frame, error) {
	if err := c.socket.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return frame{}, err
	}
	var head [5]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < 4 || size > 64<<20 {
		return frame{}, fmt.Errorf("message %q has an impossible length of %d", head[0], size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(c.reader, body); err != nil {
		return frame{}, err
	}
	mask(head[0], body)
	return frame{head[0], string(body)}, nil
}

// mask blanks the OIDs of tables and of types that the test defined.
func mask(kind byte, body []byte) {
	blank := func(oid []byte) {
		if binary.BigEndian.Uint32(oid) >= firstUserOID {
			clear(oid)
		}
	}
	switch kind {
	case 't':
		for rest := body[2:]; len(rest) >= 4; rest = rest[4:] {
			blank(rest[:4])
		}
	case 'T':
		for rest := body[2:]; len(rest) > 0; rest = rest[18:] {
			for rest[0] != 0 {
				rest = rest[1:]
			}
			rest = rest[1:]
			blank(rest[:4])
			blank(rest[6:10])
		}
	}
}
