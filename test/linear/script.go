package linear

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// scriptTimeout bounds the wait for one answer.
const scriptTimeout = 15 * time.Second

// script is a way to write a register: batches of messages, of which each is sent when the one before has been answered.
type script struct {
	name    string
	batches func(key int, value int64) [][]pgproto3.FrontendMessage
}

func query(text string) pgproto3.FrontendMessage { return &pgproto3.Query{String: text} }

// extended is a statement of the extended query protocol without its Sync.
func extended(text string, values ...int64) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{
		&pgproto3.Parse{Query: text}, &pgproto3.Bind{Parameters: parameters(values...)}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{},
	}
}

// scripts are the writes that are cut at every byte.
func scripts() []script {
	type batches = [][]pgproto3.FrontendMessage
	sync := &pgproto3.Sync{}
	return []script{
		{"simple update", func(key int, v int64) batches { return batches{{query(updateText(key, v))}} }},
		{"block", func(key int, v int64) batches {
			return batches{{query("BEGIN")}, {query(updateText(key, v))}, {query("COMMIT")}}
		}},
		{"extended update", func(key int, v int64) batches {
			return batches{append(extended(updateQuery(key), int64(key%rowsPerTable), v), sync)}
		}},
		{"extended commit", func(key int, v int64) batches {
			return batches{{query("BEGIN")}, append(extended(updateQuery(key), int64(key%rowsPerTable), v), sync), append(extended("COMMIT"), sync)}
		}},
		{"pipelined block", func(key int, v int64) batches {
			all := append(extended("BEGIN"), extended(updateQuery(key), int64(key%rowsPerTable), v)...)
			return batches{append(append(all, extended("COMMIT")...), sync)}
		}},
		{"block in two packets", func(key int, v int64) batches {
			return batches{{query("BEGIN"), query(updateText(key, v))}, {query("COMMIT")}}
		}},
		{"commit in a pipeline", func(key int, v int64) batches {
			return batches{{query("BEGIN")}, {query(updateText(key, v))}, {query("SELECT 1"), query("COMMIT")}}
		}},
		{"pipelined queries", func(key int, v int64) batches {
			return batches{{query("BEGIN"), query(updateText(key, v)), query("COMMIT")}}
		}},
	}
}

// client is a connection of which every byte is known.
type client struct {
	socket   net.Conn
	frontend *pgproto3.Frontend
	pid      uint32
}

// dialClient starts a session.
func dialClient(address string) (*client, error) {
	socket, err := net.DialTimeout("tcp", address, scriptTimeout)
	if err != nil {
		return nil, err
	}
	c := &client{socket: socket, frontend: pgproto3.NewFrontend(socket, socket)}
	_ = socket.SetDeadline(time.Now().Add(2 * scriptTimeout))
	c.frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "postgres", "database": database}})
	if err := c.frontend.Flush(); err != nil {
		return nil, err
	}
	_, err = c.answers(1)
	return c, err
}

// encode is the batch in bytes, and how many ReadyForQuery messages answer it.
func encode(batch []pgproto3.FrontendMessage) (packet []byte, ready int, err error) {
	for _, m := range batch {
		if packet, err = m.Encode(packet); err != nil {
			return nil, 0, err
		}
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			ready++
		}
	}
	return packet, ready, nil
}

// answers reads so many answers, up to their ReadyForQuery, and returns the values of all rows.
func (c *client) answers(ready int) (values []string, err error) {
	var failed error
	for ready > 0 {
		message, err := c.frontend.Receive()
		if err != nil {
			return values, err
		}
		switch m := message.(type) {
		case *pgproto3.BackendKeyData:
			c.pid = m.ProcessID
		case *pgproto3.DataRow:
			values = append(values, string(m.Values[0]))
		case *pgproto3.ErrorResponse:
			failed = fmt.Errorf("%s: %s", m.Code, m.Message)
			if m.Severity == "FATAL" {
				return values, failed
			}
		case *pgproto3.ReadyForQuery:
			ready--
		}
	}
	return values, failed
}

// errCut says that a script has been played as far as it was to be.
var errCut = errors.New("the client has sent all that it was to send")

// run plays a script until it ends, the connection breaks, or so many bytes have been sent; a negative limit is none.
func (c *client) run(batches [][]pgproto3.FrontendMessage, limit int) error {
	for _, batch := range batches {
		packet, ready, err := encode(batch)
		if err != nil {
			return err
		}
		cut := limit >= 0 && limit <= len(packet)
		if cut {
			packet = packet[:limit]
		}
		limit -= len(packet)
		if _, err := c.socket.Write(packet); err != nil {
			return err
		}
		if cut {
			return errCut
		}
		if _, err := c.answers(ready); err != nil {
			return err
		}
	}
	return nil
}

// vanish ends the connection: in order, or as a crash does.
func (c *client) vanish(reset bool) {
	if tcp, ok := c.socket.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.socket.Close()
}

// value asks for a register with a text.
func (c *client) value(text string) (string, error) {
	packet, _, err := encode([]pgproto3.FrontendMessage{query(text)})
	if err != nil {
		return "", err
	}
	if _, err := c.socket.Write(packet); err != nil {
		return "", err
	}
	values, err := c.answers(1)
	if err == nil && len(values) != 1 {
		err = errors.New("not one row: " + strings.Join(values, " "))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", text, err)
	}
	return values[0], nil
}
