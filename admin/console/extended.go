package console

import (
	"context"
	"fmt"

	"github.com/pgrecall/pgrecall/wire"
)

// prepared is a statement of the extended query protocol (section "Extended Query"), nil command for an empty one.
type prepared struct {
	command *command
	size    int // of its text in bytes
}

// portal is a prepared statement that is bound.
type portal struct {
	command *command
	formats []int // of the columns, nil for text
	run     bool
	rows    [][]any // that the client has not got yet
	tag     string
}

func (p *prepared) columns() []column {
	if p.command == nil {
		return nil
	}
	return p.command.columns
}

func malformed() *failure { return fail(codeProtocol, "invalid message format", "") }

func (c *conversation) parse(scan *wire.Scanner) *failure {
	name, sql := string(scan.Name()), string(scan.String())
	types := scan.Int16()
	for range types {
		scan.Int32()
	}
	if !scan.Ok() {
		return malformed()
	}
	list, err := commands(sql)
	switch {
	case err != nil:
		return err
	case len(list) > 1:
		return fail(codeSyntax, "cannot insert multiple commands into a prepared statement", "")
	}
	p := &prepared{size: len(sql)}
	if len(list) == 1 {
		p.command = list[0]
	}
	if f := c.aborted(p.command); f != nil {
		return f
	}
	if name != "" && c.statements[name] != nil {
		return fail(codeDuplicate, fmt.Sprintf("prepared statement %q already exists", name), "")
	}
	c.drop(name)
	if len(c.statements) >= maxPrepared || c.text+p.size > maxText {
		return fail(codeTooMuch, "too many prepared statements for the console", "")
	}
	c.statements[name], c.text = p, c.text+p.size
	c.out = append(c.out, wire.ParseCompleteMessage...)
	return nil
}

// drop forgets a prepared statement.
func (c *conversation) drop(name string) {
	if p := c.statements[name]; p != nil {
		delete(c.statements, name)
		c.text -= p.size
	}
}

// aborted refuses in a failed transaction block what does not end it.
func (c *conversation) aborted(command *command) *failure {
	if c.status != wire.StatusFailed || command == nil || command.block == blockCommits || command.block == blockRollsBack {
		return nil
	}
	return fail(codeFailed, "current transaction is aborted, commands ignored until end of transaction block", "")
}

func (c *conversation) bind(scan *wire.Scanner) *failure {
	name, of := string(scan.Name()), string(scan.Name())
	scan.Bytes(2 * scan.Int16())
	values := scan.Int16()
	for range values {
		if n := scan.Int32(); n > 0 {
			scan.Bytes(int(n))
		}
	}
	formats := make([]int, 0, 8)
	for range scan.Int16() {
		formats = append(formats, scan.Int16())
		if !scan.Ok() {
			break
		}
	}
	if !scan.Ok() {
		return malformed()
	}
	p := c.statements[of]
	if p == nil {
		return noStatement(of)
	}
	if values != 0 {
		return fail(codeProtocol, fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires 0", values, of), "")
	}
	if f := c.aborted(p.command); f != nil {
		return f
	}
	columns := p.columns()
	po := &portal{command: p.command}
	switch len(formats) {
	case 0:
	case 1:
		po.formats = make([]int, len(columns))
		for i := range po.formats {
			po.formats[i] = formats[0]
		}
	case len(columns):
		po.formats = formats
	default:
		return fail(codeProtocol, fmt.Sprintf("bind message has %d result formats but query has %d columns", len(formats), len(columns)), "")
	}
	for _, format := range po.formats {
		if format != formatText && format != formatBinary {
			return fail(codeInvalidValue, fmt.Sprintf("unsupported format code: %d", format), "")
		}
	}
	if name != "" && c.portals[name] != nil {
		return fail(codeDuplicatePortal, fmt.Sprintf("cursor %q already exists", name), "")
	}
	if len(c.portals) >= maxPortals && c.portals[name] == nil {
		return fail(codeTooMuch, fmt.Sprintf("more than %d portals", maxPortals), "")
	}
	c.portals[name] = po
	c.out = append(c.out, wire.BindCompleteMessage...)
	return nil
}

func noStatement(name string) *failure {
	if name == "" {
		return fail(codeNoStatement, "unnamed prepared statement does not exist", "")
	}
	return fail(codeNoStatement, fmt.Sprintf("prepared statement %q does not exist", name), "")
}

func noPortal(name string) *failure {
	return fail(codeNoPortal, fmt.Sprintf("portal %q does not exist", name), "")
}

func (c *conversation) describe(scan *wire.Scanner) *failure {
	kind, name := scan.Byte(), string(scan.Name())
	if !scan.Ok() || kind != 'S' && kind != 'P' {
		return malformed()
	}
	var columns []column
	var formats []int
	if kind == 'S' {
		p := c.statements[name]
		if p == nil {
			return noStatement(name)
		}
		columns = p.columns()
		c.out = append(c.out, wire.ParameterDescription, 0, 0, 0, 6, 0, 0)
	} else {
		po := c.portals[name]
		if po == nil {
			return noPortal(name)
		}
		if po.command != nil {
			columns, formats = po.command.columns, po.formats
		}
	}
	if columns == nil {
		c.out = append(c.out, wire.NoData, 0, 0, 0, 4)
		return nil
	}
	c.out = appendRowDescription(c.out, columns, formats)
	return nil
}

func (c *conversation) execute(ctx context.Context, scan *wire.Scanner) *failure {
	name, limit := string(scan.Name()), int(scan.Int32())
	if !scan.Ok() {
		return malformed()
	}
	po := c.portals[name]
	if po == nil {
		return noPortal(name)
	}
	if po.command == nil {
		c.out = append(c.out, wire.EmptyQueryResponse, 0, 0, 0, 4)
		return nil
	}
	if po.run && po.command.columns == nil {
		return fail(codeState, fmt.Sprintf("portal %q cannot be run", name), "")
	}
	if !po.run {
		rows, tag, err := c.run(ctx, po.command)
		if err != nil {
			return err
		}
		po.run, po.rows, po.tag = true, rows, tag
	}
	n := len(po.rows)
	if limit > 0 && limit < n {
		n = limit
	}
	c.rows(po.rows[:n], po.formats)
	po.rows = po.rows[n:]
	if len(po.rows) > 0 || limit > 0 && n == limit {
		c.out = append(c.out, wire.PortalSuspended, 0, 0, 0, 4)
		return nil
	}
	c.out = appendTag(c.out, po.tag)
	return nil
}

func (c *conversation) close(scan *wire.Scanner) *failure {
	kind, name := scan.Byte(), string(scan.Name())
	if !scan.Ok() {
		return malformed()
	}
	switch kind {
	case 'S':
		c.drop(name)
	case 'P':
		delete(c.portals, name)
	default:
		return malformed()
	}
	c.out = append(c.out, wire.CloseCompleteMessage...)
	return nil
}
