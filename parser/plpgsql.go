package parser

// analyzePLpgSQL reads a body in PL/pgSQL as src/pl/plpgsql/src/pl_gram.y does. All of a body's tokens have a place in its grammar, so
// that nothing is passed over; where they don't, the body is not understood.
//
// libpg_query has a parser for PL/pgSQL, too, but it takes the process's standard error away for as long as it reads.
func analyzePLpgSQL(text string) *Body {
	canonical, _, ok := Canonicalize(nil, text)
	if !ok {
		return &Body{Err: ErrBody}
	}
	p := &plpgsql{text: string(canonical), body: &Body{}, cursors: make(map[string]bool)}
	if p.body.Err = bounded(p.text, true); p.body.Err != nil {
		return p.body
	}
	p.tokens = tokens(p.text)
	p.options()
	p.label()
	p.block(0)
	if p.at < len(p.tokens) {
		p.fail()
	}
	return p.body.judge()
}

// plpgsql reads a body from left to right. After a failure it stands at the end, so that every loop ends.
type plpgsql struct {
	text    string
	tokens  []token
	at      int
	body    *Body
	cursors map[string]bool // bound ones, whose queries are among the commands
}

// maxBlocks bounds the depth of blocks and loops.
const maxBlocks = 100

func (p *plpgsql) fail() { p.stop(ErrBody) }

func (p *plpgsql) stop(err error) {
	p.body.fail(err)
	p.at = len(p.tokens)
}

// word returns the word n tokens ahead, "" when there stands something else.
func (p *plpgsql) word(n int) string {
	if p.at+n < len(p.tokens) {
		if t := p.tokens[p.at+n]; t.kind == tokenWord {
			return p.text[t.start:t.end]
		}
	}
	return ""
}

// symbol returns the mark or operator n tokens ahead, "" when there stands something else.
func (p *plpgsql) symbol(n int) string {
	if p.at+n < len(p.tokens) {
		if t := p.tokens[p.at+n]; t.kind == tokenMark || t.kind == tokenOperator {
			return p.text[t.start:t.end]
		}
	}
	return ""
}

// takes steps over the words if they stand here.
func (p *plpgsql) takes(words ...string) bool {
	for i, w := range words {
		if p.word(i) != w {
			return false
		}
	}
	p.at += len(words)
	return true
}

func (p *plpgsql) takesSymbol(s string) bool {
	if p.symbol(0) != s {
		return false
	}
	p.at++
	return true
}

func (p *plpgsql) needs(words ...string) {
	if !p.takes(words...) {
		p.fail()
	}
}

func (p *plpgsql) needsSymbol(s string) {
	if !p.takesSymbol(s) {
		p.fail()
	}
}

// name steps over a name and returns it as it is written.
func (p *plpgsql) name() string {
	if p.at < len(p.tokens) {
		if t := p.tokens[p.at]; t.kind == tokenWord || t.kind == tokenName {
			p.at++
			return p.text[t.start:t.end]
		}
	}
	p.fail()
	return ""
}

// optionalName steps over a name before a semicolon, as a label after END.
func (p *plpgsql) optionalName() {
	if p.at < len(p.tokens) && p.symbol(0) != ";" {
		p.name()
	}
}

// until returns the text up to the first of the words or symbols outside of brackets, which it steps over and returns, too. Empty
// texts fail.
func (p *plpgsql) until(ends ...string) (text, end string) {
	start, depth := p.at, 0
	for ; p.at < len(p.tokens); p.at++ {
		t := p.tokens[p.at]
		is := ""
		if t.kind == tokenWord || t.kind == tokenMark || t.kind == tokenOperator {
			is = p.text[t.start:t.end]
		}
		if depth == 0 {
			for _, e := range ends {
				if is == e {
					if p.at == start {
						p.fail()
						return "", ""
					}
					p.at++
					return p.text[p.tokens[start].start:p.tokens[p.at-2].end], e
				}
			}
		}
		switch is {
		case "(", "[":
			depth++
		case ")", "]":
			if depth--; depth < 0 {
				p.fail()
				return "", ""
			}
		case ";":
			p.fail()
			return "", ""
		}
	}
	p.fail()
	return "", ""
}

// expression takes in the expression up to one of the ends, over which it steps.
func (p *plpgsql) expression(ends ...string) string {
	text, end := p.until(ends...)
	if end != "" {
		p.body.addExpression(text)
	}
	return end
}

