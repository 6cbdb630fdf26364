package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/pgrecall/pgrecall/wire"
)

// Bounds of what a client can make the console hold.
const (
	maxMessage  = 1 << 20 // bytes
	maxPrepared = 1000    // statements
	maxText     = 4 << 20 // bytes of their texts
	maxPortals  = 32
	flushOutput = 64 << 10
	keepOutput  = 256 << 10
)

// conversation is one client's.
type conversation struct {
	server     *Server
	conn       Conn
	role       string
	out        []byte
	status     byte // of ReadyForQuery
	skipping   bool // after an error, until Sync
	broken     error
	statements map[string]*prepared
	text       int // bytes of the statements' texts
	portals    map[string]*portal
}

// Serve answers a client, authenticated as a role, until it leaves.
func (s *Server) Serve(conn Conn, role string) {
	c := &conversation{server: s, conn: conn, role: role, status: wire.StatusIdle, statements: map[string]*prepared{}, portals: map[string]*portal{}}
	defer func() {
		if p := recover(); p != nil { // a defect here must not end everybody's sessions
			s.Logger.Error("defect in the console", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.fatal(codeInternal, "pgrecall: internal error in the console")
		}
	}()
	for {
		typ, body, err := c.read()
		if err != nil {
			var f *failure
			if errors.As(err, &f) {
				c.fatal(f.Code, f.Message)
			}
			return
		}
		ctx, end := conn.Begin()
		stop := c.handle(ctx, typ, body)
		if stop || typ == wire.Query || typ == wire.Sync || typ == wire.Flush || typ == wire.FunctionCall || len(c.out) > flushOutput {
			c.flush()
		}
		if end() || stop || c.broken != nil {
			return
		}
	}
}

// read reads one message. The error is a *failure where the client is to be told.
func (c *conversation) read() (typ byte, body []byte, err error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, nil, err
	}
	typ, size, _ := wire.Header(head[:])
	switch {
	case !wire.IsFrontend(typ) || typ == wire.Password:
		return 0, nil, fail(codeProtocol, fmt.Sprintf("invalid frontend message type %d", typ), "")
	case size < wire.HeaderSize:
		return 0, nil, fail(codeProtocol, "invalid message length", "")
	case size > maxMessage:
		return 0, nil, fail(codeTooMuch, fmt.Sprintf("a message of %d bytes is too long for the console", size), "")
	}
	body = make([]byte, size-wire.HeaderSize)
	_, err = io.ReadFull(c.conn, body)
	return typ, body, err
}

// handle handles one message and reports that the conversation is over.
func (c *conversation) handle(ctx context.Context, typ byte, body []byte) (stop bool) {
	if c.skipping && typ != wire.Sync && typ != wire.Terminate {
		return false
	}
	var err *failure
	scan := wire.Scan(body)
	switch typ {
	case wire.Terminate:
		return true
	case wire.Query:
		c.query(ctx, &scan)
		return false
	case wire.Sync:
		c.skipping = false
		if c.status == wire.StatusIdle {
			clear(c.portals)
		}
		c.out = wire.AppendReadyForQuery(c.out, c.status)
		return false
	case wire.Parse:
		err = c.parse(&scan)
	case wire.Bind:
		err = c.bind(&scan)
	case wire.Describe:
		err = c.describe(&scan)
	case wire.Execute:
		err = c.execute(ctx, &scan)
	case wire.Close:
		err = c.close(&scan)
	case wire.FunctionCall:
		c.failed(fail(codeNotSupported, "the console has no functions", helpHint))
		c.out = wire.AppendReadyForQuery(c.out, c.status)
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail: // the latter are left over from a COPY that failed, says PostgreSQL
	}
	if err != nil {
		c.failed(err)
		c.skipping = true
	}
	return false
}

// query answers a simple query (section "Simple Query"): all statements of the text, up to the first that fails. Nothing runs if one
// of them is not understood.
func (c *conversation) query(ctx context.Context, scan *wire.Scanner) {
	c.drop("")
	delete(c.portals, "")
	defer func() {
		if c.status == wire.StatusIdle {
			clear(c.portals)
		}
		c.out = wire.AppendReadyForQuery(c.out, c.status)
	}()
	sql := string(scan.String())
	if !scan.Ok() {
		c.failed(malformed())
		return
	}
	list, err := commands(sql)
	if err != nil {
		c.failed(err)
		return
	}
	if len(list) == 0 {
		c.out = append(c.out, wire.EmptyQueryResponse, 0, 0, 0, 4)
		return
	}
	for _, command := range list {
		rows, tag, err := c.run(ctx, command)
		if err != nil {
			c.failed(err)
			return
		}
		if command.columns != nil {
			c.out = appendRowDescription(c.out, command.columns, nil)
			c.rows(rows, nil)
		}
		c.out = appendTag(c.out, tag)
		if len(c.out) > flushOutput {
			c.flush()
		}
		if c.broken != nil {
			return
		}
	}
}

// commands returns what the statements of a text ask for.
func commands(sql string) ([]*command, *failure) {
	statements, err := split(sql)
	if err != nil {
		return nil, fail(codeSyntax, err.Error(), helpHint)
	}
	list := make([]*command, len(statements))
	for i, s := range statements {
		command, failure := understand(s)
		if failure != nil {
			return nil, failure
		}
		list[i] = command
	}
	return list, nil
}

// run does what a command asks for, and follows transaction blocks.
func (c *conversation) run(ctx context.Context, command *command) (rows [][]any, tag string, _ *failure) {
	tag = command.tag
	switch command.block {
	case blockBegins:
		if c.status == wire.StatusIdle {
			c.status = wire.StatusInTransaction
		}
		return nil, tag, nil
	case blockCommits, blockRollsBack:
		if c.status == wire.StatusFailed {
			tag = "ROLLBACK"
		}
		c.status = wire.StatusIdle
		return nil, tag, nil
	case blockStays:
	}
	if c.status == wire.StatusFailed {
		return nil, "", fail(codeFailed, "current transaction is aborted, commands ignored until end of transaction block", "")
	}
	rows, err := command.run(ctx, c, func(severity, message, hint string) {
		code := "00000"
		if severity == severityWarning {
			code = codeWarning
		}
		c.out = wire.AppendNotice(c.out, wire.Fields{Severity: severity, Code: code, Message: message, Hint: hint})
	})
	if err == nil {
		return rows, tag, nil
	}
	var f *failure
	switch {
	case ctx.Err() != nil:
		f = fail(codeCanceled, "canceling statement due to user request", "")
	case !errors.As(err, &f):
		f = fail(codeInternal, err.Error(), "")
	}
	return nil, "", f
}

// rows sends rows.
func (c *conversation) rows(rows [][]any, formats []int) {
	for _, row := range rows {
		c.out = appendRow(c.out, row, formats)
		if len(c.out) > flushOutput {
			c.flush()
		}
	}
}

// failed tells the client of an error.
func (c *conversation) failed(f *failure) {
	if c.status == wire.StatusInTransaction {
		c.status = wire.StatusFailed
	}
	c.out = wire.AppendError(c.out, f.Fields)
}

// fatal tells the client of an error that ends the conversation.
func (c *conversation) fatal(code, message string) {
	c.out = wire.AppendError(c.out, wire.Fields{Severity: wire.SeverityFatal, Code: code, Message: message})
	c.flush()
}

// flush sends what there is to send.
func (c *conversation) flush() {
	if len(c.out) > 0 && c.broken == nil {
		_, c.broken = c.conn.Write(c.out)
	}
	if c.out = c.out[:0]; cap(c.out) > keepOutput {
		c.out = nil
	}
}
