package parser

import "strings"

// statements reads statements up to one of the words, over which it doesn't step.
func (p *plpgsql) statements(depth int, ends ...string) {
	if depth > maxBlocks {
		p.stop(ErrTooDeep)
		return
	}
	for p.at < len(p.tokens) {
		if !p.assigns(0) {
			for _, end := range ends {
				if p.word(0) == end {
					return
				}
			}
		}
		p.statement(depth)
	}
	p.fail()
}

// assigns tells whether an assignment begins here: what follows its first name is := or = or a part of the variable. Only then may
// a word that begins other statements be a variable's name (plpgsql_yylex in src/pl/plpgsql/src/pl_scanner.c).
func (p *plpgsql) assigns(n int) bool {
	if p.at+n >= len(p.tokens) {
		return false
	}
	switch p.tokens[p.at+n].kind {
	case tokenWord, tokenName, tokenParam:
	default:
		return false
	}
	switch p.symbol(n + 1) {
	case ":=", "=", "[", ".":
		return true
	}
	return false
}

func (p *plpgsql) statement(depth int) {
	if p.assigns(0) {
		p.assignment()
		return
	}
	p.label()
	switch {
	case p.word(0) == "declare", p.word(0) == "begin":
		p.block(depth)
		p.needsSymbol(";")
	case p.takes("if"):
		p.ifStatement(depth)
	case p.takes("case"):
		p.caseStatement(depth)
	case p.takes("loop"):
		p.loop(depth)
	case p.takes("while"):
		p.expression("loop")
		p.loop(depth)
	case p.takes("for"):
		p.forStatement(depth)
	case p.takes("foreach"):
		p.foreach(depth)
	case p.takes("exit"), p.takes("continue"):
		p.exit()
	case p.takes("return"):
		p.returnStatement()
	case p.takes("raise"):
		p.raise()
	case p.takes("assert"):
		p.list(";")
	case p.takes("perform"):
		p.expression(";")
	case p.takes("execute"):
		p.stop(ErrDynamic)
	case p.takes("get"):
		p.plain()
	case p.takes("open"):
		p.open()
	case p.takes("fetch"), p.takes("move"), p.takes("close"):
		p.body.Cursor = true
		p.plain()
	case p.takes("null"):
		p.needsSymbol(";")
	case p.word(0) == "commit", p.word(0) == "rollback":
		p.body.Ends = true
		p.plain()
	default: // CALL, DO and SQL
		p.command()
	}
}

// assignment reads variable := expression. The variable may have subscripts, which are expressions.
func (p *plpgsql) assignment() {
	target, end := p.until(":=", "=")
	if end == "" {
		return
	}
	if strings.ContainsAny(target, "[") {
		p.body.addExpression(target)
	}
	p.expression(";")
}

func (p *plpgsql) ifStatement(depth int) {
	p.expression("then")
	p.statements(depth+1, "elsif", "elseif", "else", "end")
	switch {
	case p.takes("elsif"), p.takes("elseif"):
		p.ifStatement(depth)
		return
	case p.takes("else"):
		p.statements(depth+1, "end")
	}
	p.needs("end", "if")
	p.needsSymbol(";")
}

func (p *plpgsql) caseStatement(depth int) {
	searched := p.takes("when")
	if !searched {
		p.expression("when")
	}
	for more := true; more; more = p.takes("when") {
		if text, end := p.until("then"); end == "" {
			return
		} else if searched {
			p.body.addExpression(text)
		} else { // the server makes variable IN (...) of it
			p.body.addExpression("null in (" + text + ")")
		}
		p.statements(depth+1, "when", "else", "end")
	}
	if p.takes("else") {
		p.statements(depth+1, "end")
	}
	p.needs("end", "case")
	p.needsSymbol(";")
}

// loop reads the statements of a loop and its end.
func (p *plpgsql) loop(depth int) {
	p.statements(depth+1, "end")
	p.needs("end", "loop")
	p.optionalName()
	p.needsSymbol(";")
}

// forStatement reads a loop over integers, a query or a cursor.
func (p *plpgsql) forStatement(depth int) {
	p.targets()
	p.needs("in")
	if p.word(0) == "execute" {
		p.stop(ErrDynamic)
		return
	}
	reverse := p.word(0) == "reverse" && p.symbol(1) != "("
	if reverse {
		p.at++
	}
	start := p.at
	text, end := p.until("..", "loop")
	switch {
	case end == "..":
		p.body.addExpression(text)
		if p.expression("by", "loop") == "by" {
			p.expression("loop")
		}
	case end == "" || reverse:
		p.fail()
	default:
		inside := p.tokens[start : p.at-1]
		if bound, is := p.cursors[p.text[inside[0].start:inside[0].end]]; is {
			p.body.Cursor = p.body.Cursor || !bound
			p.arguments(inside[1:])
		} else {
			p.body.add(text)
		}
	}
	p.loop(depth)
}