// list takes in expressions that commas separate.
func (p *plpgsql) list(ends ...string) string {
	for {
		if end := p.expression(append(ends, ",")...); end != "," {
			return end
		}
	}
}

// command takes in an SQL command up to a semicolon.
func (p *plpgsql) command() {
	start := p.at
	if text, end := p.until(";"); end != "" {
		p.body.add(p.withoutInto(text, p.tokens[start:p.at-1]))
	}
}

// query takes in an SQL command that yields rows, up to a semicolon.
func (p *plpgsql) query() {
	if text, end := p.until(";"); end != "" {
		p.body.add(text)
	}
}

// options reads what may stand before the outer block.
func (p *plpgsql) options() {
	for p.takesSymbol("#") {
		p.name()
		p.name()
	}
}

// label reads <<label>>, if there is one.
func (p *plpgsql) label() {
	if p.takesSymbol("<<") {
		p.name()
		p.needsSymbol(">>")
	}
}

// block reads [DECLARE ...] BEGIN ... END without the semicolon.
func (p *plpgsql) block(depth int) {
	if p.takes("declare") {
		for p.at < len(p.tokens) && p.word(0) != "begin" {
			if !p.takes("declare") {
				p.declaration()
			}
		}
	}
	p.needs("begin")
	p.statements(depth+1, "end", "exception")
	if p.takes("exception") {
		for p.takes("when") {
			p.conditions()
			p.statements(depth+1, "when", "end")
		}
	}
	p.needs("end")
	if p.at < len(p.tokens) { // the outer block needs no semicolon
		p.optionalName()
	}
}

// conditions reads the names of errors, which call nothing.
func (p *plpgsql) conditions() {
	for !p.takes("then") {
		switch {
		case p.at >= len(p.tokens):
			p.fail()
			return
		case p.tokens[p.at].kind == tokenString:
			p.at++
		default:
			p.name()
		}
	}
}

// declaration reads one of DECLARE.
func (p *plpgsql) declaration() {
	name := p.name()
	switch {
	case p.takes("alias", "for"):
		p.plain()
		return
	case p.word(0) == "cursor", p.word(0) == "scroll" && p.word(1) == "cursor", p.word(0) == "no" && p.word(1) == "scroll" && p.word(2) == "cursor":
		p.cursor(name)
		return
	}
	p.takes("constant")
	typ, end := p.until(";", ":=", "=", "default", "not", "collate")
	if end == "" {
		return
	}
	p.body.addType(typ)
	if typ == "refcursor" || typ == "pg_catalog.refcursor" {
		p.cursors[name] = false
	}
	if end == "collate" {
		_, end = p.until(";", ":=", "=", "default", "not")
	}
	if end == "not" {
		p.needs("null")
		switch {
		case p.takesSymbol(":="), p.takesSymbol("="), p.takes("default"):
		default:
			p.fail()
		}
		end = "default"
	}
	if end != ";" && end != "" {
		p.expression(";")
	}
}

// cursor reads the declaration of a bound cursor: [[NO] SCROLL] CURSOR [(name type, ...)] FOR query.
func (p *plpgsql) cursor(name string) {
	p.takes("no")
	p.takes("scroll")
	p.needs("cursor")
	if p.takesSymbol("(") {
		for {
			p.name()
			typ, end := p.untilClosed(",")
			p.body.addType(typ)
			if end != "," {
				break
			}
		}
	}
	if !p.takes("for") && !p.takes("is") {
		p.fail()
	}
	p.cursors[name] = true
	p.query()
}

// untilClosed is until with the bracket that closes the one before as a further end.
func (p *plpgsql) untilClosed(end string) (text, found string) { return p.until(end, ")") }

// plain steps over names up to a semicolon.
func (p *plpgsql) plain() {
	for !p.takesSymbol(";") {
		if p.at >= len(p.tokens) {
			p.fail()
			return
		}
		switch t := p.tokens[p.at]; {
		case t.kind == tokenWord, t.kind == tokenName, t.kind == tokenParam, t.kind == tokenNumber:
		case p.is(t, ","), p.is(t, "."):
		case p.is(t, "="), p.is(t, ":="), p.is(t, "-"):
		default:
			p.fail()
			return
		}
		p.at++
	}
}