// arguments takes in the arguments of a cursor, with their brackets, if there are any.
func (p *plpgsql) arguments(tokens []token) {
	if len(tokens) == 0 {
		return
	}
	p.body.addExpression("cursor_arguments" + p.text[tokens[0].start:tokens[len(tokens)-1].end])
	if p.body.Err != nil {
		return
	}
	// The arguments are those of a call that doesn't exist.
	c := &p.body.Commands[len(p.body.Commands)-1]
	if len(c.Functions) == 0 || c.Functions[0].Name != "cursor_arguments" {
		p.fail()
		return
	}
	c.Functions = c.Functions[1:]
}

func (p *plpgsql) foreach(depth int) {
	p.targets()
	if p.takes("slice") {
		p.at++
	}
	p.needs("in")
	p.needs("array")
	p.expression("loop")
	p.loop(depth)
}

// targets steps over names of variables, separated by commas.
func (p *plpgsql) targets() {
	for {
		if p.at < len(p.tokens) && p.tokens[p.at].kind == tokenParam {
			p.at++
		} else {
			p.name()
		}
		for p.takesSymbol(".") {
			p.name()
		}
		if !p.takesSymbol(",") {
			return
		}
	}
}

// exit reads EXIT and CONTINUE: [label] [WHEN condition].
func (p *plpgsql) exit() {
	switch {
	case p.takesSymbol(";"):
		return
	case p.word(0) != "when":
		p.name()
	}
	if p.takes("when") {
		p.expression(";")
		return
	}
	p.needsSymbol(";")
}

func (p *plpgsql) returnStatement() {
	switch {
	case p.takesSymbol(";"):
	case p.word(0) == "query" && p.word(1) == "execute":
		p.stop(ErrDynamic)
	case p.takes("query"):
		p.query()
	case p.word(0) == "next" && p.symbol(1) == ";":
		p.at += 2
	default:
		p.takes("next")
		p.expression(";")
	}
}

// raise reads RAISE [level] ['format' [, expression ...] | condition | SQLSTATE '...'] [USING option = expression, ...].
func (p *plpgsql) raise() {
	switch {
	case p.takes("exception"):
	case p.takes("debug"), p.takes("log"), p.takes("info"), p.takes("notice"), p.takes("warning"):
		p.body.Notices = true
	}
	switch {
	case p.takesSymbol(";"):
		return
	case p.word(0) == "using":
	case p.at < len(p.tokens) && p.tokens[p.at].kind == tokenString:
		p.at++
		if p.takesSymbol(",") {
			if p.list(";", "using") != "using" {
				return
			}
			p.at--
		}
	default:
		if p.takes("sqlstate") {
			p.at++
		} else {
			p.name()
		}
	}
	if p.takesSymbol(";") {
		return
	}
	p.needs("using")
	for {
		p.name()
		if !p.takesSymbol("=") {
			p.needsSymbol(":=")
		}
		if p.expression(";", ",") != "," {
			return
		}
	}
}

// open reads OPEN cursor [[NO] SCROLL] FOR query, and OPEN cursor [(arguments)].
func (p *plpgsql) open() {
	p.body.Opens = true
	name := p.name()
	p.takes("no")
	p.takes("scroll")
	if p.takes("for") {
		if p.word(0) == "execute" {
			p.stop(ErrDynamic)
			return
		}
		p.query()
		return
	}
	if !p.cursors[name] {
		p.fail()
		return
	}
	if p.takesSymbol(";") {
		return
	}
	start := p.at
	if _, end := p.until(";"); end != "" {
		p.arguments(p.tokens[start : p.at-1])
	}
}

// withoutInto removes INTO with its variables from a command, as make_execsql_stmt does. INSERT INTO and MERGE INTO have another one.
func (p *plpgsql) withoutInto(text string, tokens []token) string {
	for i := 1; i < len(tokens); i++ {
		if !p.is(tokens[i], "into") || p.is(tokens[i-1], "insert") || p.is(tokens[i-1], "merge") {
			continue
		}
		end := i + 1
		if end < len(tokens) && p.is(tokens[end], "strict") {
			end++
		}
		for {
			if end == len(tokens) || tokens[end].kind != tokenWord && tokens[end].kind != tokenName && tokens[end].kind != tokenParam {
				p.fail()
				return text
			}
			end++
			if end+1 < len(tokens) && p.is(tokens[end], ".") || end+1 < len(tokens) && p.is(tokens[end], ",") {
				end++
				continue
			}
			break
		}
		base := tokens[0].start
		rest := ""
		if end < len(tokens) {
			rest = text[tokens[end].start-base:]
		}
		return text[:tokens[i].start-base] + rest
	}
	return text
}

func (p *plpgsql) is(t token, text string) bool {
	return t.kind != tokenString && t.kind != tokenName && p.text[t.start:t.end] == text
}
